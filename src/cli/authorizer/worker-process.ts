import { type ChildProcess, fork } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { FromWorker, ToWorker, WorkerResult } from './messages.ts'

const program = fileURLToPath(new URL('./worker-main.js', import.meta.url))

/** Why a worker process is no more. */
export type WorkerEnd =
  /** It was told to. */
  | { readonly kind: 'closed' }
  /** It did not answer pings for too long, and was killed. */
  | { readonly kind: 'stuck' }
  | { readonly kind: 'exited'; readonly code: number | null; readonly signal: string | null }

export interface WorkerEvents {
  message(message: Exclude<FromWorker, { kind: 'result' | 'pong' }>): void
  ended(end: WorkerEnd): void
}

/** Connections that may be on their way to one worker. */
const mostUnderway = 1000

type Question = Extract<ToWorker, { readonly id: number }>
/** Of a union, without what is filled in here. */
export type Asking = Question extends infer Q ? (Q extends Question ? Omit<Q, 'id'> : never) : never

/** One worker process, from outside. */
export class WorkerProcess {
  readonly #child: ChildProcess
  readonly #events: WorkerEvents
  readonly #waiting = new Map<number, (result: WorkerResult | null) => void>()
  readonly #underway = new Set<Socket>()
  #last = 0
  #unanswered = 0
  #given = 0
  #closed = 0
  #end: WorkerEnd | null = null
  #gone = false

  constructor(events: WorkerEvents) {
    this.#events = events
    // Its standard output and error are ours: an engine may write there.
    this.#child = fork(program, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (message: FromWorker) => this.#receive(message))
    this.#child.on('error', () => {})
    this.#child.once('exit', (code, signal) => this.#exited(code, signal))
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Pings in a row that it has not answered. */
  get unanswered(): number {
    return this.#unanswered
  }

  /** Connections that it has, or is about to get. */
  get connections(): number {
    return this.#given - this.#closed
  }

  ping(): void {
    this.#unanswered++
    this.send({ kind: 'ping' })
  }

  send(message: ToWorker): void {
    if (this.#gone || !this.#child.connected) return
    this.#child.send(message, () => {})
  }

  /** Null when it ends before it answers, or is not done after `patience` milliseconds. */
  ask(question: Asking, patience: number): Promise<WorkerResult | null> {
    if (this.#gone || !this.#child.connected) return Promise.resolve(null)
    const id = ++this.#last
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(null), patience)
      const settle = (result: WorkerResult | null) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(result)
      }
      this.#waiting.set(id, settle)
      this.send({ ...question, id } as Question)
    })
  }

  /** False when it cannot take any more now. */
  give(receiver: number, socket: Socket): boolean {
    if (this.#gone || !this.#child.connected || this.#underway.size >= mostUnderway) return false
    this.#underway.add(socket)
    this.#given++
    // Kept open here until it has arrived, so that it can be closed when it does not.
    this.#child.send({ kind: 'connection', receiver } satisfies ToWorker, socket, { keepOpen: true }, () => {
      this.#underway.delete(socket)
      socket.destroy()
    })
    return true
  }

  /** Ends it at once. */
  kill(why: WorkerEnd): void {
    this.#end ??= why
    if (!this.#gone) this.#child.kill('SIGKILL')
  }

  /** Resolves when it has ended, by itself or after `patience` milliseconds by force. */
  async end(patience: number): Promise<void> {
    if (this.#gone) return
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    const timer = setTimeout(() => this.kill({ kind: 'closed' }), patience)
    await gone
    clearTimeout(timer)
  }

  /** Says that its end, when it comes, is no accident. */
  expectEnd(): void {
    this.#end ??= { kind: 'closed' }
  }

  #receive(message: FromWorker): void {
    this.#unanswered = 0
    switch (message.kind) {
      case 'pong':
        this.#closed = message.closed
        return
      case 'result':
        this.#waiting.get(message.id)?.(message.result)
        return
      default:
        this.#events.message(message)
    }
  }

  #exited(code: number | null, signal: string | null): void {
    this.#gone = true
    for (const settle of [...this.#waiting.values()]) settle(null)
    for (const socket of this.#underway) socket.destroy()
    this.#underway.clear()
    this.#events.ended(this.#end ?? { kind: 'exited', code, signal })
  }
}
