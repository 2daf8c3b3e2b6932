import { Buffer } from 'node:buffer'

const prefixBytes = 5

/** The messages of a streaming call, as they become whole. Holds no more than one of them. */
export class MessageSplitter {
  readonly #limit: number
  #chunks: Buffer[] = []
  #length = 0
  /** Bytes until the next message, or its prefix, is whole. */
  #wanted = prefixBytes

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Whether the stream may end here. */
  get atBoundary(): boolean {
    return this.#length === 0
  }

  /** Gives each message that the chunk completes to `message`. Says what is wrong, after which nothing is to be pushed. */
  push(chunk: Buffer, message: (message: Uint8Array) => void): null | 'compressed' | 'tooLarge' | 'malformed' {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#length < this.#wanted) return null
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    while (bytes.length >= prefixBytes) {
      const flag = bytes[0] as number
      if (flag === 1) return 'compressed'
      if (flag !== 0) return 'malformed'
      const length = bytes.readUInt32BE(1)
      if (length > this.#limit) return 'tooLarge'
      this.#wanted = prefixBytes + length
      if (bytes.length < this.#wanted) break
      message(bytes.subarray(prefixBytes, this.#wanted))
      bytes = bytes.subarray(this.#wanted)
      this.#wanted = prefixBytes
    }
    this.#chunks = bytes.length === 0 ? [] : [bytes]
    this.#length = bytes.length
    return null
  }
}
