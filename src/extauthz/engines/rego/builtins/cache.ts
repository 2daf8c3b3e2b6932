/** What is costly to make from a text, for the texts that were used last. */
export class BoundedCache<T> {
  readonly #limit: number
  /** In the order of their last use. */
  readonly #entries = new Map<string, T>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** What `make` throws is thrown, and not kept. */
  get(text: string, make: () => T): T {
    const found = this.#entries.get(text)
    if (found !== undefined) {
      if (this.#entries.size > 1) {
        this.#entries.delete(text)
        this.#entries.set(text, found)
      }
      return found
    }
    const made = make()
    if (this.#entries.size >= this.#limit) {
      const [oldest] = this.#entries.keys()
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    this.#entries.set(text, made)
    return made
  }
}
