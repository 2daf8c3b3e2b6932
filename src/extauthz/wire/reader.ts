import { isUtf8 } from 'node:buffer'

/** How a field is written (protobuf's wire format). */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, group: 3, groupEnd: 4, fixed32: 5 } as const

/** Groups within groups that are skipped. */
const DEEPEST = 100

/**
 * Reads protobuf's wire format from a part of a buffer. What is malformed, or cut off, sets `failed`, and nothing is read
 * from then on.
 */
export class WireReader {
  readonly bytes: Buffer
  at: number
  end: number
  failed = false
  /** Of the field that `next` found. */
  field = 0
  type = 0
  /** Of what `span` read. */
  from = 0
  to = 0

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  /** Goes to the next field; false at the end, or when there is none. */
  next(): boolean {
    if (this.at >= this.end || this.failed) return false
    const tag = this.varint()
    this.field = tag >>> 3
    this.type = tag & 7
    if (this.field === 0) this.failed = true
    return !this.failed
  }

  /** The low 32 bits of a number. */
  varint(): number {
    const { bytes, end } = this
    let at = this.at
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= end) break
      const byte = bytes[at++] as number
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte >= 0x80) continue
      this.at = at
      return value >>> 0
    }
    this.failed = true
    return 0
  }

  /** A number of 64 bits, exact up to 2^53. */
  varint64(): number {
    let low = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.at >= this.end) break
      const byte = this.bytes[this.at++] as number
      low |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return Number(BigInt.asIntN(64, low))
    }
    this.failed = true
    return 0
  }

  /** Text, octets or a message: between `from` and `to`. False when the field is none of them. */
  span(): boolean {
    if (this.type !== WireType.bytes) this.failed = true
    else {
      const length = this.varint()
      this.from = this.at
      this.to = this.at + length
      if (this.to > this.end) this.failed = true
      this.at = this.to
    }
    return !this.failed
  }

  /** As `span`, of a text: it must be UTF-8. */
  text(): boolean {
    if (this.span() && !isText(this.bytes, this.from, this.to)) this.failed = true
    return !this.failed
  }

  /** Passes over a field that is not known. */
  skip(depth = 0): void {
    switch (this.type) {
      case WireType.varint:
        this.varint()
        return
      case WireType.fixed64:
        this.#pass(8)
        return
      case WireType.bytes:
        this.span()
        return
      case WireType.fixed32:
        this.#pass(4)
        return
      case WireType.group:
        this.#skipGroup(this.field, depth)
        return
      default:
        this.failed = true
    }
  }

  #pass(count: number): void {
    this.at += count
    if (this.at > this.end) this.failed = true
  }

  #skipGroup(field: number, depth: number): void {
    if (depth >= DEEPEST) this.failed = true
    while (this.next()) {
      if (this.type === WireType.groupEnd) {
        if (this.field !== field) this.failed = true
        return
      }
      this.skip(depth + 1)
    }
    this.failed = true
  }
}

/** Whether a text of protobuf is one: it must be UTF-8. */
export function isText(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if ((bytes[i] as number) >= 0x80) return isUtf8(bytes.subarray(from, to))
  return true
}

/** A text that has been found to be one. */
export function textOf(bytes: Buffer, from: number, to: number): string {
  for (let i = from; i < to; i++) if ((bytes[i] as number) >= 0x80) return bytes.toString('utf8', from, to)
  return from === to ? '' : bytes.toString('latin1', from, to)
}
