import type { DestinationClient } from '../mesh/destination-settings.ts'
import { endpointTls } from '../mesh/endpoint-tls.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { findOutboundService, registryHosts } from '../mesh/registry.ts'
import type { Route } from './config.ts'

/** More names than an application calls; hosts come from its requests. */
const MOST_ROUTES = 4096

/** Where the hosts lead that a Sidecar's egress listener lets through; answers are kept until the next reload. */
export function routesOf(
  mesh: Mesh,
  client: DestinationClient,
  hosts: readonly string[],
): (host: string, port: number) => Route | null {
  const known = new Map<string, Route | null>()
  return (host, port) => {
    const key = `${host}:${port}`
    const before = known.get(key)
    if (before !== undefined) return before
    const route = findRoute(mesh, client, hosts, host, port)
    if (known.size < MOST_ROUTES) known.set(key, route)
    return route
  }
}

function findRoute(
  mesh: Mesh,
  client: DestinationClient,
  hosts: readonly string[],
  host: string,
  port: number,
): Route | null {
  if (host === '') return findPortRoute(mesh, client, hosts, port)
  const found = findOutboundService(mesh, client.namespace, host, port)
  if (found === null || found.endpoints.length === 0) return null
  if (!hosts.some((pattern) => reaches(pattern, found.namespace, found.host, client.namespace))) return null
  return {
    endpoints: found.endpoints.map((endpoint) => {
      const tls = endpointTls(mesh, client, found, port, endpoint)
      return { address: endpoint.address, port: endpoint.port, tls: tls.kind === 'plaintext' ? null : tls }
    }),
  }
}

/** A TCP connection names no host: of those that the listener lets through, the first with its port has it. */
function findPortRoute(mesh: Mesh, client: DestinationClient, hosts: readonly string[], port: number): Route | null {
  for (const host of registryHosts(mesh)) {
    const route = findRoute(mesh, client, hosts, host, port)
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
