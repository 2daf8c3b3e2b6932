import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/** An IP address, a DNS name, or `unix:/path` (then without a port). */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** Asked at every check: an empty list means that there is nobody to ask. */
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
const maxNames = 64
const maxAddresses = 64

interface Entry {
  addresses: readonly string[]
  /** On the clock of `performance.now`. */
  refreshAt: number
  pending: Promise<void> | null
}

/** Resolves endpoints. A name whose answer is old is still used while a new one is on its way. */
export class Resolver {
  readonly #lookup: Lookup
  readonly #entries = new Map<string, Entry>()

  constructor(lookup: Lookup = systemLookup) {
    this.#lookup = lookup
  }

  /** A promise only when a name has to be waited for. */
  resolve(endpoints: readonly Endpoint[]): readonly Target[] | Promise<readonly Target[]> {
    const pending: Promise<void>[] = []
    for (const { address } of endpoints) {
      if (!isName(address)) continue
      const entry = this.#refresh(address)
      if (entry.addresses.length === 0 && entry.pending !== null) pending.push(entry.pending)
    }
    if (pending.length === 0) return this.#targets(endpoints)
    return Promise.all(pending).then(() => this.#targets(endpoints))
  }

  #refresh(name: string): Entry {
    const now = performance.now()
    const entry = this.#entries.get(name) ?? this.#add(name)
    if (entry.pending !== null || now < entry.refreshAt) return entry
    entry.pending = this.#lookup(name).then(
      (addresses) => {
        entry.addresses = addresses.slice(0, maxAddresses)
        entry.refreshAt = performance.now() + fresh
        entry.pending = null
      },
      () => {
        // Old addresses are better than none, as with Envoy's STRICT_DNS.
        entry.refreshAt = performance.now() + freshFailure
        entry.pending = null
      },
    )
    return entry
  }

  #add(name: string): Entry {
    const [oldest] = this.#entries.keys()
    if (this.#entries.size >= maxNames && oldest !== undefined) this.#entries.delete(oldest)
    const entry: Entry = { addresses: [], refreshAt: 0, pending: null }
    this.#entries.set(name, entry)
    return entry
  }

  #targets(endpoints: readonly Endpoint[]): Target[] {
    return endpoints.flatMap(({ address, port }): Target[] => {
      if (address.startsWith('unix:')) return [{ kind: 'unix', key: address, path: socketPath(address) }]
      const addresses = isName(address) ? (this.#entries.get(address)?.addresses ?? []) : [address]
      return addresses.map((host): Target => ({ kind: 'tcp', key: `${host} ${port}`, host, port }))
    })
  }
}

function isName(address: string): boolean {
  return isIP(address) === 0 && !address.startsWith('unix:')
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
