import { Buffer } from 'node:buffer'

const SMALLEST = 256

/**
 * Octets that come in parts. They are copied together as they come: a list of the parts would hold, for each octet of a
 * peer that sends one at a time, an object of a hundred, or the whole chunk that it came in.
 */
export class Gathered {
  #room: Buffer = NOTHING
  #length = 0

  get length(): number {
    return this.#length
  }

  add(bytes: Uint8Array, from = 0, to = bytes.length): void {
    const at = this.#length
    const length = at + to - from
    if (length > this.#room.length) {
      // The first part is often all.
      const size = at === 0 ? length : Math.max(length, this.#room.length * 2, SMALLEST)
      const larger = Buffer.allocUnsafe(size)
      this.#room.copy(larger, 0, 0, at)
      this.#room = larger
    }
    this.#room.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), at)
    this.#length = length
  }

  /** All of them. What is added later is not in it. */
  get octets(): Buffer {
    return this.#room.subarray(0, this.#length)
  }
}

const NOTHING = Buffer.alloc(0)
