import type { Json } from '../../source/document.ts'
import { isFramingHeader, isHeaderName, isHeaderValue, latin1FromUtf8 } from '../header-syntax.ts'
import { type JsonObject, none, nothing } from './answer.ts'

export type Line = readonly [name: string, value: string]

/** An answer that has been looked at: every name and value can be sent. */
export type Verdict = AllowVerdict | DenyVerdict | ErrorVerdict

export interface AllowVerdict {
  readonly kind: 'allow'
  readonly set: readonly Line[]
  /** Comma-joined onto what the client sent. */
  readonly append: readonly Line[]
  readonly remove: readonly string[]
  readonly responseSet: readonly Line[]
  readonly responseAdd: readonly Line[]
  /** Encoded, as they are to stand in the query. */
  readonly setQuery: readonly Line[]
  /** Encoded; case matters. */
  readonly removeQuery: readonly string[]
  readonly metadata: JsonObject | null
}

export interface DenyVerdict {
  readonly kind: 'deny'
  readonly status: number
  readonly headers: readonly Line[]
  readonly body: string
  readonly metadata: JsonObject | null
}

/** There is no answer: `status` is for HTTP, 500 to 599; over gRPC the call fails with UNAVAILABLE. */
export interface ErrorVerdict {
  readonly kind: 'error'
  readonly status: number
}

/** Why an answer was refused: `shape` is no answer at all, `headers` could not be sent safely. */
export type AnswerFault = { readonly kind: 'fault'; readonly fault: 'shape' | 'headers'; readonly message: string }

/** One object for every plain permission, so that whoever encodes it can know it again. */
export const plainAllow: AllowVerdict = Object.freeze({
  kind: 'allow',
  set: none,
  append: none,
  remove: none,
  responseSet: none,
  responseAdd: none,
  setQuery: none,
  removeQuery: none,
  metadata: null,
})

export function denial(status: number, headers: readonly Line[] = none, body = ''): DenyVerdict {
  return { kind: 'deny', status, headers, body, metadata: null }
}

/** Parses whatever a check returned. Only what is an `allow` in every part allows. */
export function parseAnswer(answer: unknown): Verdict | AnswerFault {
  if (!isObject(answer)) return shape('the check returned none of allow(), deny() and error()')
  switch (answer.kind) {
    case 'allow':
      return parseAllow(answer)
    case 'deny':
      return parseDeny(answer)
    case 'error':
      return parseError(answer)
    default:
      return shape('the check returned none of allow(), deny() and error()')
  }
}

function parseAllow(answer: Record<string, unknown>): Verdict | AnswerFault {
  const { headers, appendHeaders, removeHeaders, responseHeaders, query, removeQuery, metadata } = answer
  const set = singles(headers)
  const append = singles(appendHeaders)
  const response = lines(responseHeaders)
  const setQuery = singles(query)
  if (set === null) return shape('allow: headers must map names to strings')
  if (append === null) return shape('allow: appendHeaders must map names to strings')
  if (response === null) return shape('allow: responseHeaders must map names to strings or lists of strings')
  if (setQuery === null) return shape('allow: query must map names to strings')
  if (!isStrings(removeHeaders)) return shape('allow: removeHeaders must be a list of strings')
  if (!isStrings(removeQuery)) return shape('allow: removeQuery must be a list of strings')
  const struct = parseMetadata(metadata)
  if (struct === undefined) return shape('allow: metadata must be an object of JSON')
  const unusable =
    firstUnusable(set) ??
    firstUnusable(append) ??
    firstUnusable(response.set) ??
    firstUnusable(response.add) ??
    removeHeaders.find((name) => !isHeaderName(name))
  if (unusable !== undefined) return unsafe(unusable)
  if (!removeQuery.every(isWellFormed) || !setQuery.every((line) => line.every(isWellFormed))) {
    return shape('allow: a query parameter is no well-formed text')
  }
  const verdict: AllowVerdict = {
    kind: 'allow',
    set,
    append,
    remove: removeHeaders,
    responseSet: response.set,
    responseAdd: response.add,
    setQuery: setQuery.length === 0 ? none : setQuery.map(([name, value]): Line => [encode(name), encode(value)]),
    removeQuery: removeQuery.length === 0 ? none : removeQuery.map(encode),
    metadata: struct,
  }
  return isPlain(verdict) ? plainAllow : verdict
}

function isPlain({ set, append, remove, responseSet, responseAdd, setQuery, removeQuery, metadata }: AllowVerdict) {
  const lines = set.length + append.length + responseSet.length + responseAdd.length
  return lines + remove.length + setQuery.length + removeQuery.length === 0 && metadata === null
}

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

