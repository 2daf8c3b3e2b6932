import type { AuthorizerSpec } from '../../extauthz/engines/serve.ts'
import type { CloseTimes } from '../../extauthz/server/authorizer-server.ts'
import type { Logger } from '../../observe/log.ts'
import type { Counter, Gauge, MetricsRegistry } from '../../observe/metrics.ts'
import { type MetricsSnapshot, sumSnapshots } from '../../observe/metrics-snapshot.ts'
import type { AuthorizerChange } from './authorizers.ts'
import type { AuthorizerProblem, WorkerSettings } from './messages.ts'
import { Ports } from './ports.ts'
import { scout } from './scout.ts'
import type { WorkerEnd } from './worker-process.ts'
import { type Loading, WorkerSlot } from './worker-slot.ts'

export interface SupervisorOptions {
  /** Processes; each serves every authorizer. */
  readonly workers: number
  readonly settings: WorkerSettings
  readonly logger: Logger
  /** For what is counted of the processes themselves. */
  readonly metrics: MetricsRegistry
  /** Milliseconds after which a process that does not answer is killed. */
  readonly stuckAfter: number
  /** Milliseconds for engines to load; default 30 seconds. */
  readonly loadPatience?: number
  /** Lines of the decision log. */
  readonly decisions: (lines: string, dropped: number) => void
}

const defaultLoadPatience = 30_000
/** Pings until a process counts as stuck. */
const pings = 10
/** Milliseconds between two looks at what processes have counted, so that little is lost with one that is killed. */
const metricsInterval = 2000

