import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Attachment, Resource } from './resource.ts'

/**
 * `sallyport.dev` Delegation: providers that are asked once tokens are verified, before DENY and ALLOW rules decide. It
 * only ever adds a condition: all providers that enforce must allow.
 */
export interface Delegation extends Resource {
  readonly kind: 'Delegation'
  /** Never by targets. */
  readonly attachment: Attachment
  readonly order: DelegationOrder
  /** The rules that say when it asks, as the CUSTOM policy that they would be; null: it asks about everything. */
  readonly trigger: AuthorizationPolicy | null
  /** At least one; names are unique. */
  readonly providers: readonly DelegateProvider[]
}

/**
 * - `inOrder`: one after the other; each sees what those before it have changed, and the first refusal ends it.
 * - `atOnce`: all of them about the same view; changes are applied in the listed order, and of several refusals the
 *   earliest listed one counts.
 */
export type DelegationOrder = 'inOrder' | 'atOnce'

/** What a Delegation says of one of its providers. */
export interface DelegateProvider {
  /** As in `extensionProviders`. */
  readonly name: string
  /** `shadow`: asked beside the request, and only told about. */
  readonly mode: 'enforce' | 'shadow'
  /** Null: what a CUSTOM policy would show it. */
  readonly sees: View | null
  /** Null: every request is asked about. With a cache there is a view. */
  readonly cache: CacheLimits | null
}

/**
 * What a provider sees besides method, scheme, host, path and the workload's own address. Lists of names hold `abc`,
 * `abc*`, `*abc` or `*`; what no entry names is not shown.
 */
export interface View {
  readonly source: readonly SourcePart[]
  readonly headers: readonly string[]
  readonly queryParameters: readonly string[]
  /** Of the verified token, at its top level. */
  readonly claims: readonly string[]
  /** Whether the body is shown, as far as the provider's `includeRequestBodyInCheck` goes. */
  readonly body: boolean
}

export type SourcePart = 'principal' | 'ip'

export interface CacheLimits {
  /** Milliseconds, above 0. */
  readonly ttl: number
  readonly maxEntries: number
}
