import type { Socket } from 'node:net'
import { loadEngine } from '../../extauthz/engines/engine.ts'
import type { RunOpa } from '../../extauthz/engines/rego/compile.ts'
import type { ServeContext } from '../../extauthz/engines/serve.ts'
import type { AuthorizerEngine } from '../../mesh/authorizer.ts'
import { createLogger, type Level, type Logger } from '../../observe/log.ts'
import { MetricsRegistry } from '../../observe/metrics.ts'
import { createOtlpExporter, type SpanExporter } from '../../observe/otlp.ts'
import { type AuthorizerChange, Authorizers } from './authorizers.ts'
import { DecisionLines } from './decision-lines.ts'
import type { FromWorker, ToWorker, WorkerResult, WorkerSettings } from './messages.ts'
import { WorkerSockets } from './worker-sockets.ts'

/** How a worker talks to its supervisor. */
export interface WorkerChannel {
  /** Messages that the supervisor has not taken yet. */
  readonly backlog: () => number
  readonly send: (message: FromWorker) => void
  /** Ends the process. */
  readonly exit: () => void
  /** Compiles Rego. */
  readonly runOpa: RunOpa
}

/** Log lines that wait for a supervisor that does not read; more are left out. */
const mostBacklog = 1000

/** One process of authorizers: does what its supervisor says, and answers its pings as long as its engines let it. */
export class AuthorizerWorker {
  readonly #channel: WorkerChannel
  readonly #metrics = new MetricsRegistry()
  readonly #sockets: WorkerSockets
  readonly logger: Logger
  #authorizers: Authorizers | null = null
  #spans: SpanExporter | null = null
  #lines: DecisionLines | null = null
  #change: Extract<AuthorizerChange, { kind: 'prepared' }> | null = null
  #level: Level = 'info'
  #engines: ServeContext['engines'] = {}

  constructor(channel: WorkerChannel) {
    this.#channel = channel
    this.#sockets = new WorkerSockets(channel.send)
    const log = (level: Level): Logger['info'] => {
      return (message, fields = {}) => {
        if (level === 'debug' && this.#level !== 'debug') return
        if (channel.backlog() < mostBacklog) channel.send({ kind: 'log', level, message, fields })
      }
    }
    this.logger = { level: 'debug', debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
  }

  receive(message: ToWorker, socket: Socket | undefined): void {
    switch (message.kind) {
      case 'start':
        this.#start(message.settings)
        return
      case 'ping':
        this.#channel.send({ kind: 'pong', closed: this.#sockets.closed })
        return
      case 'opened':
        this.#sockets.opened(message.receiver, message.opening)
        return
      case 'shut':
        this.#sockets.shut(message.receiver)
        return
      case 'connection':
        // Without one it was closed on the way.
        if (socket === undefined) this.#sockets.gone()
        else this.#sockets.connection(message.receiver, socket)
        return
      case 'prepare':
      case 'commit':
      case 'undo':
      case 'try':
      case 'metrics':
      case 'close':
        void this.#answer(message)
        return
      default:
        message satisfies never
    }
  }

  #start({ level, keys, decisions, otlp }: WorkerSettings): void {
    this.#level = level
    this.#engines = { keys, runOpa: this.#channel.runOpa }
    const { logger } = this
    this.#spans = otlp === null ? null : createOtlpExporter({ ...otlp, fetch, logger })
    const dropped = this.#metrics.counter('sallyport_authorizer_spans_dropped_total', 'Spans that were not exported.')
    const droppedCell = dropped.cell()
    const spans = this.#spans
    const lines = decisions === null ? null : new DecisionLines((text, left) => this.#sendLines(text, left))
    this.#lines = lines
    this.#authorizers = new Authorizers({
      logger,
      metrics: this.#metrics,
      decisionLog: decisions === null || lines === null ? null : { ...decisions, write: (one) => lines.add(one) },
      onSpan:
        spans === null
          ? null
          : (span) => {
              spans.export(span)
              droppedCell.value = spans.dropped
            },
      acceptSockets: this.#sockets.acceptSockets,
      engines: this.#engines,
    })
  }

  async #answer(message: Extract<ToWorker, { readonly id: number }>): Promise<void> {
    const result = await this.#do(message)
    this.#channel.send({ kind: 'result', id: message.id, result })
    if (message.kind === 'close') this.#channel.exit()
  }

  async #do(message: Extract<ToWorker, { readonly id: number }>): Promise<WorkerResult> {
    const authorizers = this.#authorizers
    if (authorizers === null) throw new Error('a worker was not started')
    switch (message.kind) {
      case 'prepare': {
        this.#channel.send({ kind: 'loading' })
        const change = await authorizers.prepare(message.specs)
        if (change.kind === 'failed') return { kind: 'refused', problems: change.problems }
        this.#change = change
        return { kind: 'prepared', listening: change.listening }
      }
      case 'commit':
        await this.#change?.commit()
        this.#change = null
        return { kind: 'done' }
      case 'undo':
        await this.#change?.undo()
        this.#change = null
        return { kind: 'done' }
      case 'try':
        return this.#try(message.engine)
      case 'metrics':
        return { kind: 'metrics', metrics: this.#metrics.snapshot() }
      case 'close':
        await authorizers.close({ delay: message.delay, grace: message.grace })
        this.#lines?.flush()
        await this.#spans?.close()
        return { kind: 'done' }
      default:
        return message satisfies never
    }
  }

  /** Loads an engine for nothing but to see whether it can be. */
  async #try(engine: AuthorizerEngine): Promise<WorkerResult> {
    const silent = createLogger({ level: 'error', write: () => {}, now: Date.now, format: 'text' })
    const loading = await loadEngine(engine, { logger: silent, ...this.#engines })
    if (loading.kind === 'loaded') return { kind: 'done' }
    const { message, diagnostics = [] } = loading
    return { kind: 'refused', problems: [{ name: '', what: 'engine', message, diagnostics }] }
  }

  #sendLines(lines: string, dropped: number): boolean {
    if (this.#channel.backlog() >= mostBacklog) return false
    this.#channel.send({ kind: 'decisions', lines, dropped })
    return true
  }
}
