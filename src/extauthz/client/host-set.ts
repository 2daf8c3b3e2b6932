import { Balancer } from './balancer.ts'
import { type ClientEvents, type EndpointChange, noEvents } from './client-events.ts'
import type { EndpointStatus } from './client-status.ts'
import { type Endpoint, type EndpointSource, Resolver, type Target } from './endpoints.ts'
import { HealthChecks } from './health.ts'
import type { Host, HostListener } from './host.ts'
import { type ClientOptions, closeGrace } from './options.ts'
import { OutlierDetection } from './outlier.ts'

/** Milliseconds between looks at endpoints and connections while no check asks for one. */
const tendInterval = 1000

const nobody = 'there is no endpoint'

export type MakeHost = (target: Target, listener: HostListener) => Host

/** The endpoints of a provider as they come and go, and which of them may be asked. */
export class HostSet {
  /** Why the last endpoint that could not be reached could not, for people. */
  problem = nobody
  readonly #source: EndpointSource
  readonly #makeHost: MakeHost
  #warm: boolean
  readonly #events: ClientEvents
  /** There may be a host for a check that waits, or none for any. */
  readonly #changed: () => void
  readonly #resolver: Resolver
  readonly #outliers: OutlierDetection | null
  readonly #health: HealthChecks | null
  readonly #hosts = new Map<string, Host>()
  readonly #leaving = new Map<Host, Promise<void>>()
  readonly #balancer = new Balancer(this.#hosts)
  readonly #tending: NodeJS.Timeout
  readonly #connected = new WeakSet<Host>()
  readonly #listener: HostListener
  #endpoints: readonly Endpoint[] | null = null
  #reachable: boolean | null = null
  #closed = false

