import type { Mesh } from '../mesh/mesh.ts'

/**
 * Whether anything in a mesh may decide by a client's `x-envoy-` field: a condition that names one, a token that is in
 * one, or a provider, which is shown headers. Where nothing does, dropping all of them at an edge changes no decision.
 */
export function looksAtEnvoyHeaders({ authorizationPolicies, delegations, requestAuthentications }: Mesh): boolean {
  return (
    delegations.length > 0 ||
    authorizationPolicies.some(
      ({ action, rules }) => action === 'CUSTOM' || rules.some(({ when }) => when.some(({ key }) => names(key))),
    ) ||
    requestAuthentications.some(({ jwtRules }) =>
      jwtRules.some(({ fromHeaders }) => fromHeaders.some(({ name }) => isEnvoyField(name))),
    )
  )
}

function names(key: string): boolean {
  const field = /^request\.headers\[(.*)\]$/.exec(key)?.[1]
  return field !== undefined && isEnvoyField(field)
}

function isEnvoyField(name: string): boolean {
  return name.toLowerCase().startsWith('x-envoy-')
}
