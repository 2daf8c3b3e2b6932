import type { HeaderMap } from '../match/header-map.ts'
import type { Claims } from '../policy/facts.ts'

/** What request authentication reads. `headers` is changed in place: tokens leave, claim headers are set. */
export interface AuthenticationRequest {
  readonly method: string
  readonly scheme: string
  readonly host: string
  /** The normalized target with its query. */
  readonly path: string
  readonly headers: HeaderMap
}

/** A refusal as Envoy's jwt_authn filter words it. 503: too many tokens wait for their verification. */
export interface Rejection {
  readonly kind: 'rejected'
  readonly status: 401 | 403 | 503
  readonly body: string
  /** Null with 503, which is not about the token. */
  readonly wwwAuthenticate: string | null
  /** Envoy's response code details, `jwt_authn_access_denied{...}`. */
  readonly details: string
}

/** `claims` is null when no token was presented (which is not a refusal). `path` is the target without the token. */
export interface Accepted {
  readonly kind: 'accepted'
  readonly claims: Claims | null
  readonly path: string
}

export type Authentication = Accepted | Rejection

/** Headers and parameters that tokens are read from, in lower case: no log may show what they hold. */
export interface TokenNames {
  readonly headers: ReadonlySet<string>
  readonly parameters: ReadonlySet<string>
}

/** The RequestAuthentication rules of one workload. */
export interface RequestAuthenticator {
  readonly tokenNames: TokenNames
  /** Synchronous without a token and with one that was verified before. `now` is in milliseconds since the epoch. */
  authenticate(request: AuthenticationRequest, now: number): Authentication | Promise<Authentication>
}

export const NO_TOKEN_NAMES: TokenNames = { headers: new Set(), parameters: new Set() }
