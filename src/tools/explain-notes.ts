import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { acceptedTrustDomains } from '../mesh/mesh-config.ts'
import type { JwtRule } from '../mesh/request-authentication.ts'
import { suggest } from '../source/suggest.ts'
import { hasMaskedToken, maskedCondition } from './masked.ts'
import type { TestHttpRequest, TestRequest } from './request.ts'

/** Where the request says something that the proxy would never see, or that cannot be decided as it was. */
export function requestNotes(
  request: TestRequest,
  mesh: Mesh,
  policies: readonly AuthorizationPolicy[],
  jwtRules: readonly JwtRule[],
): readonly string[] {
  const http = request.http === null ? [] : httpNotes(request.http, policies, jwtRules)
  return [...request.notes, ...foreignPeer(request, mesh), ...unknownProviders(request, mesh), ...http]
}

/** A peer of another trust domain would not get past TLS. */
function foreignPeer({ source }: TestRequest, { config }: Mesh): readonly string[] {
  const domain = /^spiffe:\/\/([^/]*)/.exec(source.peer)?.[1]
  const own = acceptedTrustDomains(config)
  return domain === undefined || own.includes(domain)
    ? []
    : [`the proxy would refuse peers of the trust domain \`${domain}\`: the mesh's are ${own.join(', ')}`]
}

function unknownProviders({ providers }: TestRequest, { config }: Mesh): readonly string[] {
  const names = config.providers.map(({ name }) => name)
  return [...providers.keys()]
    .filter((name) => !names.includes(name))
    .map((name) => {
      const close = suggest(name, names)
      const hint = close === null ? '' : `; did you mean \`${close}\`?`
      return `the answer of \`providers.${name}\` is not used: the mesh has no such provider${hint}`
    })
}

function httpNotes(
  { claims, headers, path }: TestHttpRequest,
  policies: readonly AuthorizationPolicy[],
  jwtRules: readonly JwtRule[],
): readonly string[] {
  const notes: string[] = []
  if (claims !== null && jwtRules.length === 0) {
    notes.push(
      '`claims` is taken as verified, but no RequestAuthentication applies: a real token would not be verified',
    )
  }
  if (claims === null && hasMaskedToken(jwtRules, headers, path)) {
    notes.push('a masked token cannot be verified: decided as if there were none; give `claims` in its place')
  }
  const compared = maskedCondition(policies, headers)
  if (compared !== null) notes.push(`the value of \`${compared}\` is masked: conditions on it may be decided otherwise`)
  return notes
}
