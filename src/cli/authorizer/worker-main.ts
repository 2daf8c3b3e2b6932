import type { Socket } from 'node:net'
import { createRunOpa } from '../up/opa-program.ts'
import type { FromWorker, ToWorker } from './messages.ts'
import { AuthorizerWorker } from './worker.ts'

/** The program of a worker process, which `WorkerProcess` starts. */
function main(): void {
  let backlog = 0
  let leaving = false
  const send = (message: FromWorker) => {
    if (!process.connected) return
    backlog++
    process.send?.(message, undefined, undefined, () => {
      backlog--
      if (leaving && backlog === 0) process.disconnect?.()
    })
  }
  const exit = () => {
    // What was sent last is still on its way.
    leaving = true
    if (backlog === 0) process.disconnect?.()
  }
  const worker = new AuthorizerWorker({ backlog: () => backlog, send, exit, runOpa: createRunOpa(process.env) })
  process.on('message', (message: ToWorker, socket: Socket | undefined) => worker.receive(message, socket))
  // Without a supervisor there is nobody to work for; this is also how it says that it is over.
  process.on('disconnect', () => process.exit(0))
  // A terminal signals every process of its group: the supervisor says what is to be done.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  const crash = (error: unknown) => {
    const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : []
    // The message may quote a token or a body.
    worker.logger.error('an engine threw where nobody could catch it', {
      error: error instanceof Error ? error.name : typeof error,
      at: frames.slice(0, 5).map((line) => line.trim().slice(3)),
    })
    setImmediate(() => process.exit(1))
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
}

main()
