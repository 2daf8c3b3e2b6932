import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/** An IP address, a DNS name, or `unix:/path` (then without a port). */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/**
 * Asked at every check: an empty list means that there is nobody to ask. The same array means the same endpoints, so
 * that nothing has to be compared.
 */
export type EndpointSource = () => readonly Endpoint[]

/** Where a socket connects to. */
export type Target =
  | { readonly kind: 'tcp'; readonly key: string; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly key: string; readonly path: string }

/** Every address of a name; rejects when there is none. */
export type Lookup = (name: string) => Promise<readonly string[]>

const systemLookup: Lookup = async (name) => (await lookup(name, { all: true })).map(({ address }) => address)

/** Milliseconds for which an answer of DNS is used, and a failure remembered. */
const fresh = 5000
const freshFailure = 1000
/** Endpoints beyond these are left out, as are addresses of one name. */
const maxEndpoints = 256
const maxAddresses = 64

interface Entry {
  addresses: readonly string[]
  /** On the clock of `performance.now`. */
  refreshAt: number
  pending: boolean
  /** Whether a lookup has ended. */
  known: boolean
}

/** Resolves endpoints. A name whose answer is old is still used while a new one is on its way. */
export class Resolver {
  readonly #lookup: Lookup
  readonly #changed: () => void
  #entries = new Map<string, Entry>()

  /** `changed`: what is known of a name is something else now. */
  constructor(lookup: Lookup = systemLookup, changed: () => void = () => {}) {
    this.#lookup = lookup
    this.#changed = changed
  }

  /** Whether a name has still to be waited for. */
  get pending(): boolean {
    for (const entry of this.#entries.values()) if (!entry.known) return true
    return false
  }

  /** What is known now, without repeats; looks up the names whose answer is missing or old, and forgets all others. */
  targets(endpoints: readonly Endpoint[]): readonly Target[] {
    const entries = new Map<string, Entry>()
    const targets = new Map<string, Target>()
    const add = (target: Target) => {
      if (targets.size < maxEndpoints) targets.set(target.key, target)
    }
    for (const { address, port } of endpoints.slice(0, maxEndpoints)) {
      if (address.startsWith('unix:')) add({ kind: 'unix', key: address, path: socketPath(address) })
      // A workload that nothing is known of but its name has no address; a port that there cannot be is no endpoint.
      else if (address === '' || port < 1 || port > 65535) continue
      else if (isIP(address) !== 0) add(tcpTarget(address, port))
      else {
        const entry = entries.get(address) ?? this.#entries.get(address) ?? newEntry()
        entries.set(address, entry)
        for (const host of entry.addresses) add(tcpTarget(host, port))
      }
    }
    this.#entries = entries
    for (const [name, entry] of entries) this.#refresh(name, entry)
    return [...targets.values()]
  }

  #refresh(name: string, entry: Entry): void {
    if (entry.pending || performance.now() < entry.refreshAt) return
    entry.pending = true
    const done = (addresses: readonly string[], again: number) => {
      const same = entry.known && addresses.join() === entry.addresses.join()
      entry.addresses = addresses
      entry.refreshAt = performance.now() + again
      entry.pending = false
      entry.known = true
      if (!same && this.#entries.get(name) === entry) this.#changed()
    }
    this.#lookup(name).then(
      (addresses) => done(addresses.slice(0, maxAddresses), fresh),
      // Old addresses are better than none, as with Envoy's STRICT_DNS.
      () => done(entry.addresses, freshFailure),
    )
  }
}

function newEntry(): Entry {
  return { addresses: [], refreshAt: 0, pending: false, known: false }
}

function tcpTarget(host: string, port: number): Target {
  return { kind: 'tcp', key: `${host} ${port}`, host, port }
}

/** `unix:/path` and `unix:///path` are the same. */
function socketPath(address: string): string {
  const path = address.slice('unix:'.length)
  return path.startsWith('//') ? path.slice(2) : path
}

/** What `net.connect` takes. */
export function socketOptions(
  target: Target,
): { readonly host: string; readonly port: number } | { readonly path: string } {
  return target.kind === 'tcp' ? { host: target.host, port: target.port } : { path: target.path }
}
