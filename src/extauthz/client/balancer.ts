import type { Host } from './host.ts'

/**
 * Picks the endpoint of a check: of two at random the one with fewer checks under way, which is the default of Istio
 * (LEAST_REQUEST). An endpoint that is slow or hangs gathers checks and is given fewer, long before anything fails there;
 * taking turns would give it its full share.
 */
export class Balancer {
  readonly #hosts: ReadonlyMap<string, Host>
  #usable: Host[] = []
  #stale = true

  constructor(hosts: ReadonlyMap<string, Host>) {
    this.#hosts = hosts
  }

  /** Some host's state is another one. */
  changed(): void {
    this.#stale = true
  }

  /** Null when none has room. Where none is usable, those that are ejected, unhealthy or doubtful are (Envoy's panic). */
  pick(avoid: Host | null): Host | null {
    if (this.#stale) this.#rebuild()
    const usable = this.#usable
    const { length } = usable
    if (length === 0) return least([...this.#hosts.values()].filter(isAvailable), avoid)
    let host = usable[0] as Host
    if (length > 1) {
      const i = Math.floor(Math.random() * length)
      const j = (i + 1 + Math.floor(Math.random() * (length - 1))) % length
      const [one, other] = [usable[i] as Host, usable[j] as Host]
      host = one.inFlight <= other.inFlight ? one : other
    }
    return host !== avoid && host.room > 0 ? host : least(usable, avoid)
  }

  #rebuild(): void {
    this.#stale = false
    this.#usable = [...this.#hosts.values()].filter(({ state }) => state === 'usable')
  }
}

function isAvailable({ available }: Host): boolean {
  return available
}

/** The host with room and the fewest checks under way; `avoid` only if there is no other. */
function least(hosts: readonly Host[], avoid: Host | null): Host | null {
  let best: Host | null = null
  for (const host of hosts) {
    if (host === avoid || host.room <= 0) continue
    if (best === null || host.inFlight < best.inFlight) best = host
  }
  return best ?? (avoid !== null && avoid.room > 0 && hosts.includes(avoid) ? avoid : null)
}
