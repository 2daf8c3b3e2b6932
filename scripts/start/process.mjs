import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { root } from '../command.mjs'

const READY_MS = 30_000
const LINE_MS = 3_000
const STOP_MS = 5_000
const KEPT_LINES = 40

/** A Node program that runs beside this one, read line by line. */
export class Child {
  #name
  #process
  #listeners = { stdout: new Set(), stderr: new Set() }
  #last = []
  #stopping = false
  /** Rejects when the program ends by itself; never resolves. */
  failed

  constructor(name, args, env) {
    this.#name = name
    this.#process = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of ['stdout', 'stderr']) {
      createInterface({ input: this.#process[stream] }).on('line', (line) => {
        if (stream === 'stderr') this.#last = [...this.#last, line].slice(-KEPT_LINES)
        for (const listener of [...this.#listeners[stream]]) listener(line)
      })
    }
    this.failed = new Promise((_, reject) => {
      this.#process.once('error', reject)
      this.#process.once('close', (code, signal) => {
        if (!this.#stopping) reject(this.#problem(`ended with ${signal ?? `exit code ${code}`}`))
      })
    })
    // Whoever waits for it sees the rejection; when nobody does, it is no crash of ours.
    this.failed.catch(() => {})
  }

  on(stream, listener) {
    this.#listeners[stream].add(listener)
  }

  /** The first line of a stream that matches; rejects when none comes. */
  line(stream, pattern) {
    return this.#first(stream, (line) => (pattern.test(line) ? line : null), READY_MS).catch(() => {
      throw this.#problem(`was not ready after ${READY_MS / 1000} s`)
    })
  }

  /** The next object on standard output that has the field; null when none comes. */
  json(field) {
    const read = (line) => {
      try {
        const value = JSON.parse(line)
        return value !== null && typeof value === 'object' && field in value ? value : null
      } catch {
        return null
      }
    }
    return this.#first('stdout', read, LINE_MS).catch(() => null)
  }

  async stop() {
    this.#stopping = true
    const child = this.#process
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const closed = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await closed
    clearTimeout(timer)
  }

  #first(stream, read, limit) {
    return new Promise((resolve, reject) => {
      const listener = (line) => {
        const value = read(line)
        if (value !== null) finish(() => resolve(value))
      }
      const timer = setTimeout(() => finish(() => reject(new Error('no such line'))), limit)
      const finish = (settle) => {
        clearTimeout(timer)
        this.#listeners[stream].delete(listener)
        settle()
      }
      this.#listeners[stream].add(listener)
    })
  }

  #problem(what) {
    const said = this.#last.map((line) => `    ${line}`).join('\n')
    return new Error(`${this.#name} ${what}${said === '' ? '' : `; it said:\n${said}`}`)
  }
}
