import type { Json } from '../../source/document.ts'
import { suggest } from '../../source/suggest.ts'
import type { Cursor } from './cursor.ts'
import type { Shape } from './shape.ts'
import { LEAF } from './shape.ts'

/** Turns JSON into a value, or reports why not and returns undefined. */
export interface Decoder<T> {
  readonly shape: Shape
  decode(at: Cursor): T | undefined
}

function leaf<T>(decode: (at: Cursor) => T | undefined): Decoder<T> {
  return { shape: LEAF, decode }
}

export const string: Decoder<string> = leaf((at) => {
  if (typeof at.value === 'string') return at.value
  if (typeof at.value === 'boolean') {
    return wrongType(at, 'text', 'put it in quotes: YAML reads words such as `y`, `no` and `on` as booleans')
  }
  return wrongType(at, 'text')
})

export const boolean: Decoder<boolean> = leaf((at) => {
  if (typeof at.value === 'boolean') return at.value
  return wrongType(at, '`true` or `false`')
})

/** A whole number in a range. Protobuf's JSON, which Istio reads, allows text with digits in it. */
export function integer(least: number, most: number): Decoder<number> {
  return leaf((at) => {
    const { value } = at
    const number = typeof value === 'string' && /^-?[0-9]{1,15}$/.test(value) ? Number(value) : value
    if (typeof number !== 'number' || !Number.isInteger(number)) return wrongType(at, 'a whole number')
    if (number >= least && number <= most) return number
    const help = `write a number from ${least} to ${most}`
    at.report('SP106', `${number} is not between ${least} and ${most}`, { help })
    return undefined
  })
}

/** A whole number as Kubernetes takes it: never text. */
export function plainInteger(least: number, most: number): Decoder<number> {
  const decoder = integer(least, most)
  return leaf((at) => (typeof at.value === 'string' ? wrongType(at, 'a whole number') : decoder.decode(at)))
}

export const uint32 = integer(0, 2 ** 32 - 1)

/** One of some words, in their exact spelling. */
export function oneOf<const T extends string>(...words: readonly T[]): Decoder<T> {
  return leaf((at) => {
    if (typeof at.value !== 'string') return wrongType(at, 'text')
    const found = words.find((word) => word === at.value)
    if (found !== undefined) return found
    const near = suggest(at.value, words)
    const help = near === null ? `it is one of ${quoted(words)}` : `write \`${near}\``
    at.report('SP106', `\`${at.value}\` is not one of ${quoted(words)}`, { help })
    return undefined
  })
}

/** Any JSON, unread. */
export const anything: Decoder<Json> = leaf((at) => at.value)

export function list<T>(of: Decoder<T>): Decoder<readonly T[]> {
  return {
    shape: { kind: 'list', of: of.shape },
    decode(at) {
      if (!Array.isArray(at.value)) {
        const scalar = at.value !== null && typeof at.value !== 'object'
        // The values of a condition can be credentials.
        const shown = at.key === 'values' || at.key === 'notValues' ? '..' : JSON.stringify(at.value)
        return wrongType(at, 'a list', scalar ? `put it in brackets: \`[${shown}]\`` : undefined)
      }
      const items: T[] = []
      for (const [index, value] of (at.value as readonly Json[]).entries()) {
        const item = of.decode(at.child(index, value))
        if (item !== undefined) items.push(item)
      }
      return items
    },
  }
}

export const strings = list(string)

/** A mapping with free keys. */
export function mapping<T>(of: Decoder<T>): Decoder<Readonly<Record<string, T>>> {
  return {
    shape: { kind: 'map', of: of.shape },
    decode(at) {
      const object = asObject(at)
      if (object === undefined) return undefined
      const entries: [string, T][] = []
      for (const [key, value] of Object.entries(object)) {
        const item = of.decode(at.child(key, value))
        if (item !== undefined) entries.push([key, item])
      }
      return Object.fromEntries(entries)
    },
  }
}

export const labels = mapping(string)

/** Another decoder's result, changed; undefined refuses (and has been reported by `change`). */
export function map<T, U>(of: Decoder<T>, change: (value: T, at: Cursor) => U | undefined): Decoder<U> {
  return {
    shape: of.shape,
    decode(at) {
      const value = of.decode(at)
      return value === undefined ? undefined : change(value, at)
    },
  }
}

export function asObject(at: Cursor, help?: string): { readonly [key: string]: Json } | undefined {
  const { value } = at
  if (value !== null && typeof value === 'object' && !Array.isArray(value))
    return value as { readonly [key: string]: Json }
  return wrongType(at, 'a mapping', at.value === null ? undefined : help)
}

export function wrongType(at: Cursor, expected: string, help?: string): undefined {
  const what = at.key === null ? '' : ` for \`${at.key}\``
  const message = `expected ${expected}${what}, found ${describe(at.value)}`
  at.report('SP104', message, { help: help ?? adviceFor(at.value, expected) })
  return undefined
}

function adviceFor(value: Json, expected: string): string {
  if (value === null) return 'write a value, or remove it'
  switch (expected) {
    case 'text':
      return typeof value === 'object' ? 'write one text here' : `put it in quotes: \`"${value}"\``
    case 'a list':
      return 'write each item on a line of its own behind `- `'
    case 'a mapping':
      return 'write fields here: `NAME: VALUE`'
    default:
      return `write ${expected}`
  }
}

function describe(value: Json): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  switch (typeof value) {
    case 'object':
      return 'a mapping'
    case 'string':
      return 'text'
    case 'number':
      return `the number ${value}`
    case 'boolean':
      return `the boolean ${value}`
    default:
      throw new Error(`no JSON: ${typeof value}`)
  }
}

export function quoted(words: Iterable<string>): string {
  return [...words].map((word) => `\`${word}\``).join(', ')
}
