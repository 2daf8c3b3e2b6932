import type { Counter, Gauge, MetricsRegistry } from '../observe/metrics.ts'

/** What the fetching of keys tells about itself. The label `uri` has no query and no credentials. */
export class JwksMetrics {
  readonly #fetches: Counter | null
  readonly #keys: Gauge | null
  readonly #fetchedAt: Gauge | null

  constructor(metrics: MetricsRegistry | undefined) {
    const uri = ['uri']
    this.#fetches = metrics?.counter('sallyport_jwks_fetches_total', 'Fetches of key sets.', ['uri', 'outcome']) ?? null
    this.#keys = metrics?.gauge('sallyport_jwks_keys', 'Usable keys at hand; 0: its tokens are refused.', uri) ?? null
    this.#fetchedAt =
      metrics?.gauge('sallyport_jwks_fetched_timestamp_seconds', 'When usable keys were last fetched.', uri) ?? null
  }

  /** `keys`: how many are at hand now. `fetchedAt` is in milliseconds since the epoch. */
  fetched(uri: string, outcome: 'ok' | 'failed', keys: number, fetchedAt: number): void {
    this.#fetches?.inc([uri, outcome])
    this.#keys?.set(keys, [uri])
    if (outcome === 'ok') this.#fetchedAt?.set(Math.floor(fetchedAt / 1000), [uri])
  }

  /** What is no longer used must not look like an outage. */
  forget(uri: string): void {
    this.#keys?.remove([uri])
    this.#fetchedAt?.remove([uri])
  }
}
