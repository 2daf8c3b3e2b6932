/** Integers with a prefix of so many bits (RFC 7541, section 5.1). */

/** Larger ones than any length or index that is taken: such a number is an error, not a size to allocate. */
const MOST = 0x0fff_ffff

/** Writes `value` behind `flags` in the bits above the prefix, and says where it ends. The room must be there. */
export function writeInteger(value: number, prefix: number, flags: number, to: Uint8Array, at: number): number {
  const most = (1 << prefix) - 1
  if (value < most) {
    to[at] = flags | value
    return at + 1
  }
  to[at] = flags | most
  let rest = value - most
  let position = at + 1
  for (; rest >= 128; rest >>>= 7) to[position++] = (rest & 127) | 128
  to[position++] = rest
  return position
}

/** The longest that `writeInteger` writes for what `readInteger` takes. */
export const LONGEST_INTEGER = 6

/** Reads integers one after the other; `failed` once one was cut off or too large. */
export class IntegerReader {
  at: number
  failed = false
  readonly end: number

  /** What is read stands between `at` and `end`. */
  constructor(at: number, end: number) {
    this.at = at
    this.end = end
  }

  read(bytes: Uint8Array, prefix: number): number {
    const most = (1 << prefix) - 1
    if (this.at >= this.end) return this.#fail()
    let value = (bytes[this.at++] as number) & most
    if (value < most) return value
    for (let shift = 0; ; shift += 7) {
      if (this.at >= this.end || shift > 28) return this.#fail()
      const byte = bytes[this.at++] as number
      value += (byte & 127) * 2 ** shift
      if (value > MOST) return this.#fail()
      if (byte < 128) return value
    }
  }

  #fail(): number {
    this.failed = true
    return 0
  }
}
