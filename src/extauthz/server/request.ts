import { Buffer } from 'node:buffer'
import type { JsonValue } from '@bufbuild/protobuf'
import { partialBodyHeader } from '../check-request.ts'

/** One side of the connection that the proxy asks about. What the proxy did not say is empty or 0. */
export interface AuthorizerPeer {
  readonly ip: string
  readonly port: number
  /** From the peer's certificate, such as `spiffe://cluster.local/ns/web/sa/front`; empty without one. */
  readonly principal: string
}

/** The body that the proxy sent along; empty when it sent none. */
export interface AuthorizerBody {
  readonly bytes: Uint8Array
  text(): string
  /** Throws SyntaxError when the body is no JSON, which denies unless the check catches it. */
  json(): unknown
}

/** An HTTP request that the proxy asks about. */
export interface AuthorizerRequest {
  readonly method: string
  /** As the proxy will forward it, with the query. */
  readonly path: string
  /** `path` without the query. Not decoded. */
  readonly pathname: string
  readonly query: URLSearchParams
  /** The request's authority, with its port if it has one. */
  readonly host: string
  /** `http`, `https`, or empty when the proxy did not say. */
  readonly scheme: string
  /** `HTTP/1.1`, `HTTP/2`. */
  readonly protocol: string
  /** By lower-case name; repeated lines are joined with a comma. `host` and pseudo headers are fields of their own. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Every line as the proxy sent it, with lower-case names: most proxies join repeated lines themselves. */
  readonly headerLines: readonly (readonly [name: string, value: string])[]
  readonly body: AuthorizerBody
  /** Whether the request's body is longer than `body`, as far as the proxy tells. */
  readonly truncated: boolean
  readonly source: AuthorizerPeer
  readonly destination: AuthorizerPeer
  /** What the proxy's configuration adds for this route. */
  readonly contextExtensions: Readonly<Record<string, string | undefined>>
  /**
   * The attributes of Envoy's `CheckRequest` as protobuf's JSON writes them, which is the form that policies for OPA are
   * written against: `request.http.headers`, `source.address.socketAddress.portValue`; what is unset is absent.
   */
  readonly attributes: Attributes
  /** When the request began, in milliseconds since the epoch; 0 when the proxy did not say. */
  readonly time: number
  /** Fires when the answer is no longer waited for. */
  readonly signal: AbortSignal
}

/** A TCP connection that the proxy asks about: there is no request. */
export interface AuthorizerConnection {
  readonly source: AuthorizerPeer
  readonly destination: AuthorizerPeer
  /** Server name of the TLS handshake, or empty. */
  readonly sni: string
  readonly contextExtensions: Readonly<Record<string, string | undefined>>
  /** As in `AuthorizerRequest`. */
  readonly attributes: Attributes
  readonly signal: AbortSignal
}

export type Attributes = Readonly<Record<string, JsonValue>>

export type Asked =
  | { readonly kind: 'request'; readonly request: AuthorizerRequest }
  | { readonly kind: 'connection'; readonly connection: AuthorizerConnection }

type Line = readonly [name: string, value: string]

/** What a request is made from, whatever the protocol that brought it. Header names are lower-case. */
export interface RequestParts
  extends Pick<
    AuthorizerRequest,
    | 'method'
    | 'path'
    | 'host'
    | 'scheme'
    | 'protocol'
    | 'source'
    | 'destination'
    | 'contextExtensions'
    | 'time'
    | 'signal'
  > {
  readonly lines: readonly Line[]
  readonly body: Uint8Array
  /** Called at most once. */
  readonly attributes: () => Attributes
}

export function requestFrom(parts: RequestParts): AuthorizerRequest {
  return new CheckedRequest(parts)
}

class CheckedRequest implements AuthorizerRequest {
  readonly method: string
  readonly path: string
  readonly pathname: string
  readonly host: string
  readonly scheme: string
  readonly protocol: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly headerLines: readonly Line[]
  readonly body: AuthorizerBody
  readonly truncated: boolean
  readonly source: AuthorizerPeer
  readonly destination: AuthorizerPeer
  readonly contextExtensions: Readonly<Record<string, string | undefined>>
  readonly time: number
  readonly signal: AbortSignal
  #query: URLSearchParams | undefined
  #attributes: Attributes | undefined
  readonly #readAttributes: () => Attributes

  constructor(parts: RequestParts) {
    this.method = parts.method
    this.path = parts.path
    this.pathname = parts.path.slice(0, pathEnd(parts.path))
    this.host = parts.host
    this.scheme = parts.scheme
    this.protocol = parts.protocol
    this.headerLines = parts.lines
    this.headers = joinLines(parts.lines)
    this.body = new Body(parts.body)
    this.truncated = isTruncated(this.headers, parts.body.length)
    this.source = parts.source
    this.destination = parts.destination
    this.contextExtensions = parts.contextExtensions
    this.time = parts.time
    this.signal = parts.signal
    this.#readAttributes = parts.attributes
  }

  get attributes(): Attributes {
    this.#attributes ??= this.#readAttributes()
    return this.#attributes
  }

  get query(): URLSearchParams {
    if (this.#query === undefined) {
      const start = this.path.indexOf('?')
      this.#query = new URLSearchParams(start === -1 ? '' : this.path.slice(start + 1).split('#', 1)[0])
    }
    return this.#query
  }
}

export class Body implements AuthorizerBody {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  text(): string {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length).toString('utf8')
  }

  json(): unknown {
    return JSON.parse(this.text())
  }
}

export function pathEnd(path: string): number {
  const end = path.search(/[?#]/)
  return end === -1 ? path.length : end
}

/** Repeated lines are joined with a comma. */
export function joinLines(lines: readonly Line[]): Record<string, string | undefined> {
  // Without a prototype: `headers.constructor` must not be a function.
  const joined: Record<string, string | undefined> = Object.create(null)
  for (const [name, value] of lines) {
    const before = joined[name]
    joined[name] = before === undefined ? value : `${before},${value}`
  }
  return joined
}

/**
 * The proxy says so, or its own `content-length` is more than what came. A proxy that buffered exactly as much as it may
 * says `false` without knowing (observed of Envoy), and then only `content-length` tells.
 */
export function isTruncated(headers: Readonly<Record<string, string | undefined>>, length: number): boolean {
  const partial = headers[partialBodyHeader]
  return (partial !== undefined && partial !== 'false') || Number(headers['content-length'] ?? 0) > length
}
