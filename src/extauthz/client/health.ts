import type { Host } from './host.ts'

/** Active health checks, in Envoy's terms. */
export interface HealthOptions {
  /** Milliseconds between the checks of one endpoint, less up to a tenth. Default 5000. */
  readonly interval?: number
  /** Milliseconds for one of them. Default 1000. */
  readonly timeout?: number
  /** Failures in a row after which an endpoint is unhealthy. Default 2. */
  readonly unhealthyThreshold?: number
  /** Successes in a row after which it is healthy again. Default 1. */
  readonly healthyThreshold?: number
  /** gRPC: the service that grpc.health.v1 is asked about. Default empty: the whole server. */
  readonly service?: string
  /** HTTP: what a GET asks for; 200 is healthy. Default `/`. */
  readonly path?: string
}

/** Asks every endpoint by itself, and marks those that do not do. */
export class HealthChecks {
  readonly #options: Required<Omit<HealthOptions, 'service' | 'path'>>
  readonly #changed: (host: Host) => void
  readonly #watched = new Map<Host, Watch>()

  constructor(options: HealthOptions, changed: (host: Host) => void) {
    const { interval = 5000, timeout = 1000, unhealthyThreshold = 2, healthyThreshold = 1 } = options
    this.#options = { interval, timeout, unhealthyThreshold, healthyThreshold }
    this.#changed = changed
  }

  watch(host: Host): void {
    const watch: Watch = { timer: null, streak: 0 }
    this.#watched.set(host, watch)
    this.#schedule(host, watch)
  }

  forget(host: Host): void {
    const watch = this.#watched.get(host)
    if (watch?.timer) clearTimeout(watch.timer)
    this.#watched.delete(host)
  }

  #schedule(host: Host, watch: Watch): void {
    const pause = this.#options.interval * (0.9 + Math.random() / 10)
    watch.timer = setTimeout(() => void this.#probe(host, watch), pause).unref()
  }

  async #probe(host: Host, watch: Watch): Promise<void> {
    const good = await host.probe(this.#options.timeout)
    if (this.#watched.get(host) !== watch) return
    // Without a connection it is unreachable, which is known already.
    if (good !== null) this.#count(host, watch, good)
    this.#schedule(host, watch)
  }

  #count(host: Host, watch: Watch, good: boolean): void {
    if (good === host.healthy) {
      watch.streak = 0
      return
    }
    watch.streak++
    if (watch.streak < (good ? this.#options.healthyThreshold : this.#options.unhealthyThreshold)) return
    watch.streak = 0
    host.healthy = good
    this.#changed(host)
  }
}

interface Watch {
  timer: NodeJS.Timeout | null
  /** Results in a row that contradict what the host is taken for. */
  streak: number
}