function parseDeny(answer: Record<string, unknown>): Verdict | AnswerFault {
  const { status, headers, body, metadata } = answer
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    return shape('deny: status must be an integer from 200 to 599')
  }
  if (typeof body !== 'string') return shape('deny: body must be a string, or what JSON can hold')
  const reply = lines(headers)
  if (reply === null) return shape('deny: headers must map names to strings or lists of strings')
  const struct = parseMetadata(metadata)
  if (struct === undefined) return shape('deny: metadata must be an object of JSON')
  const all = reply.all
  const unusable = firstUnusable(all)
  if (unusable !== undefined) return unsafe(unusable)
  if (redirects.has(status) && !all.some(([name, value]) => name.toLowerCase() === 'location' && value !== '')) {
    return shape('deny: a redirect needs a location')
  }
  return { kind: 'deny', status, headers: all, body, metadata: struct }
}

function parseError({ status }: Record<string, unknown>): Verdict | AnswerFault {
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 500 || status > 599) {
    return shape('error: status must be an integer from 500 to 599')
  }
  return { kind: 'error', status }
}

interface Lines {
  /** In order. */
  readonly all: readonly Line[]
  readonly set: readonly Line[]
  /** Those out of lists. */
  readonly add: readonly Line[]
}

const noLines: Lines = { all: none, set: none, add: none }

function lines(headers: unknown): Lines | null {
  if (headers === nothing) return noLines
  if (!isRecord(headers)) return null
  const names = Object.keys(headers)
  if (names.length === 0) return noLines
  const all: Line[] = []
  const set: Line[] = []
  const add: Line[] = []
  for (const name of names) {
    const value = headers[name]
    const values = typeof value === 'string' ? [value] : value
    if (!isStrings(values)) return null
    for (const one of values) {
      const line: Line = [name, one]
      all.push(line)
      if (typeof value === 'string') set.push(line)
      else add.push(line)
    }
  }
  return { all, set, add }
}

function singles(headers: unknown): readonly Line[] | null {
  if (headers === nothing) return none
  if (!isRecord(headers)) return null
  const names = Object.keys(headers)
  if (names.length === 0) return none
  const found: Line[] = []
  for (const name of names) {
    const value = headers[name]
    if (typeof value !== 'string') return null
    found.push([name, value])
  }
  return found
}

/** The name of the first entry that would break the message it goes into, or that frames it. */
function firstUnusable(lines: readonly Line[]): string | undefined {
  for (const [name, value] of lines) {
    if (!isHeaderName(name) || isFramingHeader(name.toLowerCase()) || !isHeaderValue(latin1FromUtf8(value))) return name
  }
  return undefined
}

function encode(text: string): string {
  return encodeURIComponent(text)
}

/** Without a half of a surrogate pair, which no UTF-8 can hold. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

const maxDepth = 32
const maxValues = 10_000

/** A copy; null when there is nothing in it, undefined when it is no object of JSON or has more than 10,000 values. */
function parseMetadata(metadata: unknown): JsonObject | null | undefined {
  if (metadata === nothing) return null
  if (!isRecord(metadata)) return undefined
  if (Object.keys(metadata).length === 0) return null
  return copyJson(metadata, maxDepth, { left: maxValues }) as JsonObject | undefined
}

function copyJson(value: unknown, depth: number, budget: { left: number }): Json | undefined {
  if (depth === 0 || --budget.left < 0) return undefined
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') return isWellFormed(value) ? value : undefined
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (Array.isArray(value)) {
    const list: Json[] = []
    for (const one of value) {
      const copy = copyJson(one, depth - 1, budget)
      if (copy === undefined) return undefined
      list.push(copy)
    }
    return list
  }
  if (!isRecord(value)) return undefined
  const object: Record<string, Json> = Object.create(null)
  for (const name of Object.keys(value)) {
    const copy = isWellFormed(name) ? copyJson(value[name], depth - 1, budget) : undefined
    if (copy === undefined) return undefined
    object[name] = copy
  }
  return object
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A Headers or a Map would read as empty. */
function isRecord(value: unknown): value is Record<string, unknown> {
  if (!isObject(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function isStrings(value: unknown): value is readonly string[] {
  return value === none || (Array.isArray(value) && value.every((one) => typeof one === 'string'))
}

function shape(message: string): AnswerFault {
  return { kind: 'fault', fault: 'shape', message }
}

/** Names the header, never its value. */
function unsafe(name: string): AnswerFault {
  return { kind: 'fault', fault: 'headers', message: `header ${JSON.stringify(name.slice(0, 64))} cannot be sent` }
}
