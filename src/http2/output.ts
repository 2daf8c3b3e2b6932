import { FRAME_HEADER, writeFrameHeader } from './frames.ts'

/** Frames that are to be written, gathered so that many of them are one write to the socket. */
export class Output {
  readonly #write: (bytes: Buffer) => void
  #room = Buffer.allocUnsafe(INITIAL)
  #length = 0
  #scheduled = false

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write
  }

  frame(type: number, flags: number, stream: number, payload: Uint8Array): void {
    const at = this.#reserve(FRAME_HEADER + payload.length)
    writeFrameHeader(this.#room, at, payload.length, type, flags, stream)
    this.#room.set(payload, at + FRAME_HEADER)
    this.#schedule()
  }

  /** A frame whose payload is one number of four octets, or two. */
  numbers(type: number, stream: number, first: number, second: number | null = null): void {
    const length = second === null ? 4 : 8
    const at = this.#reserve(FRAME_HEADER + length)
    writeFrameHeader(this.#room, at, length, type, 0, stream)
    this.#room.writeUInt32BE(first, at + FRAME_HEADER)
    if (second !== null) this.#room.writeUInt32BE(second, at + FRAME_HEADER + 4)
    this.#schedule()
  }

  raw(bytes: Uint8Array): void {
    this.#room.set(bytes, this.#reserve(bytes.length))
    this.#schedule()
  }

  /** Writes all that is there now. */
  flush(): void {
    if (this.#length === 0) return
    const bytes = this.#room.subarray(0, this.#length)
    // The socket may hold on to what it was given.
    this.#room = Buffer.allocUnsafe(INITIAL)
    this.#length = 0
    this.#write(bytes)
  }

  /** What is written in answer to several messages of one turn goes together. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.flush()
    })
  }

  /** Where so many octets may be written. */
  #reserve(size: number): number {
    const at = this.#length
    if (at + size > this.#room.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#room.length * 2, at + size))
      this.#room.copy(larger, 0, 0, at)
      this.#room = larger
    }
    this.#length = at + size
    return at
  }
}

const INITIAL = 4096
