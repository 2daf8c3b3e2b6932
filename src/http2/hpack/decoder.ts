import { DynamicTable } from './dynamic-table.ts'
import { readHuffman } from './huffman.ts'
import { IntegerReader } from './integer.ts'
import { STATIC_COUNT, staticNames, staticValues } from './static-table.ts'

export type HeaderBlock =
  /** Names and values in turn, as Latin-1. */
  | { readonly kind: 'fields'; readonly fields: readonly string[] }
  /** More octets or fields than the limit; the tables are in step, so that the connection can go on. */
  | { readonly kind: 'tooLarge' }
  /** Not HPACK: the connection cannot go on (RFC 9113, section 4.3: COMPRESSION_ERROR). */
  | { readonly kind: 'broken'; readonly reason: string }

export interface DecoderLimits {
  /** Of the dynamic table, in octets, as announced to the peer (SETTINGS_HEADER_TABLE_SIZE). */
  readonly table: number
  /** Of one list of fields: names, values and 32 for each, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  readonly list: number
  readonly fields: number
}

/** A longer block is not compared with the last. */
const LONGEST_REMEMBERED = 128

const TOO_LARGE: HeaderBlock = { kind: 'tooLarge' }

/** Decodes the header blocks of a connection, in their order (RFC 7541). */
export class HpackDecoder {
  readonly #limits: DecoderLimits
  readonly #table: DynamicTable
  /** How often the table has changed. */
  #changes = 0
  /** The last block that changed nothing, of which a connection has many the same. */
  readonly #last = new Uint8Array(LONGEST_REMEMBERED)
  #lastLength = -1
  #lastAt = -1
  #lastFields: HeaderBlock | null = null

  constructor(limits: DecoderLimits) {
    this.#limits = limits
    this.#table = new DynamicTable(limits.table)
  }

  /** The block stands between `from` and `to`. The same object again where the same block means the same fields. */
  decode(block: Uint8Array, from = 0, to = block.length): HeaderBlock {
    if (this.#isLast(block, from, to)) return this.#lastFields as HeaderBlock
    const before = this.#changes
    const decoded = this.#decode(block, from, to)
    // What changed the table means something else the next time.
    if (this.#changes !== before || to - from > LONGEST_REMEMBERED) return decoded
    this.#last.set(block.subarray(from, to))
    this.#lastLength = to - from
    this.#lastAt = before
    this.#lastFields = decoded
    return decoded
  }

  #isLast(block: Uint8Array, from: number, to: number): boolean {
    if (to - from !== this.#lastLength || this.#lastAt !== this.#changes) return false
    const last = this.#last
    for (let i = from, j = 0; i < to; i++, j++) if (block[i] !== last[j]) return false
    return true
  }

  #decode(block: Uint8Array, from: number, to: number): HeaderBlock {
    const { list, fields: most } = this.#limits
    const reader = new IntegerReader(from, to)
    const fields: string[] = []
    let size = 0
    let tooLarge = false
    while (reader.at < to) {
      const first = block[reader.at] as number
      if (first >= 0x20 && first < 0x40) {
        // RFC 7541, section 4.2: only at the beginning of a block.
        if (size > 0) return broken('the table is resized behind a field')
        const limit = reader.read(block, 5)
        if (reader.failed || limit > this.#limits.table) return broken('the table is resized beyond its limit')
        this.#table.resize(limit)
        this.#changes++
        continue
      }
      const indexed = first >= 0x80
      const kept = !indexed && first >= 0x40
      const index = reader.read(block, indexed ? 7 : kept ? 6 : 4)
      if (reader.failed || index > STATIC_COUNT + this.#table.count || (indexed && index === 0)) {
        return broken('there is no field of that index')
      }
      const name = index === 0 ? this.#text(block, reader) : this.#nameAt(index)
      const value = indexed ? this.#valueAt(index) : name === null ? null : this.#text(block, reader)
      if (name === null || value === null) return broken('a text is cut off or no Huffman code')
      if (kept) {
        this.#table.add(name, value)
        this.#changes++
      }
      size += name.length + value.length + 32
      // The rest is decoded all the same: the tables of both sides must agree.
      if (size > list || fields.length >= most * 2) tooLarge = true
      else fields.push(name, value)
    }
    return tooLarge ? TOO_LARGE : { kind: 'fields', fields }
  }

  #nameAt(index: number): string {
    return index <= STATIC_COUNT ? (staticNames[index] as string) : this.#table.nameAt(index - STATIC_COUNT - 1)
  }

  #valueAt(index: number): string {
    return index <= STATIC_COUNT ? (staticValues[index] as string) : this.#table.valueAt(index - STATIC_COUNT - 1)
  }

  #text(block: Uint8Array, reader: IntegerReader): string | null {
    if (reader.at >= reader.end) return null
    const huffman = (block[reader.at] as number) >= 0x80
    const length = reader.read(block, 7)
    const from = reader.at
    const to = from + length
    if (reader.failed || to > reader.end) return null
    reader.at = to
    return huffman ? readHuffman(block, from, to) : latin1(block, from, to)
  }
}

function broken(reason: string): HeaderBlock {
  return { kind: 'broken', reason }
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1')
}
