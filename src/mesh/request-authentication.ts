import type { Attachment, Resource } from './resource.ts'

/** `security.istio.io` RequestAuthentication. */
export interface RequestAuthentication extends Resource {
  readonly kind: 'RequestAuthentication'
  readonly attachment: Attachment
  readonly jwtRules: readonly JwtRule[]
}

/** One `jwtRules` entry. Lists are empty when absent; defaults that depend on others are left to `authn`. */
export interface JwtRule {
  /** Null when omitted, which needs `jwksUri`: any issuer, or none, then passes. */
  readonly issuer: string | null
  /** Empty: the audience is not checked. */
  readonly audiences: readonly string[]
  readonly keys: JwtKeys
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[]
  readonly fromParams: readonly string[]
  readonly fromCookies: readonly string[]
  readonly forwardOriginalToken: boolean
  readonly outputPayloadToHeader: string | null
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: string }[]
  readonly spaceDelimitedClaims: readonly string[]
  /** For fetching keys, in milliseconds; Istio's default is 5000. */
  readonly timeout: number
}

export type JwtKeys =
  | { readonly kind: 'inline'; readonly jwks: string }
  | { readonly kind: 'uri'; readonly uri: string }
  /** Found through the issuer's OpenID configuration. */
  | { readonly kind: 'discovery'; readonly issuer: string }
