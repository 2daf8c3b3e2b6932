/** What the table counts for each entry beside its texts (RFC 7541, section 4.1). */
const OVERHEAD = 32

/**
 * The fields that came last, within a bound of octets (RFC 7541, section 2.3.2). Every field has a number, from 0 on, that
 * never changes; the oldest leave.
 */
export class DynamicTable {
  readonly names: string[] = []
  readonly values: string[] = []
  /** The number of the field in place 0 of both lists. */
  #base = 0
  /** The number of the oldest that is still here. */
  #oldest = 0
  #size = 0
  #limit: number
  readonly #left: (name: string, value: string, number: number) => void

  /** `left` is told of every field that leaves. */
  constructor(limit: number, left: (name: string, value: string, number: number) => void = () => {}) {
    this.#limit = limit
    this.#left = left
  }

  get count(): number {
    return this.#base + this.names.length - this.#oldest
  }

  /** The number that the next field gets. */
  get next(): number {
    return this.#base + this.names.length
  }

  get limit(): number {
    return this.#limit
  }

  resize(limit: number): void {
    this.#limit = limit
    this.#evict(limit)
  }

  /** False when the field is larger than the table, which it then has emptied. */
  add(name: string, value: string): boolean {
    const size = name.length + value.length + OVERHEAD
    this.#evict(this.#limit - size)
    if (size > this.#limit) return false
    this.names.push(name)
    this.values.push(value)
    this.#size += size
    return true
  }

  /** By how many fields came after it; that must be one that is here. */
  nameAt(age: number): string {
    return this.names[this.names.length - 1 - age] as string
  }

  valueAt(age: number): string {
    return this.values[this.values.length - 1 - age] as string
  }

  #evict(most: number): void {
    while (this.#size > most && this.count > 0) {
      const place = this.#oldest - this.#base
      const name = this.names[place] as string
      const value = this.values[place] as string
      this.#size -= name.length + value.length + OVERHEAD
      this.#left(name, value, this.#oldest)
      this.#oldest++
    }
    // Half of the lists may be gone before they are moved, so that leaving costs the same for each.
    const gone = this.#oldest - this.#base
    if (gone > 32 && gone * 2 > this.names.length) {
      this.names.splice(0, gone)
      this.values.splice(0, gone)
      this.#base = this.#oldest
    }
  }
}
