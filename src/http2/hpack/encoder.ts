import { DynamicTable } from './dynamic-table.ts'
import { huffmanLength, writeHuffman } from './huffman.ts'
import { LONGEST_INTEGER, writeInteger } from './integer.ts'
import { STATIC_COUNT, type StaticName, staticByName } from './static-table.ts'

/** What the dynamic table has of a name: where it came last, and each of its values. */
interface KnownName {
  last: number
  readonly byValue: Map<string, number>
}

/** RFC 7541, section 7.1.3: no table keeps them, ours or that of anybody on the way. */
const SECRET: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie'])

/** Different in each message: keeping them would push out what repeats. */
const FLEETING: ReadonlySet<string> = new Set([
  ':path',
  'content-length',
  'date',
  'etag',
  'grpc-timeout',
  'x-request-id',
])

/** Lists whose block is remembered. */
const REMEMBERED = 4

/** A value of more octets is not kept. */
const LONGEST_KEPT = 512

/** Encodes the header blocks of a connection, in their order (RFC 7541). */
export class HpackEncoder {
  readonly #table: DynamicTable
  readonly #known = new Map<string, KnownName>()
  /** The smallest and the last limit since the last block, which the next must announce; null when there is none. */
  #resized: { readonly smallest: number; readonly last: number } | null = null
  #room = Buffer.allocUnsafe(1024)
  /** How often the table has changed. */
  #changes = 0
  /** The last lists that changed nothing in the table, with how often it had changed then. */
  readonly #last: { readonly fields: readonly string[]; readonly block: Uint8Array; readonly changes: number }[] = []
  #turn = 0

  /** `limit` of the dynamic table, at most what the peer allows. */
  constructor(limit = 4096) {
    this.#table = new DynamicTable(limit, (name, value, number) => this.#forget(name, value, number))
  }

  /** The peer allows another size. At most `most` of it is used. */
  resize(limit: number, most = 4096): void {
    const next = Math.min(limit, most)
    if (next === this.#table.limit) return
    this.#table.resize(next)
    this.#last.length = 0
    this.#turn = 0
    const smallest = Math.min(this.#resized?.smallest ?? next, next)
    this.#resized = { smallest, last: next }
  }

  /**
   * `fields` are names and values in turn, of octets as Latin-1, names in lower case. A list may be given again, and is
   * then cheap, but must never change. The block must not be changed either.
   */
  encode(fields: readonly string[]): Uint8Array {
    let at = 0
    const resized = this.#resized !== null
    if (this.#resized === null) {
      for (const last of this.#last) if (last.fields === fields && last.changes === this.#changes) return last.block
    } else {
      const { smallest, last } = this.#resized
      if (smallest < last) at = writeInteger(smallest, 5, 0x20, this.#room, at)
      at = writeInteger(last, 5, 0x20, this.#room, at)
      this.#resized = null
    }
    const changes = this.#changes
    for (let i = 0; i + 1 < fields.length; i += 2) at = this.#field(fields[i] as string, fields[i + 1] as string, at)
    const block = Uint8Array.prototype.slice.call(this.#room, 0, at)
    // What changed the table is written otherwise the next time.
    if (!resized && this.#changes === changes) {
      this.#last[this.#turn] = { fields, block, changes }
      this.#turn = (this.#turn + 1) % REMEMBERED
    }
    return block
  }

  #field(name: string, value: string, start: number): number {
    let at = start
    this.#reserve(at, name.length + value.length)
    const fixed = staticByName.get(name)
    const known = this.#known.get(name)
    const whole = this.#indexOf(fixed, known, value)
    if (whole !== 0) return writeInteger(whole, 7, 0x80, this.#room, at)
    const secret = SECRET.has(name)
    const kept = !secret && !FLEETING.has(name) && value.length <= LONGEST_KEPT
    const index = fixed?.index ?? (known === undefined ? 0 : this.#dynamic(known.last))
    at = kept ? writeInteger(index, 6, 0x40, this.#room, at) : writeInteger(index, 4, secret ? 0x10 : 0, this.#room, at)
    if (index === 0) at = this.#text(name, at)
    at = this.#text(value, at)
    if (kept) this.#keep(name, value)
    return at
  }

  /** Of the whole field; 0 when neither table has it. */
  #indexOf(fixed: StaticName | undefined, known: KnownName | undefined, value: string): number {
    const place = fixed?.byValue.get(value)
    // A name that has no value in the static table stands there with an empty one.
    if (place !== undefined) return place
    const number = known?.byValue.get(value)
    return number === undefined ? 0 : this.#dynamic(number)
  }

  #dynamic(number: number): number {
    return STATIC_COUNT + this.#table.next - number
  }

  #keep(name: string, value: string): void {
    const number = this.#table.next
    // Also what is too large to be added changes it.
    this.#changes++
    if (!this.#table.add(name, value)) return
    const known = this.#known.get(name)
    if (known === undefined) this.#known.set(name, { last: number, byValue: new Map([[value, number]]) })
    else {
      known.last = number
      known.byValue.set(value, number)
    }
  }

  #forget(name: string, value: string, number: number): void {
    const known = this.#known.get(name)
    if (known === undefined) return
    if (known.byValue.get(value) === number) known.byValue.delete(value)
    if (known.last === number) this.#known.delete(name)
  }

  #text(text: string, start: number): number {
    const coded = huffmanLength(text)
    if (coded < text.length) return writeHuffman(text, this.#room, writeInteger(coded, 7, 0x80, this.#room, start))
    const at = writeInteger(text.length, 7, 0, this.#room, start)
    return at + this.#room.write(text, at, 'latin1')
  }

  /** Room for one more field behind what is written. */
  #reserve(at: number, texts: number): void {
    const needed = at + texts + 3 * LONGEST_INTEGER
    if (needed <= this.#room.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#room.length * 2))
    this.#room.copy(larger, 0, 0, at)
    this.#room = larger
  }
}
