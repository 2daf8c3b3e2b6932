import type { HeaderMap } from '../match/header-map.ts'
import type { IpAddress } from '../match/ip.ts'
import type { Claims } from '../policy/facts.ts'
import type { Json } from '../source/document.ts'

/** One side of the connection that is being checked. */
export interface CheckPeer {
  /** Empty: not told. */
  readonly ip: string
  readonly port: number
  /** SPIFFE id with its scheme, or empty. */
  readonly principal: string
  /** Of the destination of a TCP connection: the server name that the client asked for. Absent or empty: none. */
  readonly service?: string
}

/** What a provider is asked: the attributes of Envoy's `CheckRequest`. */
export interface CheckRequest {
  readonly source: CheckPeer
  readonly destination: CheckPeer
  /** Stream start, milliseconds since the epoch; 0: not told. */
  readonly time: number
  /** Null for a TCP connection. */
  readonly http: CheckHttpRequest | null
  /** What the provider is told of a verified token; absent or null: nothing. */
  readonly claims?: Claims | null
}

export interface CheckHttpRequest {
  /** A decimal number, unique in the process; not `x-request-id`. */
  readonly id: string
  readonly method: string
  /** With the query, after normalization. */
  readonly path: string
  readonly host: string
  readonly scheme: string
  /** `HTTP/1.1`, `HTTP/2`. */
  readonly protocol: string
  readonly headers: HeaderMap
  /** The client's, as X-Forwarded-For and the trusted hops tell it; absent: the source's. */
  readonly remoteIp?: IpAddress
  /** Null when no body is sent along. */
  readonly body: CheckBody | null
}

export interface CheckBody {
  readonly bytes: Uint8Array
  /** Whether the request's body is longer than what is sent along. */
  readonly partial: boolean
  /** How many bytes have come so far, which may be more; absent: as many as `bytes` has. */
  readonly received?: number
}

/** What a provider answered. A provider that cannot be asked is a value too, never an exception. */
export type CheckOutcome =
  | {
      readonly kind: 'allow'
      readonly changes: readonly HeaderChange[]
      readonly responseChanges: readonly HeaderChange[]
      /** Applied to the path after `changes` (see `applyQuery`). Absent: the query stays as it is. */
      readonly queryChanges?: QueryChanges
      /** Absent: the request line stays as it is. */
      readonly rewrite?: RequestRewrite
      /** Absent: none. */
      readonly metadata?: DynamicMetadata
    }
  | {
      readonly kind: 'deny'
      readonly status: number
      /** Each is a line of its own. A body without a `content-type` among them is sent as `text/plain`. */
      readonly headers: readonly (readonly [string, string])[]
      readonly body: Uint8Array
    }
  | {
      readonly kind: 'error'
      readonly reason: CheckFailure
      /** For logs: names no secret. */
      readonly message: string
      /** What the client is sent, unless the provider fails open. Absent: `statusOnError` with an empty body. */
      readonly reply?: ErrorReply
    }

/**
 * What later policies may ask for as `experimental.envoy.filters.http.ext_authz[KEY]` (`.network.` on TCP). It has no
 * prototype, as its keys are the authorizer's.
 */
export type DynamicMetadata = Readonly<Record<string, Json>>

export interface ErrorReply {
  /** Null: the provider's `statusOnError`. */
  readonly status: number | null
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Uint8Array
}

/**
 * - `unavailable`: no endpoint, no connection, an RPC status other than OK, a 5xx, an answer that cannot be decoded, or
 *   the authorizer's own error answer. `timeout`: no answer in time. Both fail open where the provider says so.
 * - `invalid`: an answer that must not be applied, such as a header value with a line break, or a question that cannot be
 *   written. It never fails open: the client gets the status of `reply`, 500 (Envoy's `ext_authz_invalid`).
 * - `cancelled`: nobody waits for the answer any more.
 */
export type CheckFailure = 'timeout' | 'unavailable' | 'invalid' | 'cancelled'

/** Changes of the query, sets before removals. Keys and values are inserted as they are: the authorizer encodes them. */
export interface QueryChanges {
  readonly set: readonly (readonly [string, string])[]
  readonly remove: readonly string[]
}

/** The request's own line as an authorizer sets it with `:method`, `:path`, and `:authority` or `host`. */
export interface RequestRewrite {
  readonly method?: string
  readonly path?: string
  readonly authority?: string
}

/** A change of header lines, in Envoy's order: all sets, then appends, then removals. */
export type HeaderChange =
  | { readonly kind: 'set'; readonly name: string; readonly value: string }
  /** Comma-joins onto an existing line; does nothing when there is none (ext_authz `append: true`). */
  | { readonly kind: 'join'; readonly name: string; readonly value: string }
  /** Adds a line. */
  | { readonly kind: 'add'; readonly name: string; readonly value: string }
  | { readonly kind: 'addIfAbsent'; readonly name: string; readonly value: string }
  | { readonly kind: 'setIfPresent'; readonly name: string; readonly value: string }
  | { readonly kind: 'remove'; readonly name: string }

/** The seam between whoever enforces and a provider, whatever its protocol. */
export interface CheckClient {
  /** Resolves always, within the provider's timeout; `signal` says that nobody waits any more. */
  check(request: CheckRequest, signal: AbortSignal): Promise<CheckOutcome>
  close(): Promise<void>
}
