import type { AuthorizerSpec } from '../../extauthz/engines/serve.ts'
import type { Logger } from '../../observe/log.ts'
import { type MetricsSnapshot, sumSnapshots, withoutGauges } from '../../observe/metrics-snapshot.ts'
import type { AuthorizerProblem, FromWorker, ListeningAuthorizer, WorkerSettings } from './messages.ts'
import type { Ports } from './ports.ts'
import { type WorkerEnd, WorkerProcess } from './worker-process.ts'

export interface SlotOptions {
  readonly settings: WorkerSettings
  readonly logger: Logger
  readonly ports: Ports
  /** Milliseconds for engines to load. */
  readonly loadPatience: number
  readonly decisions: (lines: string, dropped: number) => void
  /** The process has ended by itself or was stuck, and another one follows after `delay` milliseconds. */
  readonly restarting: (end: WorkerEnd, delay: number) => void
}

export type Loading =
  | { readonly kind: 'loaded'; readonly listening: readonly ListeningAuthorizer[] }
  | { readonly kind: 'failed'; readonly problems: readonly AuthorizerProblem[] }

/** A process that ran for so long was well. */
const wellAfter = 10_000
const firstDelay = 100
const longestDelay = 30_000
const metricsPatience = 500

/** The place of one worker: a process, and after its end another one, later each time that it ends soon. */
export class WorkerSlot {
  readonly #options: SlotOptions
  #process: WorkerProcess | null = null
  /** What the process serves, once it does. */
  #serves: readonly AuthorizerSpec[] | null = null
  /** What a new process is to serve. */
  #wanted: readonly AuthorizerSpec[] | null = null
  #preparing = 0
  /** Whether the process has begun to load: one that was stuck before never does. */
  #loading = false
  #failures = 0
  #since = 0
  #timer: NodeJS.Timeout | null = null
  #metrics: MetricsSnapshot = []
  /** What processes before this one counted. */
  #retired: MetricsSnapshot = []

  constructor(options: SlotOptions) {
    this.#options = options
  }

  get ready(): boolean {
    return this.#process !== null && this.#serves !== null
  }

  get process(): WorkerProcess | null {
    return this.#process
  }

