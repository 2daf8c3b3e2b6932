import type { JsonObject } from '@bufbuild/protobuf'
import { isFramingHeader, isHeaderName, isHeaderValue, latin1FromUtf8 } from '../header-syntax.ts'

/** By name; a list is one line for each of its values. */
export type MultiHeaders = Readonly<Record<string, string | readonly string[]>>

export interface AllowOptions {
  /** Set on the request before it is forwarded, in place of the client's own. */
  readonly headers?: Readonly<Record<string, string>>
  /** Removed from the request before it is forwarded. */
  readonly removeHeaders?: readonly string[]
  /** For the response: a string replaces the application's header, each value of a list is added as a line. */
  readonly responseHeaders?: MultiHeaders
  /** Parameters of the query to set, in place of the client's own. gRPC only. */
  readonly query?: Readonly<Record<string, string>>
  /** Parameters to remove from the query. gRPC only. */
  readonly removeQuery?: readonly string[]
  /** Dynamic metadata of the filter. gRPC only. */
  readonly metadata?: JsonObject
}

export interface DenyOptions {
  /** 200 to 599, default 403. Over HTTP, 200 and 5xx become 403: there they would mean something else. */
  readonly status?: number
  readonly headers?: MultiHeaders
  readonly body?: string
  /** As in `AllowOptions`. */
  readonly metadata?: JsonObject
}

export interface ErrorOptions {
  /** What is answered over HTTP: 500 to 599, default 503. Over gRPC it is always RPC status UNAVAILABLE. */
  readonly status?: number
}

export type Answer = AllowAnswer | DenyAnswer | ErrorAnswer

export interface ErrorAnswer {
  readonly kind: 'error'
  readonly status: number
}

export interface AllowAnswer extends Required<AllowOptions> {
  readonly kind: 'allow'
}

export interface DenyAnswer extends Required<DenyOptions> {
  readonly kind: 'deny'
}

/** Lets the request pass, with changes. */
export function allow(options: AllowOptions = {}): AllowAnswer {
  const {
    headers = {},
    removeHeaders = [],
    responseHeaders = {},
    query = {},
    removeQuery = [],
    metadata = {},
  } = options
  return { kind: 'allow', headers, removeHeaders, responseHeaders, query, removeQuery, metadata }
}

/** Refuses the request; the client is sent this status, these headers and this body. */
export function deny({ status = 403, headers = {}, body = '', metadata = {} }: DenyOptions = {}): DenyAnswer {
  return { kind: 'deny', status, headers, body, metadata }
}

/** Says that there is no answer now: the proxy does what its own configuration says of a provider that fails. */
export function error({ status = 503 }: ErrorOptions = {}): ErrorAnswer {
  return { kind: 'error', status }
}

export type Line = readonly [name: string, value: string]

/** An answer that has been looked at: every name and value can be sent. */
export type Verdict =
  | {
      readonly kind: 'allow'
      readonly set: readonly Line[]
      readonly remove: readonly string[]
      readonly responseSet: readonly Line[]
      readonly responseAdd: readonly Line[]
      readonly query: readonly Line[]
      readonly removeQuery: readonly string[]
      readonly metadata: JsonObject
    }
  | {
      readonly kind: 'deny'
      readonly status: number
      readonly headers: readonly Line[]
      readonly body: string
      readonly metadata: JsonObject
    }
  | { readonly kind: 'error'; readonly status: number }

/** Why an answer was refused: `shape` is none of `allow` and `deny`, `headers` could not be sent safely. */
export type AnswerFault = { readonly kind: 'fault'; readonly fault: 'shape' | 'headers'; readonly message: string }

/** Parses whatever a check returned. Only what is an `allow` in every part allows. */
export function parseAnswer(answer: unknown): Verdict | AnswerFault {
  if (!isObject(answer)) return shape('the check returned neither allow() nor deny()')
  if (answer.kind === 'allow') return parseAllow(answer)
  if (answer.kind === 'deny') return parseDeny(answer)
  if (answer.kind === 'error') return parseError(answer)
  return shape('the check returned neither allow() nor deny()')
}

function parseAllow(answer: Record<string, unknown>): Verdict | AnswerFault {
  const { headers, removeHeaders, responseHeaders, query = {}, removeQuery = [], metadata = {} } = answer
  const parameters = lines(query)
  if (parameters === null || parameters.some(({ many }) => many) || !isStrings(removeQuery)) {
    return shape('allow: query must map names to strings, and removeQuery be a list of strings')
  }
  if (!isObject(metadata)) return shape('allow: metadata must be an object')
  const set = lines(headers)
  const response = lines(responseHeaders)
  if (set === null || set.some(({ many }) => many)) return shape('allow: headers must map names to strings')
  if (response === null) return shape('allow: responseHeaders must map names to strings or lists of strings')
  if (!isStrings(removeHeaders)) return shape('allow: removeHeaders must be a list of strings')
  const unusable = firstUnusable([...set, ...response]) ?? removeHeaders.find((name) => !isHeaderName(name))
  if (unusable !== undefined) return unsafe(unusable)
  return {
    kind: 'allow',
    set: set.map(({ line }) => line),
    remove: removeHeaders,
    responseSet: response.filter(({ many }) => !many).map(({ line }) => line),
    responseAdd: response.filter(({ many }) => many).map(({ line }) => line),
    query: parameters.map(({ line }) => line),
    removeQuery,
    metadata: metadata as JsonObject,
  }
}

function parseDeny(answer: Record<string, unknown>): Verdict | AnswerFault {
  const { status, headers, body, metadata = {} } = answer
  if (!isObject(metadata)) return shape('deny: metadata must be an object')
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    return shape('deny: status must be an integer from 200 to 599')
  }
  if (typeof body !== 'string') return shape('deny: body must be a string')
  const reply = lines(headers)
  if (reply === null) return shape('deny: headers must map names to strings or lists of strings')
  const unusable = firstUnusable(reply)
  if (unusable !== undefined) return unsafe(unusable)
  return { kind: 'deny', status, headers: reply.map(({ line }) => line), body, metadata: metadata as JsonObject }
}

function parseError({ status }: Record<string, unknown>): Verdict | AnswerFault {
  if (typeof status === 'number' && Number.isInteger(status) && status >= 500 && status <= 599) {
    return { kind: 'error', status }
  }
  return shape('error: status must be an integer from 500 to 599')
}

/** `many` tells a value out of a list. */
interface Entry {
  readonly line: Line
  readonly many: boolean
}

function lines(headers: unknown): Entry[] | null {
  // A Headers or a Map would read as empty.
  if (!isObject(headers) || ![Object.prototype, null].includes(Object.getPrototypeOf(headers))) return null
  const entries: Entry[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string') entries.push({ line: [name, value], many: false })
    else if (isStrings(value)) for (const one of value) entries.push({ line: [name, one], many: true })
    else return null
  }
  return entries
}

/** The name of the first entry that would break the message it goes into, or that frames it. */
function firstUnusable(entries: readonly Entry[]): string | undefined {
  const usable = ([name, value]: Line) =>
    isHeaderName(name) && !isFramingHeader(name.toLowerCase()) && isHeaderValue(latin1FromUtf8(value))
  return entries.find(({ line }) => !usable(line))?.line[0]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function shape(message: string): AnswerFault {
  return { kind: 'fault', fault: 'shape', message }
}

/** Names the header, never its value. */
function unsafe(name: string): AnswerFault {
  return { kind: 'fault', fault: 'headers', message: `header ${JSON.stringify(name.slice(0, 64))} cannot be sent` }
}
