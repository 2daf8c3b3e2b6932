import type { Logger } from '../observe/log.ts'
import type { MetricsRegistry } from '../observe/metrics.ts'
import type { InboundConfig, ListenAddress, OutboundConfig, ProxyConfig } from './config.ts'
import type { DecisionLogEntry } from './decision-log.ts'
import { HttpServer } from './http-server.ts'
import { InboundListener } from './inbound.ts'
import type { InboundContext } from './inbound-http.ts'
import { InboundHttp } from './inbound-http.ts'
import type { ListenError } from './listener.ts'
import { Listener } from './listener.ts'
import type { OutboundContext } from './outbound.ts'
import { destinationPrefix, OutboundHttp, OutboundListener } from './outbound.ts'
import { Telemetry } from './telemetry.ts'
import { UndiciUpstream } from './undici-upstream.ts'
import type { Upstream } from './upstream.ts'
import { UpstreamPools } from './upstream-pools.ts'

export interface ProxyDeps {
  readonly log: Logger
  readonly metrics: MetricsRegistry
  /** Called once a request or connection, when it is over. Null: no entry is built. */
  readonly decisions: ((entry: DecisionLogEntry) => void) | null
}

export type ApplyResult =
  | { readonly kind: 'applied' }
  /** Nothing has changed: what ran before still runs. */
  | { readonly kind: 'failed'; readonly errors: readonly ListenError[] }

/** Sidecars of any number of workloads in one process. */
export interface ProxyServer {
  /** Opens the listeners of the configuration that the proxy was made with. All of them, or none. */
  start(): Promise<ApplyResult>
  /**
   * Takes another configuration at once, between two requests. Sockets that both have stay open with their
   * connections; a listener that is gone finishes what it has begun. Clients of providers are the caller's: those of
   * the old configuration may still be in use for a moment.
   */
  apply(config: ProxyConfig): Promise<ApplyResult>
  /** Whether the listeners of a configuration are open. */
  readonly ready: boolean
  /** Where each listener really listens, by its id. */
  addresses(): ReadonlyMap<string, ListenAddress>
  /** Finishes what has begun, for at most `grace` milliseconds (default 10,000), and closes everything. */
  close(grace?: number): Promise<void>
}

export function createProxy(config: ProxyConfig, deps: ProxyDeps): ProxyServer {
  return new SidecarProxy(config, deps)
}

type Handler = InboundListener | OutboundListener

/** A socket and what currently becomes of its connections. */
interface Open {
  readonly listener: Listener
  id: string
  handler: Handler
}

type Wanted =
  | { readonly kind: 'inbound'; readonly config: InboundConfig }
  | { readonly kind: 'outbound'; readonly config: OutboundConfig }

class SidecarProxy implements ProxyServer {
  readonly #first: ProxyConfig
  readonly #telemetry: Telemetry
  readonly #inboundHttp: HttpServer<InboundContext>
  readonly #outboundHttp: HttpServer<OutboundContext>
  /** As many as there are listeners. */
  readonly #applications = new UpstreamPools(Number.POSITIVE_INFINITY)
  readonly #destinations = new UpstreamPools(1024)
  /** By `socketKey`. */
  #open: ReadonlyMap<string, Open> = new Map()
  readonly #retiring = new Set<Listener>()
  #last: Promise<unknown> = Promise.resolve()
  #ready = false
  #closed = false

  constructor(config: ProxyConfig, deps: ProxyDeps) {
    this.#first = config
    this.#telemetry = new Telemetry(deps.log, deps.decisions, deps.metrics)
    this.#inboundHttp = new HttpServer(new InboundHttp(this.#telemetry))
    this.#outboundHttp = new HttpServer(new OutboundHttp(this.#telemetry))
  }

  get ready(): boolean {
    return this.#ready
  }

