import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

const PATIENCE = 20_000

/** A server of OPA that is running. */
export interface RunningOpa {
  readonly url: string
  stop(): Promise<void>
}

/** Starts `opa run --server` with policies and data, and waits until it says that it is healthy. */
export async function startOpa(opa: string, port: number, ...args: readonly string[]): Promise<RunningOpa> {
  const addr = `127.0.0.1:${port}`
  const options = ['--addr', addr, '--log-level', 'error', '--skip-version-check']
  const child = spawn(opa, ['run', '--server', ...options, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000)
    })
  }
  process.once('exit', () => child.kill('SIGKILL'))
  const url = `http://${addr}`
  if (!(await isHealthy(child, url))) {
    child.kill('SIGKILL')
    throw new Error(`OPA is not healthy: ${said}`)
  }
  return {
    url,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await ended
    },
  }
}

/** It does not say when it listens. */
async function isHealthy(child: ChildProcess, url: string): Promise<boolean> {
  const end = performance.now() + PATIENCE
  while (performance.now() < end && child.exitCode === null) {
    const status = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1000) }).then(
      (response) => response.status,
      () => 0,
    )
    if (status === 200) return true
    await delay(20)
  }
  return false
}
