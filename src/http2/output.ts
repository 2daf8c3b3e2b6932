import { FRAME_HEADER, writeFrameHeader } from './frames.ts'

/** Writes to the socket. True when the octets have left already, so that their room can be used again. */
export type Write = (bytes: Buffer) => boolean

/** Calls back when this turn's other frames are there too. */
export type Later = (flush: () => void) => void

/** Frames that are to be written, gathered so that many of them are one write to the socket. */
export class Output {
  readonly #write: Write
  readonly #later: Later
  #room = Buffer.allocUnsafe(INITIAL)
  #length = 0
  #scheduled = false
  #held = false

  constructor(write: Write, later: Later) {
    this.#write = write
    this.#later = later
  }

  frame(type: number, flags: number, stream: number, payload: Uint8Array, from = 0, to = payload.length): void {
    const length = to - from
    const at = this.#reserve(FRAME_HEADER + length)
    writeFrameHeader(this.#room, at, length, type, flags, stream)
    this.#copy(payload, from, to, at + FRAME_HEADER)
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

  /** Until `flush`, nothing is written: whoever reads a chunk answers all of it at once. */
  hold(): void {
    this.#held = true
  }

  /** Writes all that is there now. */
  flush(): void {
    this.#held = false
    if (this.#length === 0) return
    const bytes = this.#room.subarray(0, this.#length)
    this.#length = 0
    // The socket may hold on to what it was given.
    if (!this.#write(bytes) || this.#room.length > LARGEST) this.#room = Buffer.allocUnsafe(INITIAL)
  }

  /** What has not been written never will be. */
  stop(): void {
    this.#length = 0
    this.#held = true
  }

  /** What is written in answer to several messages of one turn goes together. */
  #schedule(): void {
    if (this.#scheduled || this.#held) return
    this.#scheduled = true
    this.#later(() => {
      this.#scheduled = false
      this.flush()
    })
  }

  /** A native copy costs more than a few octets. */
  #copy(payload: Uint8Array, from: number, to: number, at: number): void {
    if (to - from > FEW) {
      this.#room.set(from === 0 && to === payload.length ? payload : payload.subarray(from, to), at)
      return
    }
    const room = this.#room
    for (let i = from, j = at; i < to; i++, j++) room[j] = payload[i] as number
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
/** A larger room is not kept for the next time: an idle connection costs little. */
const LARGEST = 16_384
const FEW = 32
