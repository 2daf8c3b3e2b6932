import type { Mesh } from '../../mesh/mesh.ts'
import { findOutboundService } from '../../mesh/registry.ts'
import type { JwtRule } from '../../mesh/request-authentication.ts'
import { addressOf, type Cluster, endpointCluster } from './cluster.ts'
import type { JwksPlace } from './jwt-authn.ts'
import { socketAddress } from './listener.ts'
import { upstreamTls } from './upstream-tls.ts'

/** Keys that the files do not hold. */
export interface JwksOptions {
  /** Key sets (their text) by issuer, which go into the configuration instead of being fetched. */
  readonly byIssuer: ReadonlyMap<string, string>
  /** A key set that no token can be signed for: where keys cannot be had, every token is refused. */
  readonly nobody: string
  /** PEM roots for `https`, a path. */
  readonly ca: string
}

/** Where Envoy gets a rule's keys, and the cluster that it fetches them through, if it does. */
export function jwksPlace(
  mesh: Mesh,
  rule: JwtRule,
  options: JwksOptions,
  prefix: string,
): { readonly place: JwksPlace; readonly cluster: Cluster | null } {
  const inline = (jwks: string) => ({ place: { kind: 'inline', jwks } as const, cluster: null })
  const given = rule.issuer === null ? undefined : options.byIssuer.get(rule.issuer)
  switch (rule.keys.kind) {
    case 'inline':
      return inline(rule.keys.jwks)
    case 'uri': {
      if (given !== undefined) return inline(given)
      const { uri } = rule.keys
      if (!URL.canParse(uri)) return inline(options.nobody)
      const cluster = jwksCluster(mesh, new URL(uri), options.ca, prefix)
      return { place: { kind: 'remote', uri, cluster: cluster.name }, cluster }
    }
    case 'discovery':
      // Envoy does not read OpenID configurations.
      return inline(given ?? options.nobody)
    default:
      return rule.keys satisfies never
  }
}

function jwksCluster(mesh: Mesh, url: URL, ca: string, prefix: string): Cluster {
  const secure = url.protocol === 'https:'
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const found = findOutboundService(mesh, mesh.config.rootNamespace, host, port)
  const endpoints = (found?.endpoints ?? []).map((endpoint) => addressOf(endpoint.address, endpoint.port))
  const addresses = endpoints.length === 0 ? [socketAddress(host, port)] : endpoints
  return endpointCluster(`${prefix}outbound|${port}||${host}`, addresses, null, secure ? upstreamTls(host, ca) : null)
}
