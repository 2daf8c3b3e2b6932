import { Buffer } from 'node:buffer'

const INITIAL = 1024

/** A longer text is written by the runtime. */
const SHORT = 40

/** Writes protobuf's wire format. Fields of value 0, and empty texts, are the caller's to leave out. */
export class WireWriter {
  #room = Buffer.allocUnsafe(INITIAL)
  #at: number

  /** The first octets are left for whoever frames the message. */
  constructor(reserved = 0) {
    this.#at = reserved
  }

  number(field: number, value: number): void {
    this.#reserve(16)
    this.#varint(field * 8)
    this.#varint(value)
  }

  text(field: number, value: string): void {
    // Three octets for each unit are the most that UTF-8 takes.
    this.#reserve(value.length * 3 + 16)
    this.#varint(field * 8 + 2)
    const start = this.#at + 1
    const ascii = value.length < SHORT && this.#ascii(value, start)
    this.#close(start, ascii ? value.length : this.#room.write(value, start, 'utf8'))
  }

  octets(field: number, value: Uint8Array): void {
    this.#reserve(value.length + 16)
    this.#varint(field * 8 + 2)
    this.#varint(value.length)
    this.#room.set(value, this.#at)
    this.#at += value.length
  }

  /** A message that `write` writes. */
  message(field: number, write: () => void): void {
    const start = this.begin(field)
    write()
    this.end(start)
  }

  /** Begins a message; `end` is given what this gives. */
  begin(field: number): number {
    this.#reserve(16)
    this.#varint(field * 8 + 2)
    this.#at++
    return this.#at
  }

  end(start: number): void {
    this.#reserve(8)
    this.#close(start, this.#at - start)
  }

  /** All of it, with the octets that were reserved. The room is handed over. */
  finish(): Buffer {
    return this.#room.subarray(0, this.#at)
  }

  /** Writes a text unit by unit, which is quicker where there are few; false when one is no ASCII. */
  #ascii(value: string, start: number): boolean {
    const room = this.#room
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i)
      if (unit >= 0x80) return false
      room[start + i] = unit
    }
    return true
  }

  /** Puts the length before what stands at `start`, for which one octet was left. */
  #close(start: number, length: number): void {
    let more = 0
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) more++
    if (more > 0) this.#room.copyWithin(start + more, start, start + length)
    this.#at = start - 1
    this.#varint(length)
    this.#at += length
  }

  #varint(value: number): void {
    let rest = value
    // Beyond 32 bits, shifts do not do.
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.#room[this.#at++] = (rest % 128) | 0x80
    this.#room[this.#at++] = rest
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#room.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#room.length * 2, this.#at + size))
    this.#room.copy(larger, 0, 0, this.#at)
    this.#room = larger
  }
}
