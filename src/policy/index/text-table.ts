import type { Owner } from './owner.ts'

/** One text of a table; those that share a place are linked. */
interface Link<V> {
  readonly hash: number
  readonly text: string
  readonly value: V
  readonly next: Link<V> | null
}

interface Part<V> {
  readonly owner: Owner
  readonly links: (Link<V> | null)[]
}

/**
 * Values by whole texts. A hash table, because at a hundred thousand texts each step through cold memory counts, and a
 * tree has many. It grows by one place for each text (linear hashing: the next place in turn is divided), and stands in
 * parts, of which a change copies one, so that changing it costs the same whatever its size. Nobody who writes policies
 * can choose texts that share a place: the hash has a seed of its own in each table.
 */
export interface TextTable<V> {
  readonly owner: Owner
  readonly seed: number
  parts: Part<V>[]
  /** How many places there are. */
  places: number
  count: number
  /** No text is, or was, longer. */
  longest: number
}

const PART_BITS = 8
const PART_LAST = (1 << PART_BITS) - 1
const FEWEST = 8

/** The table with `change` applied to the value of `text`; null is no value. */
export function changeTable<V>(
  old: TextTable<V> | null,
  text: string,
  owner: Owner,
  change: (value: V | null) => V | null,
): TextTable<V> | null {
  const table = own(old, owner)
  const hash = hashOf(text, 0, text.length, table.seed)
  const place = placeOf(hash, table.places)
  const links = linksOf(table, place)
  const first = links[place & PART_LAST] ?? null
  const before = find(first, hash, text)
  const value = change(before?.value ?? null)
  if (before !== null) {
    links[place & PART_LAST] = without(first, before)
    table.count--
  }
  if (value !== null) {
    links[place & PART_LAST] = { hash, text, value, next: links[place & PART_LAST] ?? null }
    table.count++
    table.longest = Math.max(table.longest, text.length)
  }
  if (table.count > table.places) divide(table)
  else if (table.count < table.places >> 1 && table.places > FEWEST) unite(table)
  return table.count === 0 ? null : table
}

/** The value of what stands in `text` between `from` and `to`. Allocates nothing. */
export function getTable<V>(table: TextTable<V>, text: string, from: number, to: number): V | null {
  const length = to - from
  if (length > table.longest) return null
  const hash = hashOf(text, from, to, table.seed)
  const place = placeOf(hash, table.places)
  let link = (table.parts[place >> PART_BITS] as Part<V>).links[place & PART_LAST] as Link<V> | null
  for (; link !== null; link = link.next) {
    if (link.hash === hash && link.text.length === length && text.startsWith(link.text, from)) return link.value
  }
  return null
}

function own<V>(table: TextTable<V> | null, owner: Owner): TextTable<V> {
  if (table === null) {
    const links = new Array<Link<V> | null>(FEWEST).fill(null)
    const seed = Math.floor(Math.random() * 2 ** 32) | 0
    return { owner, seed, parts: [{ owner, links }], places: FEWEST, count: 0, longest: 0 }
  }
  if (table.owner === owner) return table
  const { seed, parts, places, count, longest } = table
  return { owner, seed, parts: parts.slice(), places, count, longest }
}

/** The part of a place, which is then the table's own. */
function linksOf<V>({ owner, parts }: TextTable<V>, place: number): (Link<V> | null)[] {
  const at = place >> PART_BITS
  const part = parts[at] ?? { owner, links: [] }
  const mine = part.owner === owner ? part : { owner, links: part.links.slice() }
  parts[at] = mine
  return mine.links
}

/** Of twice as many places as there were at the last doubling, those that exist yet; the others stand in the lower half. */
function placeOf(hash: number, places: number): number {
  const half = halfOf(places)
  const place = hash & (2 * half - 1)
  return place < places ? place : place & (half - 1)
}

/** The greatest power of two that is less than `places` (or, for the fewest, equal to it). */
function halfOf(places: number): number {
  return 1 << (31 - Math.clz32(places))
}

/** One place more: it takes its texts from the place that stood for it. */
function divide<V>(table: TextTable<V>): void {
  const fresh = table.places
  const from = fresh - halfOf(fresh)
  table.places = fresh + 1
  const links = linksOf(table, from)
  const all = links[from & PART_LAST] ?? null
  links[from & PART_LAST] = null
  linksOf(table, fresh)[fresh & PART_LAST] = null
  for (let link = all; link !== null; link = link.next) put(table, link)
}

/** One place less: its texts go back. */
function unite<V>(table: TextTable<V>): void {
  const last = table.places - 1
  const links = linksOf(table, last)
  const all = links[last & PART_LAST] ?? null
  links.length = last & PART_LAST
  if (links.length === 0) table.parts.pop()
  table.places = last
  for (let link = all; link !== null; link = link.next) put(table, link)
}

function put<V>(table: TextTable<V>, { hash, text, value }: Link<V>): void {
  const place = placeOf(hash, table.places)
  const links = linksOf(table, place)
  links[place & PART_LAST] = { hash, text, value, next: links[place & PART_LAST] ?? null }
}

function find<V>(first: Link<V> | null, hash: number, text: string): Link<V> | null {
  for (let link = first; link !== null; link = link.next) if (link.hash === hash && link.text === text) return link
  return null
}

function without<V>(first: Link<V> | null, gone: Link<V>): Link<V> | null {
  if (first === null || first === gone) return gone.next
  const { hash, text, value } = first
  return { hash, text, value, next: without(first.next, gone) }
}

function hashOf(text: string, from: number, to: number, seed: number): number {
  let hash = seed
  for (let i = from; i < to; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995)
    hash ^= hash >>> 15
  }
  return hash
}
