import type { Buffer } from 'node:buffer'
import { Gathered } from '../gathered.ts'

const prefixBytes = 5

/** Why nothing more can be read of a streaming call. */
export type SplitProblem = 'compressed' | 'tooLarge' | 'malformed'

/** The messages of a streaming call, as they become whole. Holds no more than one of them. */
export class MessageSplitter {
  readonly #limit: number
  #gathered = new Gathered()
  /** Octets of the prefix, or of prefix and message. */
  #wanted = prefixBytes

  /** `limit` in octets of a message. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Octets of a message that is not whole. */
  get held(): number {
    return this.#gathered.length
  }

  /** Whether the stream may end here. */
  get atBoundary(): boolean {
    return this.held === 0
  }

  /**
   * Gives each message that stands complete at `to` to `message`, whose it then is. Says what is wrong, after which
   * nothing is to be pushed.
   */
  push(bytes: Buffer, from: number, to: number, message: (message: Uint8Array) => void): SplitProblem | null {
    let at = from
    while (at < to) {
      const end = Math.min(to, at + this.#wanted - this.held)
      this.#gathered.add(bytes, at, end)
      at = end
      if (this.held < this.#wanted) return null
      if (this.held === prefixBytes) {
        const problem = this.#readPrefix()
        if (problem !== null) return problem
        if (this.#wanted > prefixBytes) continue
      }
      const whole = this.#gathered.octets
      this.#gathered = new Gathered()
      this.#wanted = prefixBytes
      message(whole.subarray(prefixBytes))
    }
    return null
  }

  #readPrefix(): SplitProblem | null {
    const prefix = this.#gathered.octets
    if (prefix[0] === 1) return 'compressed'
    if (prefix[0] !== 0) return 'malformed'
    const length = prefix.readUInt32BE(1)
    if (length > this.#limit) return 'tooLarge'
    this.#wanted = prefixBytes + length
    return null
  }
}