  start(): Promise<ApplyResult> {
    return this.apply(this.#first)
  }

  apply(config: ProxyConfig): Promise<ApplyResult> {
    const applied = this.#last.then(() => this.#apply(config))
    this.#last = applied.catch(() => {})
    return applied
  }

  addresses(): ReadonlyMap<string, ListenAddress> {
    return new Map([...this.#open.values()].map(({ id, listener }) => [id, listener.address]))
  }

  async close(grace = 10_000): Promise<void> {
    this.#closed = true
    this.#ready = false
    await this.#last
    this.#inboundHttp.drain()
    this.#outboundHttp.drain()
    const listeners = [...[...this.#open.values()].map(({ listener }) => listener), ...this.#retiring]
    await Promise.all(listeners.map((listener) => listener.drain(grace)))
    this.#inboundHttp.close()
    this.#outboundHttp.close()
    await Promise.all([this.#applications.close(0), this.#destinations.close(0)])
    this.#open = new Map()
  }

  async #apply(config: ProxyConfig): Promise<ApplyResult> {
    if (this.#closed) throw new Error('the proxy is closed')
    const wanted = wantedSockets(config)
    const opened = new Map<string, Open>()
    const errors: ListenError[] = []
    await Promise.all(
      [...wanted].map(async ([key, one]) => {
        if (this.#open.has(key)) return
        // Connections that come before the switch below wait for nothing: the handler is complete.
        const handler = this.#handler(one)
        const entry = { id: one.config.id, handler } as Omit<Open, 'listener'> & { listener?: Listener }
        const result = await Listener.open(one.config.id, one.config.listen, (socket) => entry.handler.accept(socket))
        if ('kind' in result) errors.push(result)
        else {
          entry.listener = result
          opened.set(key, entry as Open)
        }
      }),
    )
    if (errors.length > 0) {
      for (const { listener } of opened.values()) void listener.drain(0)
      return { kind: 'failed', errors }
    }
    this.#switch(config, wanted, opened)
    return { kind: 'applied' }
  }

  /** One synchronous step, so that no request sees half of each configuration. */
  #switch(config: ProxyConfig, wanted: ReadonlyMap<string, Wanted>, opened: ReadonlyMap<string, Open>): void {
    const next = new Map<string, Open>()
    for (const [key, one] of wanted) {
      const entry = this.#open.get(key) ?? (opened.get(key) as Open)
      if (!opened.has(key)) this.#update(entry, one)
      next.set(key, entry)
    }
    for (const [key, entry] of this.#open) if (!next.has(key)) this.#retire(entry)
    this.#open = next
    const applications = new Set(config.inbound.map(applicationKey))
    this.#applications.retain((key) => applications.has(key))
    const outbound = config.outbound.map(destinationPrefix)
    this.#destinations.retain((key) => outbound.some((prefix) => key.startsWith(prefix)))
    this.#ready = true
  }

  #handler(wanted: Wanted): Handler {
    return wanted.kind === 'inbound'
      ? new InboundListener(wanted.config, this.#application(wanted.config), this.#inboundHttp, this.#telemetry)
      : new OutboundListener(wanted.config, this.#outboundHttp, this.#destinations, this.#telemetry)
  }

  #update(entry: Open, wanted: Wanted): void {
    entry.id = wanted.config.id
    if (wanted.kind === 'inbound' && entry.handler instanceof InboundListener) {
      entry.handler.update(wanted.config, this.#application(wanted.config))
    } else if (wanted.kind === 'outbound' && entry.handler instanceof OutboundListener) {
      entry.handler.update(wanted.config)
    } else {
      entry.handler = this.#handler(wanted)
    }
  }

  #application(config: InboundConfig): Upstream {
    return this.#applications.get(
      applicationKey(config),
      () => new UndiciUpstream({ endpoint: config.application, tls: null }),
    )
  }

  #retire({ listener, handler }: Open): void {
    handler.closing = true
    this.#inboundHttp.retire(({ target }) => target === handler)
    this.#outboundHttp.retire((context) => context.listener === handler)
    this.#retiring.add(listener)
    void listener.drain(RETIRE_GRACE).finally(() => this.#retiring.delete(listener))
  }
}

/** How long a listener that is no longer configured may go on with what it has, in milliseconds. */
const RETIRE_GRACE = 30_000

function wantedSockets(config: ProxyConfig): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>()
  const add = (one: Wanted) => {
    const { id, listen } = one.config
    const key = listen.port === 0 ? `id ${id}` : `${listen.host}:${listen.port}`
    const other = wanted.get(key)
    if (other !== undefined) throw new Error(`listeners ${other.config.id} and ${id} share one socket`)
    wanted.set(key, one)
  }
  for (const one of config.inbound) add({ kind: 'inbound', config: one })
  for (const one of config.outbound) add({ kind: 'outbound', config: one })
  return wanted
}

function applicationKey({ application }: InboundConfig): string {
  return application.kind === 'unix' ? `app|${application.path}` : `app|${application.host}|${application.port}`
}
