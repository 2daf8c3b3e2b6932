import type { HeaderMap } from '../match/header-map.ts'

/** One side of the connection that is being checked. */
export interface CheckPeer {
  readonly ip: string
  readonly port: number
  /** SPIFFE id with its scheme, or empty. */
  readonly principal: string
}

/** What a provider is asked: the attributes of Envoy's `CheckRequest`. */
export interface CheckRequest {
  readonly source: CheckPeer
  readonly destination: CheckPeer
  /** Stream start, milliseconds since the epoch. */
  readonly time: number
  /** Null for a TCP connection. */
  readonly http: CheckHttpRequest | null
}

export interface CheckHttpRequest {
  readonly id: string
  readonly method: string
  /** With the query, after normalization. */
  readonly path: string
  readonly host: string
  readonly scheme: string
  /** `HTTP/1.1`, `HTTP/2`. */
  readonly protocol: string
  readonly headers: HeaderMap
  /** Null when no body is sent along. */
  readonly body: CheckBody | null
}

export interface CheckBody {
  readonly bytes: Uint8Array
  /** Whether the request's body is longer than what is sent along. */
  readonly partial: boolean
}

/** What a provider answered. A provider that cannot be asked is a value too, never an exception. */
export type CheckOutcome =
  | {
      readonly kind: 'allow'
      readonly changes: readonly HeaderChange[]
      readonly responseChanges: readonly HeaderChange[]
    }
  | {
      readonly kind: 'deny'
      readonly status: number
      readonly headers: readonly (readonly [string, string])[]
      readonly body: Uint8Array
    }
  | { readonly kind: 'error'; readonly reason: CheckFailure; readonly message: string }

export type CheckFailure = 'timeout' | 'unavailable' | 'invalid' | 'cancelled'

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
