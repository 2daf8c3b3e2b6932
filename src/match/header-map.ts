/**
 * The header lines of one message, in order. Names are lower-case; values are bytes as Latin-1 and are never split,
 * trimmed or decoded here. Mutable on purpose: a request's headers are changed in place by each stage that owns them.
 */
export class HeaderMap {
  /** Name, value, name, value, ... */
  readonly #lines: string[] = []

  static from(lines: Iterable<readonly [string, string]>): HeaderMap {
    const map = new HeaderMap()
    for (const [name, value] of lines) map.append(name, value)
    return map
  }

  /** From Node's flat `rawHeaders`, which keeps every line and its order. */
  static fromRaw(raw: readonly string[]): HeaderMap {
    const map = new HeaderMap()
    for (let i = 0; i + 1 < raw.length; i += 2) map.append(raw[i] as string, raw[i + 1] as string)
    return map
  }

  /** How many lines there are. */
  get size(): number {
    return this.#lines.length / 2
  }

  nameAt(index: number): string {
    return this.#lines[index * 2] as string
  }

  valueAt(index: number): string {
    return this.#lines[index * 2 + 1] as string
  }

  has(name: string): boolean {
    return this.indexOf(name) !== -1
  }

  /** The first line with this (lower-case) name. */
  get(name: string): string | undefined {
    const index = this.indexOf(name)
    return index === -1 ? undefined : this.valueAt(index)
  }

  /** Every line with this name, in order. */
  all(name: string): string[] {
    const values: string[] = []
    for (let i = this.indexOf(name); i !== -1; i = this.indexOf(name, i + 1)) values.push(this.valueAt(i))
    return values
  }

  /** The index of the first line with this name at or after `from`, or -1. Allocates nothing. */
  indexOf(name: string, from = 0): number {
    const lines = this.#lines
    for (let i = from * 2; i < lines.length; i += 2) if (lines[i] === name) return i / 2
    return -1
  }

  append(name: string, value: string): void {
    this.#lines.push(name.toLowerCase(), value)
  }

  /** Replaces every line of this name by one, which stands where the first stood. */
  set(name: string, value: string): void {
    const lower = name.toLowerCase()
    const index = this.indexOf(lower)
    if (index === -1) {
      this.append(lower, value)
      return
    }
    this.#lines[index * 2 + 1] = value
    this.#removeFrom(lower, index + 1)
  }

  /** Removes every line of this name; says whether there was one. */
  delete(name: string): boolean {
    return this.#removeFrom(name.toLowerCase(), 0)
  }

  clone(): HeaderMap {
    const map = new HeaderMap()
    for (const line of this.#lines) map.#lines.push(line)
    return map
  }

  /** The flat form that Node and undici write. */
  toRaw(): string[] {
    return [...this.#lines]
  }

  *[Symbol.iterator](): IterableIterator<[string, string]> {
    for (let i = 0; i < this.#lines.length; i += 2) yield [this.#lines[i] as string, this.#lines[i + 1] as string]
  }

  #removeFrom(name: string, from: number): boolean {
    const lines = this.#lines
    let kept = from * 2
    for (let i = from * 2; i < lines.length; i += 2) {
      if (lines[i] === name) continue
      lines[kept] = lines[i] as string
      lines[kept + 1] = lines[i + 1] as string
      kept += 2
    }
    const removed = kept !== lines.length
    lines.length = kept
    return removed
  }
}
