import { mtlsModeFor, sidecarFor } from '../mesh/attach.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { findOutboundService, registryHosts, type ServiceEndpoint } from '../mesh/registry.ts'
import type { Route, RouteEndpoint } from './config.ts'

/** More names than an application calls; hosts come from its requests. */
const MOST_ROUTES = 4096

/** Where the hosts lead that a Sidecar's egress listener lets through; answers are kept until the next reload. */
export function routesOf(
  mesh: Mesh,
  namespace: string,
  hosts: readonly string[],
): (host: string, port: number) => Route | null {
  const known = new Map<string, Route | null>()
  return (host, port) => {
    const key = `${host}:${port}`
    const before = known.get(key)
    if (before !== undefined) return before
    const route = findRoute(mesh, namespace, hosts, host, port)
    if (known.size < MOST_ROUTES) known.set(key, route)
    return route
  }
}

function findRoute(mesh: Mesh, namespace: string, hosts: readonly string[], host: string, port: number): Route | null {
  if (host === '') return findPortRoute(mesh, namespace, hosts, port)
  const found = findOutboundService(mesh, namespace, host, port)
  if (found === null || found.endpoints.length === 0) return null
  if (!hosts.some((pattern) => reaches(pattern, found.namespace, found.host, namespace))) return null
  const serverName = `outbound_.${port}_._.${found.host}`
  return { endpoints: found.endpoints.map((endpoint) => endpointOf(mesh, endpoint, serverName)) }
}

/** A TCP connection names no host: of those that the listener lets through, the first with its port has it. */
function findPortRoute(mesh: Mesh, namespace: string, hosts: readonly string[], port: number): Route | null {
  for (const host of registryHosts(mesh)) {
    const route = findRoute(mesh, namespace, hosts, host, port)
    if (route !== null) return route
  }
  return null
}

/** `namespace/dnsName` of a Sidecar's egress: `*` any namespace, `.` its own, `~` none. */
function reaches(pattern: string, namespace: string, host: string, own: string): boolean {
  const slash = pattern.indexOf('/')
  const wanted = slash === -1 ? '*' : pattern.slice(0, slash)
  const name = pattern.slice(slash + 1)
  if (wanted === '~') return false
  if (wanted !== '*' && (wanted === '.' ? own : wanted) !== namespace) return false
  return name === '*' || name === host || (name.startsWith('*.') && host.endsWith(name.slice(1)))
}

/**
 * Mutual TLS where the other side can take it: a workload with a sidecar, or an endpoint that says so by Istio's label,
 * unless its port has mTLS disabled.
 */
function endpointOf(mesh: Mesh, endpoint: ServiceEndpoint, serverName: string): RouteEndpoint {
  const { address, port, workload, labels } = endpoint
  const says = labels['security.istio.io/tlsMode'] === 'istio'
  const takes =
    workload !== null && sidecarFor(mesh, workload) !== null && mtlsModeFor(mesh, workload, port) !== 'DISABLE'
  if (!says && !takes) return { address, port, tls: null }
  const domains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
  const expectedIds =
    workload === null
      ? []
      : domains.map((domain) => `spiffe://${domain}/ns/${workload.namespace}/sa/${workload.serviceAccount}`)
  return { address, port, tls: { serverName, expectedIds } }
}
