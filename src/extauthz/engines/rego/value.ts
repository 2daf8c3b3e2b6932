import { compareDecimals } from './decimal.ts'

/** A value of Rego. An object is a `Map`, because its keys may be any value; a key that is no string is not shared. */
export type RegoValue = null | boolean | number | string | Numeral | readonly RegoValue[] | RegoSet | RegoObject

export type RegoObject = ReadonlyMap<RegoValue, RegoValue>

/** A number that a double would change, such as nanoseconds since the epoch or `1.0`; in the notation of JSON. */
export class Numeral {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export class RegoSet {
  /** In no order that means anything; what is given twice counts once where it is used. */
  readonly items: readonly RegoValue[]

  constructor(items: readonly RegoValue[]) {
    this.items = items
  }
}

export function isObject(value: RegoValue): value is RegoObject {
  return value instanceof Map
}

export function isArray(value: RegoValue): value is readonly RegoValue[] {
  return Array.isArray(value)
}

/** An object with these members, without those whose value is undefined. */
export function object(members: Readonly<Record<string, RegoValue | undefined>>): RegoObject {
  const map = new Map<RegoValue, RegoValue>()
  for (const [name, value] of Object.entries(members)) if (value !== undefined) map.set(name, value)
  return map
}

/** A whole number of any size. */
export function integer(value: bigint): number | Numeral {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
    ? Number(value)
    : new Numeral(value.toString())
}

/** What JSON that was parsed by JavaScript says, which has already cost what a double cannot hold. */
export function fromJson(json: unknown): RegoValue {
  if (Array.isArray(json)) return json.map(fromJson)
  if (typeof json !== 'object' || json === null) return json as null | boolean | number | string
  return new Map(Object.entries(json).map(([name, value]): [string, RegoValue] => [name, fromJson(value)]))
}

/** OPA's name of a value's type. */
export function typeName(value: RegoValue): string {
  if (value === null) return 'null'
  if (value instanceof RegoSet) return 'set'
  if (value instanceof Numeral) return 'number'
  if (isArray(value)) return 'array'
  return typeof value
}

export function isNumber(value: RegoValue | undefined): value is number | Numeral {
  return typeof value === 'number' || value instanceof Numeral
}

/** The text of a number as it would be written in JSON. */
export function numberText(value: number | Numeral): string {
  return typeof value === 'number' ? String(value) : value.text
}

/** Negative, 0 or positive, in OPA's order of all values. */
export function compareValues(a: RegoValue, b: RegoValue): number {
  const rank = rankOf(a) - rankOf(b)
  if (rank !== 0) return rank
  if (typeof a === 'boolean') return Number(a) - Number(b)
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b)
  if (typeof a === 'string') return compareText(a, b as string)
  if (isArray(a)) return compareLists(a, b as readonly RegoValue[])
  if (isObject(a)) return compareObjects(a, b as RegoObject)
  if (a instanceof RegoSet) return compareLists(sortedItems(a), sortedItems(b as RegoSet))
  return 0
}

export function equals(a: RegoValue, b: RegoValue): boolean {
  return a === b || compareValues(a, b) === 0
}

/** The items of a set in order, each once. */
export function sortedItems(set: RegoSet): readonly RegoValue[] {
  const sorted = [...set.items].sort(compareValues)
  return sorted.filter((item, index) => index === 0 || compareValues(sorted[index - 1] as RegoValue, item) !== 0)
}

/** The members of an object in the order of their keys. */
export function sortedEntries(value: RegoObject): [RegoValue, RegoValue][] {
  return [...value].sort(([a], [b]) => compareValues(a, b))
}

/** The member of an object by any key. */
export function member(value: RegoObject, key: RegoValue): RegoValue | undefined {
  if (typeof key === 'string') return value.get(key)
  for (const [name, item] of value) if (equals(name, key)) return item
  return undefined
}

function rankOf(value: RegoValue): number {
  if (value === null) return 0
  if (typeof value === 'boolean') return 1
  if (isNumber(value)) return 2
  if (typeof value === 'string') return 3
  if (isArray(value)) return 4
  return isObject(value) ? 5 : 6
}

function compareNumbers(a: number | Numeral, b: number | Numeral): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return compareDecimals(numberText(a), numberText(b))
}

/** By code points, which is the order of UTF-8, where JavaScript's own is that of UTF-16. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) return (a.codePointAt(i) as number) - (b.codePointAt(i) as number)
  }
  return a.length - b.length
}

function compareLists(a: readonly RegoValue[], b: readonly RegoValue[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareValues(a[i] as RegoValue, b[i] as RegoValue)
    if (order !== 0) return order
  }
  return a.length - b.length
}

function compareObjects(a: RegoObject, b: RegoObject): number {
  const left = sortedEntries(a)
  const right = sortedEntries(b)
  return compareLists(left.flat(), right.flat())
}