/**
 * Runs authorizers in processes of their own, so that an engine that loops, crashes or leaks takes nobody along: a
 * process that ends is replaced, and one that does not answer is killed first.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #loadPatience: number
  readonly #ports = new Ports()
  readonly #slots: readonly WorkerSlot[]
  readonly #restarts: Counter
  readonly #ready: Gauge
  readonly #timers: readonly NodeJS.Timeout[]
  #specs: readonly AuthorizerSpec[] = []
  #closing = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    const { workers, settings, logger, metrics, decisions, stuckAfter } = options
    const { loadPatience = defaultLoadPatience } = options
    this.#loadPatience = loadPatience
    this.#restarts = metrics.counter('sallyport_authorizer_worker_restarts_total', 'Processes replaced, by why.', [
      'reason',
    ])
    this.#ready = metrics.gauge('sallyport_authorizer_workers_ready', 'Processes that serve.')
    const slot = { settings, logger, ports: this.#ports, loadPatience, decisions, restarting: this.#restarting }
    this.#slots = Array.from({ length: workers }, () => new WorkerSlot(slot))
    const every = stuckAfter / pings
    this.#timers = [
      setInterval(() => {
        for (const one of this.#slots) one.watch(every, stuckAfter)
      }, every),
      setInterval(() => {
        for (const one of this.#slots) void one.metrics()
      }, metricsInterval),
    ]
    for (const timer of this.#timers) timer.unref()
  }

  /** Whether any process serves what was committed. */
  get ready(): boolean {
    return !this.#closing && this.#slots.some(({ ready }) => ready)
  }

  /** Process ids of the workers that run. */
  get pids(): readonly number[] {
    return this.#slots.flatMap(({ process }) => process?.pid ?? [])
  }

  /** Has all processes load what is new or changed. When one of them cannot, none does, and what runs goes on as it was. */
  async prepare(specs: readonly AuthorizerSpec[]): Promise<AuthorizerChange> {
    const doubled = sharedAddress(specs)
    if (doubled !== null) return { kind: 'failed', problems: [doubled] }
    if (specs.length === 0) return this.#prepared([], specs)
    const running = this.#slots.filter(({ ready }) => ready)
    if (running.length > 0) {
      const problems = await scout(specs, this.#options.settings, this.#loadPatience)
      if (problems.length > 0) return { kind: 'failed', problems }
    }
    const slots = running.length > 0 ? running : this.#slots
    // What was not well goes: it is of no use to what comes, but for its addresses.
    if (running.length === 0) await this.#end()
    const loadings = await Promise.all(
      slots.map(async (slot): Promise<Prepared> => {
        const loading = slot.prepare(specs)
        return { slot, process: slot.process, loading: await loading }
      }),
    )
    const failed = loadings.find(({ loading }) => loading.kind === 'failed')?.loading
    if (failed?.kind === 'failed') {
      if (running.length === 0) await this.#clear()
      else await undo(loadings)
      return { kind: 'failed', problems: failed.problems }
    }
    return this.#prepared(loadings, specs)
  }

  /** Counts of all processes, those that have ended included. */
  async metrics(): Promise<MetricsSnapshot> {
    this.#ready.set(this.#slots.filter(({ ready }) => ready).length)
    return sumSnapshots(await Promise.all(this.#slots.map((slot) => slot.metrics())))
  }

  /** NOT_SERVING for `delay` milliseconds, then GOAWAY and at most `grace` for the checks under way. */
  async close({ delay, grace }: CloseTimes): Promise<void> {
    this.#closing = true
    this.#ports.drain()
    await Promise.all(this.#slots.map((slot) => slot.close(delay, grace)))
    for (const timer of this.#timers) clearInterval(timer)
    await this.#ports.close()
  }

  #prepared(loadings: readonly Prepared[], specs: readonly AuthorizerSpec[]): AuthorizerChange {
    const [first] = loadings
    return {
      kind: 'prepared',
      listening: first?.loading.kind === 'loaded' ? first.loading.listening : [],
      commit: async () => {
        this.#specs = specs
        if (specs.length === 0) return this.#clear()
        const processes = new Map(loadings.map(({ slot, process }) => [slot, process]))
        await Promise.all(this.#slots.map((slot) => slot.commit(processes.get(slot) ?? null, specs)))
        this.#ports.release()
      },
      undo: async () => {
        if (this.#specs.length === 0) await this.#clear()
        else await undo(loadings)
      },
    }
  }

  async #clear(): Promise<void> {
    await this.#end()
    this.#ports.release()
  }

  async #end(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.close(0, this.#specs.length === 0 ? 0 : clearGrace)))
  }

  readonly #restarting = (end: WorkerEnd, delay: number): void => {
    const { logger, stuckAfter } = this.#options
    this.#restarts.inc([end.kind])
    const restart = delay === 0 ? 'now' : `in ${delay} ms`
    if (end.kind === 'stuck') {
      logger.error('a worker did not answer and was killed', { after: `${stuckAfter} ms`, restart })
    } else if (end.kind === 'exited') {
      logger.error('a worker has ended', { code: end.code, signal: end.signal ?? undefined, restart })
    }
  }
}

interface Prepared {
  readonly slot: WorkerSlot
  readonly process: WorkerSlot['process']
  readonly loading: Loading
}

/** Milliseconds for the checks of authorizers that are no longer wanted. */
const clearGrace = 5000

async function undo(loadings: readonly Prepared[]): Promise<void> {
  await Promise.all(
    loadings.map(async ({ slot, process, loading }) => {
      if (loading.kind === 'loaded' && process !== null) await slot.undo(process)
    }),
  )
}

/** Processes share addresses, so that the system does not see when two authorizers want one. */
function sharedAddress(specs: readonly AuthorizerSpec[]): AuthorizerProblem | null {
  const taken = new Map<string, string>()
  for (const { name, grpc, http } of specs) {
    for (const [what, listener] of [['grpc', grpc] as const, ['http', http] as const]) {
      if (listener === null || listener.listen.endsWith(':0')) continue
      const other = taken.get(listener.listen)
      if (other !== undefined) return { name, what, message: `${listener.listen} is that of ${other} already` }
      taken.set(listener.listen, name)
    }
  }
  return null
}
