import { isOutOfRange } from './decimal.ts'
import { isArray, isObject, Numeral, numberText, RegoSet, type RegoValue } from './value.ts'

/** Values inside values; more than any policy needs, fewer than would exhaust the stack. */
const MAX_DEPTH = 1000

const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Reads a value in the notation that OPA's WebAssembly writes: JSON with sets (`{1, 2}`, `set()`) and keys of any type.
 * Null when the text is anything else.
 */
export function parseValue(text: string): { readonly value: RegoValue } | null {
  const reader = new Reader(text, true)
  return reader.whole()
}

/**
 * Reads JSON: as `JSON.parse` does, but numbers keep what a double would lose. Null when the text is no JSON, or has a
 * number that OPA refuses.
 */
export function parseJson(text: string): { readonly value: RegoValue } | null {
  const reader = new Reader(text, false)
  return reader.whole()
}

class Malformed extends Error {}

class Reader {
  readonly #text: string
  readonly #literals: boolean
  #at = 0
  #depth = 0

  constructor(text: string, literals: boolean) {
    this.#text = text
    this.#literals = literals
  }

  whole(): { readonly value: RegoValue } | null {
    try {
      const value = this.#value()
      this.#space()
      return this.#at === this.#text.length ? { value } : null
    } catch (error) {
      if (error instanceof Malformed) return null
      throw error
    }
  }

  #value(): RegoValue {
    this.#space()
    switch (this.#text.charCodeAt(this.#at)) {
      case QUOTE:
        return this.#string()
      case 0x7b:
        return this.#nested(() => this.#objectOrSet())
      case 0x5b:
        return this.#nested(() => this.#array())
      case 0x6e:
        return this.#word('null', null)
      case 0x74:
        return this.#word('true', true)
      case 0x66:
        return this.#word('false', false)
      case 0x73:
        if (this.#literals) return this.#word('set()', new RegoSet([]))
        throw new Malformed()
      default:
        return this.#number()
    }
  }

  #nested(read: () => RegoValue): RegoValue {
    if (++this.#depth > MAX_DEPTH) throw new Malformed()
    this.#at++
    const value = read()
    this.#depth--
    return value
  }

  #array(): RegoValue {
    const items: RegoValue[] = []
    if (this.#take(0x5d)) return items
    do items.push(this.#value())
    while (this.#take(0x2c))
    this.#expect(0x5d)
    return items
  }

  #objectOrSet(): RegoValue {
    if (this.#take(0x7d)) return new Map()
    const first = this.#key()
    return this.#literals && !this.#peek(0x3a) ? this.#set(first) : this.#object(first)
  }

  #key(): RegoValue {
    if (this.#literals) return this.#value()
    this.#space()
    return this.#string()
  }

  #set(first: RegoValue): RegoValue {
    const items = [first]
    while (this.#take(0x2c)) items.push(this.#value())
    this.#expect(0x7d)
    return new RegoSet(items)
  }

  #object(first: RegoValue): RegoValue {
    const entries = new Map<RegoValue, RegoValue>()
    this.#expect(0x3a)
    entries.set(first, this.#value())
    while (this.#take(0x2c)) {
      const key = this.#key()
      this.#expect(0x3a)
      entries.set(key, this.#value())
    }
    this.#expect(0x7d)
    return entries
  }

  #string(): string {
    const text = this.#text
    if (text.charCodeAt(this.#at) !== QUOTE) throw new Malformed()
    const start = this.#at + 1
    let end = start
    let escaped = false
    for (; ; end++) {
      const code = text.charCodeAt(end)
      if (code === QUOTE) break
      if (code === BACKSLASH) {
        escaped = true
        end++
      } else if (!(code >= 0x20)) throw new Malformed()
    }
    this.#at = end + 1
    if (!escaped) return text.slice(start, end)
    try {
      return JSON.parse(text.slice(start - 1, end + 1)) as string
    } catch {
      throw new Malformed()
    }
  }

  #number(): RegoValue {
    numberSyntax.lastIndex = this.#at
    const match = numberSyntax.exec(this.#text)
    if (match === null) throw new Malformed()
    const [literal] = match
    this.#at += literal.length
    if (!this.#literals && isOutOfRange(literal)) throw new Malformed()
    const number = Number(literal)
    return String(number) === literal ? number : new Numeral(literal)
  }

  #word<T extends RegoValue>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw new Malformed()
    this.#at += word.length
    return value
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  #peek(code: number): boolean {
    this.#space()
    return this.#text.charCodeAt(this.#at) === code
  }

  #take(code: number): boolean {
    if (!this.#peek(code)) return false
    this.#at++
    return true
  }

  #expect(code: number): void {
    if (!this.#take(code)) throw new Malformed()
  }
}

const numberSyntax = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

/** Writes a value in the notation that `parseValue` reads, which is JSON as long as there are no sets. */
export function printValue(value: RegoValue): string {
  if (typeof value === 'string') return printString(value)
  if (typeof value === 'number') return printNumber(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (value instanceof Numeral) return value.text
  if (value instanceof RegoSet) {
    return value.items.length === 0 ? 'set()' : `{${value.items.map(printValue).join(',')}}`
  }
  if (isArray(value)) return `[${value.map(printValue).join(',')}]`
  if (isObject(value)) {
    return `{${[...value].map(([key, item]) => `${printValue(key)}:${printValue(item)}`).join(',')}}`
  }
  return value satisfies never
}

/** Writes JSON: a set is a list, a key that is no string is its own JSON in a string. */
export function printJson(value: RegoValue): string {
  if (value instanceof RegoSet) return `[${value.items.map(printJson).join(',')}]`
  if (isArray(value)) return `[${value.map(printJson).join(',')}]`
  if (isObject(value)) {
    const name = (key: RegoValue) => printString(typeof key === 'string' ? key : printJson(key))
    return `{${[...value].map(([key, item]) => `${name(key)}:${printJson(item)}`).join(',')}}`
  }
  return printValue(value)
}

/** Half of a surrogate pair has no UTF-8: it becomes the replacement character, as in Go. */
function printString(text: string): string {
  return JSON.stringify(loneSurrogate.test(text) ? text.replace(loneSurrogates, '\ufffd') : text)
}

const loneSurrogate = /\p{Surrogate}/u
const loneSurrogates = /\p{Surrogate}/gu

function printNumber(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError('a number of Rego is finite')
  return Object.is(value, -0) ? '0' : numberText(value)
}
