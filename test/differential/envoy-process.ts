import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import * as http from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A line of Envoy's access log: see `logFormat`. */
export interface LogLine {
  readonly peer: string
  readonly local: string
  readonly details: string | null
  readonly termination: string | null
  readonly http: Readonly<Record<string, unknown>> | null
  readonly tcp: Readonly<Record<string, unknown>> | null
  readonly audit: boolean | null
}

/** What each line says, under the names of `LogLine`. */
export const logFormat = {
  peer: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
  local: '%DOWNSTREAM_LOCAL_ADDRESS%',
  details: '%RESPONSE_CODE_DETAILS%',
  termination: '%CONNECTION_TERMINATION_DETAILS%',
  http: '%DYNAMIC_METADATA(envoy.filters.http.rbac)%',
  tcp: '%DYNAMIC_METADATA(envoy.filters.network.rbac)%',
  audit: '%DYNAMIC_METADATA(envoy.common:access_log_hint)%',
}

const running = new Set<ChildProcess>()
// Whatever ends this process, and however early, no Envoy stays behind.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A running Envoy with everything that a batch needs, and its access log by connection. */
export class EnvoyProcess {
  readonly #child: ChildProcess
  readonly #files: readonly string[]
  readonly #lines = new Map<string, LogLine[]>()
  readonly #waiting = new Map<string, () => void>()
  readonly #notes: string[] = []

  private constructor(child: ChildProcess, files: readonly string[]) {
    this.#child = child
    this.#files = files
    let rest = ''
    child.stdout?.setEncoding('latin1').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#read(line)
    })
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#notes.push(chunk)
      if (this.#notes.length > 100) this.#notes.shift()
    })
  }

  /** Resolves when Envoy listens; rejects with its own words where it refuses the configuration. */
  static async start(binary: string, folder: string, name: string, config: object): Promise<EnvoyProcess> {
    const file = join(folder, `${name}.json`)
    const admin = join(folder, `${name}.admin`)
    rmSync(admin, { force: true })
    writeFileSync(file, JSON.stringify(config))
    const flags = ['--disable-hot-restart', '--concurrency', '1', '--log-level', 'error', '--file-flush-interval-msec']
    const child = spawn(binary, ['-c', file, ...flags, '3', '--admin-address-path', admin], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    child.once('exit', () => running.delete(child))
    const envoy = new EnvoyProcess(child, [file, admin])
    try {
      await envoy.#ready(admin)
      return envoy
    } catch (error) {
      await envoy.stop()
      throw error
    }
  }

  /** The log line of so many-th request on a connection; null when none comes. */
  async line(connection: string, index: number, patience: number): Promise<LogLine | null> {
    const until = performance.now() + patience
    for (;;) {
      const line = this.#lines.get(connection)?.[index]
      if (line !== undefined) return line
      const left = until - performance.now()
      if (left <= 0 || this.#child.exitCode !== null) return null
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          resolve()
        }
        const timer = setTimeout(done, left)
        this.#waiting.set(connection, done)
      })
      this.#waiting.delete(connection)
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL')
      await once(this.#child, 'exit')
    }
    for (const file of this.#files) rmSync(file, { force: true })
  }

  #read(line: string): void {
    if (!line.startsWith('{')) return
    const entry = JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as LogLine
    const key = `${entry.peer}>${entry.local}`
    const lines = this.#lines.get(key)
    if (lines === undefined) this.#lines.set(key, [entry])
    else lines.push(entry)
    this.#waiting.get(key)?.()
  }

  async #ready(adminFile: string): Promise<void> {
    for (let tries = 0; tries < 1200; tries++) {
      if (this.#child.exitCode !== null) {
        throw new Error(`Envoy ended with ${this.#child.exitCode}: ${this.#notes.join('').slice(-3000)}`)
      }
      if (await isReady(adminFile)) return
      // Envoy tells nobody when it is ready, so that it has to be asked.
      await delay(25)
    }
    throw new Error(`Envoy was not ready in time: ${this.#notes.join('').slice(-3000)}`)
  }
}

async function isReady(adminFile: string): Promise<boolean> {
  let address: string
  try {
    address = readFileSync(adminFile, 'utf8').trim()
  } catch {
    return false
  }
  const colon = address.lastIndexOf(':')
  if (colon === -1) return false
  return new Promise((resolve) => {
    const options = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)), path: '/ready' }
    http
      .get({ ...options, agent: false, timeout: 1000 }, (response) => {
        response.resume()
        resolve(response.statusCode === 200)
      })
      .on('error', () => resolve(false))
      .on('timeout', () => resolve(false))
  })
}
