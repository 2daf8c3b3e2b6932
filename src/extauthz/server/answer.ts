import type { Json } from '../../source/document.ts'

export type { Line, Verdict } from './verdict.ts'

/** By name; a list is one line for each of its values. */
export type MultiHeaders = Readonly<Record<string, string | readonly string[]>>

export type JsonObject = Readonly<Record<string, Json>>

export interface AllowOptions {
  /** Set on the request before it is forwarded, in place of the client's own. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Joined with a comma onto what the client sent under this name; without that, nothing is added, as in Envoy. Over
   * HTTP that works for headers that the proxy sends along. An identity belongs in `headers`, which the client cannot
   * write to.
   */
  readonly appendHeaders?: Readonly<Record<string, string>>
  /** Removed from the request before it is forwarded. */
  readonly removeHeaders?: readonly string[]
  /** For the response: a string replaces the application's header, each value of a list is added as a line. */
  readonly responseHeaders?: MultiHeaders
  /**
   * Parameters of the query to set, in place of all that the client sent under that name, however it was encoded. Names
   * and values are given as they are meant: they are encoded here. The proxy then sorts the query by name. gRPC only:
   * over HTTP nothing can carry it, and such an answer refuses.
   */
  readonly query?: Readonly<Record<string, string>>
  /** Parameters to remove from the query, however they were encoded. gRPC only, as `query`. */
  readonly removeQuery?: readonly string[]
  /** Dynamic metadata of the filter, for the proxy's logs and later filters. gRPC only: over HTTP it is left out. */
  readonly metadata?: JsonObject
}

export interface DenyOptions {
  /** 200 to 599, default 403; for a redirect use `redirect`. Over HTTP, 200 and 5xx become 403: there they would mean
   * something else. */
  readonly status?: number
  readonly headers?: MultiHeaders
  /** A string as it is; an object or a list as JSON, with a content type that says so unless `headers` has one. */
  readonly body?: string | JsonObject | readonly Json[]
  /** As in `AllowOptions`. */
  readonly metadata?: JsonObject
}

export interface RedirectOptions {
  /** Default 302. With 307 and 308 the client repeats its method and body. */
  readonly status?: RedirectStatus
  /** Such as a cookie that holds the state of a login. */
  readonly headers?: MultiHeaders
}

export type RedirectStatus = 301 | 302 | 303 | 307 | 308

export interface ErrorOptions {
  /** What is answered over HTTP: 500 to 599, default 503. Over gRPC it is always RPC status UNAVAILABLE. */
  readonly status?: number
}

/** What a check answers: made by `allow`, `deny`, `redirect`, `unauthorized` or `error`, and by nothing else. */
export type Answer = AllowAnswer | DenyAnswer | ErrorAnswer

export interface AllowAnswer extends Required<AllowOptions> {
  readonly kind: 'allow'
}

export interface DenyAnswer {
  readonly kind: 'deny'
  readonly status: number
  readonly headers: MultiHeaders
  readonly body: string
  readonly metadata: JsonObject
}

export interface ErrorAnswer {
  readonly kind: 'error'
  readonly status: number
}

/** What is left out: the same objects for all answers, so that whoever parses one sees at once that nothing is there. */
export const nothing = Object.freeze({})
export const none: readonly never[] = Object.freeze([])

/** Lets the request pass, with changes. */
export function allow(options: AllowOptions = nothing): AllowAnswer {
  const {
    headers = nothing,
    appendHeaders = nothing,
    removeHeaders = none,
    responseHeaders = nothing,
    query = nothing,
    removeQuery = none,
    metadata = nothing,
  } = options
  return { kind: 'allow', headers, appendHeaders, removeHeaders, responseHeaders, query, removeQuery, metadata }
}

/** Refuses the request; the client is sent this status, these headers and this body. */
export function deny(options: DenyOptions = nothing): DenyAnswer {
  const { status = 403, headers = nothing, body = '', metadata = nothing } = options
  if (typeof body !== 'object' || body === null) return { kind: 'deny', status, headers, body, metadata }
  const typed = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')
  const withType = typed ? headers : withHeader(headers, 'content-type', 'application/json')
  return { kind: 'deny', status, headers: withType, body: JSON.stringify(body), metadata }
}

/**
 * Refuses the request by sending the client elsewhere. What a client wrote must not choose the host: build the location
 * from a base of your own.
 */
export function redirect(location: string | URL, options: RedirectOptions = nothing): DenyAnswer {
  const { status = 302, headers = nothing } = options
  return deny({ status, headers: withHeader(headers, 'location', String(location)) })
}

/**
 * Refuses the request with 401 and what the client has to present (RFC 9110, 11.6.1): `Basic realm="api"`, or a
 * `bearerChallenge`. Several challenges are a line each.
 */
export function unauthorized(
  challenge: string | readonly string[],
  options: Omit<DenyOptions, 'status'> = nothing,
): DenyAnswer {
  const headers = withHeader(options.headers ?? nothing, 'www-authenticate', challenge)
  return deny({ ...options, status: 401, headers })
}

/**
 * Says that there is no answer now: a database is down, a quota is unknown. The proxy does what its own configuration
 * says: it refuses with `statusOnError` (default 403), or lets the request pass where it has `failOpen`. Never answer so
 * when the client is the reason: with `failOpen` it would have found a way in.
 */
export function error(options: ErrorOptions = nothing): ErrorAnswer {
  const { status = 503 } = options
  return { kind: 'error', status }
}

/** In place of what stands under the name, however it is written. */
function withHeader(headers: MultiHeaders, name: string, value: string | readonly string[]): MultiHeaders {
  const others = Object.entries(headers).filter(([other]) => other.toLowerCase() !== name)
  return { ...Object.fromEntries(others), [name]: value }
}
