import type { JwtRule } from '../../mesh/request-authentication.ts'
import { milliseconds } from './duration.ts'

/** `envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication`, as far as Istio's compiler writes it. */
export interface JwtAuthentication {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication'
  readonly providers: Readonly<Record<string, JwtProvider>>
  readonly rules: readonly [{ readonly match: { readonly prefix: '/' }; readonly requires: JwtRequirement }]
  readonly bypass_cors_preflight: true
}

interface JwtProvider {
  readonly issuer?: string
  readonly audiences?: readonly string[]
  readonly local_jwks?: { readonly inline_string: string }
  readonly remote_jwks?: {
    readonly http_uri: { readonly uri: string; readonly cluster: string; readonly timeout: string }
    readonly cache_duration: '300s'
  }
  readonly forward?: true
  readonly from_headers?: readonly { readonly name: string; readonly value_prefix?: string }[]
  readonly from_params?: readonly string[]
  readonly from_cookies?: readonly string[]
  readonly forward_payload_header?: string
  readonly payload_in_metadata: 'payload'
  readonly normalize_payload_in_metadata: { readonly space_delimited_claims: readonly string[] }
  readonly claim_to_headers?: readonly { readonly header_name: string; readonly claim_name: string }[]
  readonly clear_route_cache?: true
}

type JwtRequirement =
  | { readonly provider_name: string }
  | { readonly allow_missing: Readonly<Record<string, never>> }
  | { readonly requires_any: { readonly requirements: readonly JwtRequirement[] } }
  | { readonly requires_all: { readonly requirements: readonly JwtRequirement[] } }

/** Where Envoy gets the keys of a rule. */
export type JwksPlace =
  | { readonly kind: 'inline'; readonly jwks: string }
  /** Envoy fetches them itself, through a cluster. */
  | { readonly kind: 'remote'; readonly uri: string; readonly cluster: string }

/**
 * The filter that verifies tokens, or null without rules. `rules` are in the order of their issuers. Routes are chosen
 * anew after it where `routing` is set, as Istio does at gateways and waypoints.
 */
export function jwtAuthentication(
  rules: readonly JwtRule[],
  placeOf: (rule: JwtRule) => JwksPlace,
  routing: boolean,
): JwtAuthentication | null {
  if (rules.length === 0) return null
  const named = rules.map((rule, i) => [`origins-${i}`, providerOf(rule, placeOf(rule), routing)] as const)
  const names = named.map(([name]) => name)
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
    providers: Object.fromEntries(named),
    rules: [{ match: { prefix: '/' }, requires: requirementOf(names) }],
    bypass_cors_preflight: true,
  }
}

/** No token, or a good one; of several rules at one place a single good one is enough. */
function requirementOf(names: readonly string[]): JwtRequirement {
  const optional = names.map(
    (name): JwtRequirement => ({ requires_any: { requirements: [{ provider_name: name }, { allow_missing: {} }] } }),
  )
  const [only, another] = optional
  if (only !== undefined && another === undefined) return only
  const each = names.map((name): JwtRequirement => ({ provider_name: name }))
  return { requires_any: { requirements: [...each, { requires_all: { requirements: optional } }] } }
}

function providerOf(rule: JwtRule, place: JwksPlace, routing: boolean): JwtProvider {
  const delimited = [...new Set([...rule.spaceDelimitedClaims, 'permission', 'scope'])].sort()
  return {
    ...(rule.issuer === null || rule.issuer === '' ? {} : { issuer: rule.issuer }),
    ...nonEmpty('audiences', rule.audiences),
    ...jwksOf(place, rule.timeout),
    ...(rule.forwardOriginalToken ? { forward: true } : {}),
    ...nonEmpty(
      'from_headers',
      rule.fromHeaders.map(({ name, prefix }) => ({ name, ...(prefix === '' ? {} : { value_prefix: prefix }) })),
    ),
    ...nonEmpty('from_params', rule.fromParams),
    ...nonEmpty('from_cookies', rule.fromCookies),
    ...(rule.outputPayloadToHeader === null || rule.outputPayloadToHeader === ''
      ? {}
      : { forward_payload_header: rule.outputPayloadToHeader }),
    payload_in_metadata: 'payload',
    normalize_payload_in_metadata: { space_delimited_claims: delimited },
    ...nonEmpty(
      'claim_to_headers',
      rule.outputClaimToHeaders.map(({ header, claim }) => ({ header_name: header, claim_name: claim })),
    ),
    ...(routing ? { clear_route_cache: true } : {}),
  }
}

function jwksOf(place: JwksPlace, timeout: number): Pick<JwtProvider, 'local_jwks' | 'remote_jwks'> {
  switch (place.kind) {
    case 'inline':
      return { local_jwks: { inline_string: place.jwks } }
    case 'remote':
      return {
        remote_jwks: {
          http_uri: { uri: place.uri, cluster: place.cluster, timeout: milliseconds(timeout) },
          cache_duration: '300s',
        },
      }
    default:
      return place satisfies never
  }
}

function nonEmpty<Name extends string, T>(name: Name, list: readonly T[]): { readonly [key in Name]?: readonly T[] } {
  return list.length === 0 ? {} : ({ [name]: list } as { [key in Name]: readonly T[] })
}
