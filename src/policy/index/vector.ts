/** A list in parts, of which a change copies one: the rest is shared. Read as `parts[i >> 8][i & 255]`. */
export type Vector<T> = readonly (readonly T[])[]

const BITS = 8
const LAST = (1 << BITS) - 1

export function get<T>(vector: Vector<T>, i: number): T {
  return (vector[i >> BITS] as readonly T[])[i & LAST] as T
}

/** Changes a vector, and leaves the one that it began with alone. */
export class VectorEdit<T> {
  readonly #parts: (readonly T[])[]
  readonly #own = new Set<readonly T[]>()

  constructor(vector: Vector<T>) {
    this.#parts = vector.slice()
  }

  /** `i` is at most one behind the last. */
  set(i: number, value: T): void {
    const at = i >> BITS
    const old = this.#parts[at] ?? []
    const part = this.#own.has(old) ? (old as T[]) : old.slice()
    part[i & LAST] = value
    this.#own.add(part)
    this.#parts[at] = part
  }

  get(i: number): T {
    return get(this.#parts, i)
  }

  vector(): Vector<T> {
    this.#own.clear()
    return this.#parts
  }
}
