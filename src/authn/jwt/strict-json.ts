import type { Json } from '../../source/document.ts'

export type JsonObject = { readonly [key: string]: Json }

/** As deep as Envoy's JSON parser goes. */
const maxDepth = 100

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Parses a JSON object (RFC 8259) and refuses what lets two readers see two meanings: repeated member names, invalid
 * UTF-8, numbers beyond a double. Objects inherit nothing, so that a claim called `constructor` is only ever the
 * token's. Null when `bytes` is anything else.
 */
export function parseJsonObject(bytes: Uint8Array): JsonObject | null {
  return parse(bytes, (parser) => parser.object()) ?? null
}

/** The same for any JSON value. Undefined when `bytes` is none. */
export function parseJson(bytes: Uint8Array): Json | undefined {
  return parse(bytes, (parser) => parser.value())
}

function parse<T>(bytes: Uint8Array, read: (parser: Parser) => T): T | undefined {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return undefined
  }
  try {
    return read(new Parser(text))
  } catch (error) {
    if (error === malformed) return undefined
    throw error
  }
}

/** Inherits nothing, not even from `Object`; made by a constructor, so that the engine can share its shape. */
export const Members = function Members() {} as unknown as new () => { [key: string]: Json }
Members.prototype = Object.freeze(Object.create(null))

/** One value, thrown and caught in this file only: an Error would cost a stack trace for each bad token. */
const malformed = Symbol('malformed JSON')

const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const quote = 0x22
const colon = 0x3a
const comma = 0x2c

const numberSyntax = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  object(): JsonObject {
    this.#space()
    if (this.#text.charCodeAt(this.#at) !== openBrace) throw malformed
    const value = this.#object(1)
    this.#end()
    return value
  }

  value(): Json {
    this.#space()
    const value = this.#value(1)
    this.#end()
    return value
  }

  #end(): void {
    this.#space()
    if (this.#at !== this.#text.length) throw malformed
  }

  #value(depth: number): Json {
    if (depth > maxDepth) throw malformed
    switch (this.#text.charCodeAt(this.#at)) {
      case openBrace:
        return this.#object(depth)
      case openBracket:
        return this.#list(depth)
      case quote:
        return this.#string()
      case 0x74:
        return this.#word('true', true)
      case 0x66:
        return this.#word('false', false)
      case 0x6e:
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(depth: number): JsonObject {
    const object = new Members()
    this.#at++
    this.#space()
    if (this.#take(closeBrace)) return object
    do {
      this.#space()
      if (this.#text.charCodeAt(this.#at) !== quote) throw malformed
      const key = this.#string()
      if (key in object) throw malformed
      this.#space()
      if (!this.#take(colon)) throw malformed
      this.#space()
      object[key] = this.#value(depth + 1)
      this.#space()
    } while (this.#take(comma))
    if (!this.#take(closeBrace)) throw malformed
    return object
  }

  #list(depth: number): Json[] {
    const list: Json[] = []
    this.#at++
    this.#space()
    if (this.#take(closeBracket)) return list
    do {
      this.#space()
      list.push(this.#value(depth + 1))
      this.#space()
    } while (this.#take(comma))
    if (!this.#take(closeBracket)) throw malformed
    return list
  }

  #string(): string {
    const start = this.#at
    const text = this.#text
    let escaped = false
    for (let i = start + 1; i < text.length; i++) {
      const c = text.charCodeAt(i)
      if (c === 0x22) {
        this.#at = i + 1
        return escaped ? this.#unescape(start) : text.slice(start + 1, i)
      }
      if (c < 0x20) throw malformed
      if (c === 0x5c) {
        escaped = true
        i++
      }
    }
    throw malformed
  }

  /** The platform's parser knows the escapes; an unpaired surrogate is no character and is refused. */
  #unescape(start: number): string {
    let value: string
    try {
      value = JSON.parse(this.#text.slice(start, this.#at))
    } catch {
      throw malformed
    }
    if (/\p{Surrogate}/u.test(value)) throw malformed
    return value
  }

  #number(): number {
    numberSyntax.lastIndex = this.#at
    const match = numberSyntax.exec(this.#text)
    if (match === null) throw malformed
    const value = Number(match[0])
    if (!Number.isFinite(value)) throw malformed
    this.#at += match[0].length
    return value
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw malformed
    this.#at += word.length
    return value
  }

  #take(char: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== char) return false
    this.#at++
    return true
  }

  #space(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at)
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return
      this.#at++
    }
  }
}
