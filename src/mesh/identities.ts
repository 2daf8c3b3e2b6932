/** What is declared, to know at once that nothing is declared twice: how often each identity is, kept as documents change. */
export class Identities {
  readonly #counts = new Map<string, number>()
  #surplus = 0

  /** Whether something is declared more than once. */
  get repeated(): boolean {
    return this.#surplus > 0
  }

  add(identity: string): void {
    const count = this.#counts.get(identity) ?? 0
    this.#counts.set(identity, count + 1)
    if (count > 0) this.#surplus++
  }

  remove(identity: string): void {
    const count = this.#counts.get(identity) ?? 0
    if (count > 1) {
      this.#counts.set(identity, count - 1)
      this.#surplus--
    } else this.#counts.delete(identity)
  }
}
