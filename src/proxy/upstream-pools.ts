import type { Upstream } from './upstream.ts'

/** How long a pool that is given up may go on with what it has, in milliseconds. */
const GRACE = 30_000

/** Endpoints that are talked to, by key, made when first needed. Beyond `most`, the least recently used makes room. */
export class UpstreamPools {
  readonly #most: number
  /** In the order of their last use. */
  readonly #pools = new Map<string, Upstream>()
  readonly #closing = new Set<Promise<void>>()

  constructor(most: number) {
    this.#most = most
  }

  get(key: string, make: () => Upstream): Upstream {
    const known = this.#pools.get(key)
    const pool = known ?? make()
    if (known !== undefined) this.#pools.delete(key)
    this.#pools.set(key, pool)
    if (known === undefined && this.#pools.size > this.#most) this.#evict()
    return pool
  }

  /** Closes those whose key `keep` refuses, when what they are doing is done. */
  retain(keep: (key: string) => boolean): void {
    for (const [key, pool] of this.#pools) if (!keep(key)) this.#retire(key, pool)
  }

  async close(grace: number): Promise<void> {
    const open = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.all(open.map((pool) => pool.close(grace)))
    if (grace === 0) return
    await Promise.all(this.#closing)
  }

  #evict(): void {
    const oldest = this.#pools.entries().next().value
    if (oldest !== undefined) this.#retire(oldest[0], oldest[1])
  }

  #retire(key: string, pool: Upstream): void {
    this.#pools.delete(key)
    const closing = pool.close(GRACE)
    this.#closing.add(closing)
    void closing.finally(() => this.#closing.delete(closing))
  }
}