  constructor(source: EndpointSource, makeHost: MakeHost, options: ClientOptions, changed: () => void) {
    this.#source = source
    this.#makeHost = makeHost
    this.#changed = changed
    this.#warm = options.warm ?? true
    this.#events = options.events ?? noEvents
    this.#listener = { changed: (host) => this.#hostChanged(host), roomier: changed }
    this.#resolver = new Resolver(options.lookup, () => this.#update())
    this.#outliers =
      options.outlier === null
        ? null
        : new OutlierDetection(
            options.outlier ?? {},
            () => this.#hosts.values(),
            (host, time) => this.#ejected(host, time),
          )
    this.#health = options.health === undefined ? null : new HealthChecks(options.health, (host) => this.#judged(host))
    this.#tending = setInterval(() => this.#tend(), tendInterval).unref()
    if (this.#warm) this.#update()
  }

  warm(): void {
    this.#warm = true
    for (const host of this.#hosts.values()) host.warm()
    this.#update()
  }

  /** Whether some endpoint can be asked; null until that is known. */
  get reachable(): boolean | null {
    return this.#reachable
  }

  /** Whether there is none, and no name of one that is being looked up. Looks them up that are due. */
  get empty(): boolean {
    if (this.#hosts.size === 0) this.#reconcile()
    return this.#hosts.size === 0 && !this.#resolver.pending
  }

  /** Whether a check that waits will have a host, as far as is known. */
  get hopeful(): boolean {
    if (this.#resolver.pending) return true
    for (const host of this.#hosts.values()) if (host.available || host.opening) return true
    return false
  }

  /** The host for a check, by what the endpoints are now; null when there is none with room. */
  pick(avoid: Host | null): Host | null {
    if (!this.#closed && this.#source() !== this.#endpoints) this.#reconcile()
    return this.#balancer.pick(avoid)
  }

  /** A check waits for any of them. */
  open(): void {
    for (const host of this.#hosts.values()) host.open()
  }

  /** Checks wait although some can be asked: those make further connections. The others had their attempt. */
  grow(): void {
    for (const host of this.#hosts.values()) if (host.available) host.open()
  }

  succeeded(host: Host): void {
    this.#events.attempted(host.name, 'answered')
    this.#outliers?.succeeded(host)
  }

  failed(host: Host, how: 'failed' | 'timeout'): void {
    this.#events.attempted(host.name, how)
    if (this.#has(host)) this.#outliers?.failed(host)
  }

  /** One that refuses soon has few checks under way, and would be given most of them. */
  notProcessed(host: Host, refuses: boolean): void {
    this.#events.attempted(host.name, 'notProcessed')
    if (refuses && this.#has(host)) this.#outliers?.failed(host)
  }

  status(): EndpointStatus[] {
    return [...this.#hosts.values()].map(({ name, state, inFlight, connections }) => ({
      name,
      state,
      inFlight,
      connections,
    }))
  }

  /** Resolves when the checks under way have ended, and ends them itself after a time. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#tending)
    for (const host of this.#hosts.values()) this.#dismiss(host)
    const timer = setTimeout(() => {
      for (const host of this.#leaving.keys()) host.end()
    }, closeGrace)
    await Promise.all(this.#leaving.values())
    clearTimeout(timer)
  }

  #has(host: Host): boolean {
    return this.#hosts.get(host.target.key) === host
  }

  #update(): void {
    if (this.#closed) return
    this.#reconcile()
    this.#changed()
  }

  #reconcile(): void {
    this.#endpoints = this.#source()
    const targets = this.#resolver.targets(this.#endpoints)
    const keys = new Set(targets.map(({ key }) => key))
    for (const target of targets) if (!this.#hosts.has(target.key)) this.#join(target)
    if (keys.size !== this.#hosts.size) {
      for (const [key, host] of this.#hosts) if (!keys.has(key)) this.#dismiss(host)
    }
    this.#tellReachable()
  }

  #join(target: Target): void {
    const host = this.#makeHost(target, this.#listener)
    this.#hosts.set(target.key, host)
    this.#balancer.changed()
    this.#tell(host, 'joined', '')
    this.#health?.watch(host)
    if (this.#warm) host.warm()
  }

  #dismiss(host: Host): void {
    this.#hosts.delete(host.target.key)
    this.#balancer.changed()
    this.#outliers?.forget(host)
    this.#health?.forget(host)
    const left = host.leave().then(() => {
      this.#leaving.delete(host)
    })
    this.#leaving.set(host, left)
    if (!this.#closed) this.#tell(host, 'left', '')
  }

  #tend(): void {
    this.#update()
    const now = performance.now()
    for (const host of this.#hosts.values()) host.tend(now)
  }

  #hostChanged(host: Host): void {
    this.#balancer.changed()
    if (this.#closed || !this.#has(host)) return
    const was = this.#connected.has(host)
    if (host.available ? host.proven && !was : was) {
      if (was) this.#connected.delete(host)
      else this.#connected.add(host)
      this.#tell(host, was ? 'disconnected' : 'connected', was ? host.problem : '')
    }
    if (!host.available && host.problem !== '') this.problem = host.problem
    this.#changed()
    this.#tellReachable()
  }

  #ejected(host: Host, time: number | null): void {
    if (time === null) this.#tell(host, 'returned', '')
    else {
      this.#tell(host, 'ejected', `for ${time} ms`)
      host.renew()
    }
    this.#hostChanged(host)
  }

  #judged(host: Host): void {
    this.#tell(host, host.healthy ? 'healthy' : 'unhealthy', '')
    this.#hostChanged(host)
  }

  #tell(host: Host, change: EndpointChange, detail: string): void {
    this.#events.endpointChanged(host.name, change, detail)
  }

  /** A connection that is being replaced is neither here nor there: only attempts that fail make an endpoint lost. */
  #tellReachable(): void {
    if (this.#resolver.pending) return
    let reachable = false
    let lost = true
    for (const host of this.#hosts.values()) {
      const { state } = host
      if (host.proven && (state === 'usable' || state === 'doubtful')) reachable = true
      if (state === 'unreachable' ? !host.failing : !host.proven) lost = false
    }
    if (reachable === this.#reachable || (!reachable && !lost)) return
    this.#reachable = reachable
    const failing = [...this.#hosts.values()].some(({ available }) => available)
    const why = this.#hosts.size === 0 ? nobody : failing ? 'checks fail wherever it can be reached' : this.problem
    this.#events.providerChanged(reachable, reachable ? '' : why)
  }
}