  /** Starts a process, or takes the one that runs, and has it load `specs`; until `commit` it goes on as before. */
  async prepare(specs: readonly AuthorizerSpec[]): Promise<Loading> {
    const process = this.#process ?? this.#start()
    this.#preparing++
    const result = await process.ask({ kind: 'prepare', specs }, this.#options.loadPatience)
    this.#preparing--
    if (this.#preparing === 0) this.#loading = false
    if (result?.kind === 'prepared') return { kind: 'loaded', listening: result.listening }
    if (result?.kind === 'refused') return { kind: 'failed', problems: result.problems }
    // It may be loading for ever, and nothing else can be asked of it.
    process.kill({ kind: 'stuck' })
    const name = (specs.find(({ engine }) => engine.kind === 'module') ?? specs[0])?.name ?? ''
    return { kind: 'failed', problems: [{ name, what: 'engine', message: NOT_LOADED }] }
  }

  /** `process` is the one that was prepared: when it is gone, another one starts with the specs. */
  async commit(process: WorkerProcess | null, specs: readonly AuthorizerSpec[]): Promise<void> {
    this.#wanted = specs
    if (process === null || process !== this.#process) {
      this.#failures = 0
      this.#again(0)
      return
    }
    if ((await process.ask({ kind: 'commit' }, this.#options.loadPatience)) === null) process.kill({ kind: 'stuck' })
    else if (process === this.#process) this.#settle(specs)
  }

  async undo(process: WorkerProcess): Promise<void> {
    if (process === this.#process) await process.ask({ kind: 'undo' }, this.#options.loadPatience)
  }

  /** Pings the process; kills it when it has not answered for `patience` milliseconds, of which one ping is `every`. */
  watch(every: number, patience: number): void {
    const process = this.#process
    if (process === null) return
    const allowed = this.#loading ? Math.max(patience, this.#options.loadPatience) : patience
    if (process.unanswered * every >= allowed) process.kill({ kind: 'stuck' })
    else process.ping()
  }

  /** What its processes have counted, asked anew. */
  async metrics(): Promise<MetricsSnapshot> {
    const result = await this.#process?.ask({ kind: 'metrics' }, metricsPatience)
    if (result?.kind === 'metrics') this.#metrics = result.metrics
    return sumSnapshots([this.#retired, this.#metrics])
  }

  /** Ends the process, after its checks, and none follows. */
  async close(delay: number, grace: number): Promise<void> {
    this.#wanted = null
    if (this.#timer !== null) clearTimeout(this.#timer)
    const process = this.#process
    if (process === null) return
    process.expectEnd()
    // What it counts from now on is lost with it.
    if (this.ready) await this.metrics()
    this.#serves = null
    if (delay + grace > 0) await process.ask({ kind: 'close', delay, grace }, delay + grace + exitPatience)
    await process.end(delay + grace > 0 ? exitPatience : 0)
  }

  #start(): WorkerProcess {
    const { settings } = this.#options
    const process: WorkerProcess = new WorkerProcess({
      message: (message) => this.#receive(process, message),
      ended: (end) => this.#ended(process, end),
    })
    this.#process = process
    this.#serves = null
    // A new process answers once it runs.
    this.#loading = true
    process.send({ kind: 'start', settings })
    return process
  }

  #receive(process: WorkerProcess, message: Exclude<FromWorker, { kind: 'result' | 'pong' }>): void {
    const { ports, logger, decisions } = this.#options
    switch (message.kind) {
      case 'open': {
        const { receiver, name, address, mode } = message
        void ports.open(process, receiver, name, address, mode).then((opening) => {
          process.send({ kind: 'opened', receiver, opening })
        })
        return
      }
      case 'shut':
        ports.shut(process, message.receiver)
        process.send({ kind: 'shut', receiver: message.receiver })
        return
      case 'loading':
        this.#loading = this.#preparing > 0
        return
      case 'log':
        logger[message.level](message.message, message.fields)
        return
      case 'decisions':
        decisions(message.lines, message.dropped)
        return
      default:
        message satisfies never
    }
  }

  #settle(specs: readonly AuthorizerSpec[]): void {
    this.#serves = specs
    this.#since = performance.now()
    // They were changed while it started.
    if (this.#wanted !== specs) this.#again(0)
  }

  #ended(process: WorkerProcess, end: WorkerEnd): void {
    this.#options.ports.forget(process)
    if (process !== this.#process) return
    const served = this.#serves !== null
    this.#process = null
    this.#serves = null
    this.#retired = sumSnapshots([this.#retired, withoutGauges(this.#metrics)])
    this.#metrics = []
    if (this.#wanted === null) return
    if (served && performance.now() - this.#since >= wellAfter) this.#failures = 0
    const delay = this.#failures === 0 ? 0 : Math.min(longestDelay, firstDelay * 2 ** (this.#failures - 1))
    this.#failures++
    this.#options.restarting(end, delay)
    this.#again(delay)
  }

  /** Another process, with what is wanted by then. */
  #again(delay: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = null
      void this.#restart()
    }, delay)
  }

  async #restart(): Promise<void> {
    const specs = this.#wanted
    if (specs === null) return
    const before = this.#process
    if (before !== null) {
      this.#process = null
      this.#options.ports.forget(before)
      before.kill({ kind: 'closed' })
    }
    const starting = this.prepare(specs)
    const process = this.#process
    const loading = await starting
    if (loading.kind === 'failed') {
      for (const { name, message } of loading.problems) {
        this.#options.logger.error('an authorizer cannot be started again', { authorizer: name, reason: message })
      }
      // Its end starts the next one, later.
      process?.kill({ kind: 'exited', code: null, signal: null })
      return
    }
    if (process === null) return
    if ((await process.ask({ kind: 'commit' }, this.#options.loadPatience)) === null) process.kill({ kind: 'stuck' })
    else if (process === this.#process && this.#wanted !== null) {
      this.#settle(specs)
      this.#options.ports.release()
    }
  }
}

const NOT_LOADED = 'it did not finish loading: the process that tried was ended'

/** Milliseconds for a process to end once it has nothing more to do. */
const exitPatience = 2000
