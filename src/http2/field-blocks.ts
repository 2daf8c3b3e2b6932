import { type Fault, fault, protocolError } from './fault.ts'
import { ErrorCode, Flag, paddingStart, readUint32 } from './frames.ts'
import { type HeaderBlock, HpackDecoder } from './hpack/decoder.ts'
import type { ConnectionLimits } from './limits.ts'

/** A list of fields that is whole, and the flags of the frame that began it. */
export interface FieldList {
  readonly stream: number
  readonly ended: boolean
  readonly decoded: Exclude<HeaderBlock, { kind: 'broken' }>
}

/** A list that is not whole yet. */
interface Partial {
  readonly stream: number
  readonly ended: boolean
  readonly parts: Buffer[]
  size: number
}

/** Puts HEADERS and CONTINUATION together, and decodes them (RFC 9113, sections 4.3, 6.2 and 6.10). */
export class FieldBlocks {
  readonly #decoder: HpackDecoder
  readonly #most: number
  #partial: Partial | null = null

  constructor({ headerList, fields }: ConnectionLimits) {
    this.#most = headerList
    this.#decoder = new HpackDecoder({ table: 4096, list: headerList, fields })
  }

  /** The stream whose list must go on before anything else may come; null when there is none. */
  get unfinished(): number | null {
    return this.#partial === null ? null : this.#partial.stream
  }

  headers(stream: number, flags: number, bytes: Buffer, start: number, end: number): Fault | FieldList | null {
    let from = start
    let to = end
    if ((flags & Flag.padded) !== 0) {
      to = paddingStart(bytes, from, to)
      from++
      if (to < from) return protocolError('padding is longer than its frame')
    }
    if ((flags & Flag.priority) !== 0) {
      if (to - from < 5) return fault(ErrorCode.frameSizeError, 'a priority is cut off')
      if ((readUint32(bytes, from) & 0x7fff_ffff) === stream) return protocolError('a stream depends on itself')
      from += 5
    }
    const ended = (flags & Flag.endStream) !== 0
    if ((flags & Flag.endHeaders) !== 0) return this.#decode(stream, ended, bytes, from, to)
    this.#partial = { stream, ended, parts: [Buffer.from(bytes.subarray(from, to))], size: to - from }
    return null
  }

  continuation(flags: number, bytes: Buffer, from: number, to: number): Fault | FieldList | null {
    const partial = this.#partial
    if (partial === null) return protocolError('CONTINUATION of nothing')
    partial.parts.push(Buffer.from(bytes.subarray(from, to)))
    partial.size += to - from
    if (partial.size > this.#most || partial.parts.length > MOST_PARTS) {
      return fault(ErrorCode.enhanceYourCalm, 'a list of fields is too long')
    }
    if ((flags & Flag.endHeaders) === 0) return null
    this.#partial = null
    const block = Buffer.concat(partial.parts)
    return this.#decode(partial.stream, partial.ended, block, 0, block.length)
  }

  #decode(stream: number, ended: boolean, bytes: Buffer, from: number, to: number): Fault | FieldList {
    const decoded = this.#decoder.decode(bytes, from, to)
    if (decoded.kind === 'broken') return fault(ErrorCode.compressionError, decoded.reason)
    return { stream, ended, decoded }
  }
}

/** Frames of one list of fields. */
const MOST_PARTS = 32
