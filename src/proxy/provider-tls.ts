import { isIP } from 'node:net'
import type { Target } from '../extauthz/client/endpoints.ts'
import type { DestinationClient } from '../mesh/destination-settings.ts'
import { type EndpointTls, endpointTls } from '../mesh/endpoint-tls.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { Provider } from '../mesh/provider.ts'
import { findService } from '../mesh/registry.ts'

/** The kinds of TLS that a provider's endpoints are reached with, each once, in an order that endpoints do not change. */
export function providerTls(mesh: Mesh, client: DestinationClient, provider: Provider): readonly EndpointTls[] {
  const distinct = new Map(endpointsWithTls(mesh, client, provider).map(({ tls }) => [JSON.stringify(tls), tls]))
  return [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, tls]) => tls)
}

/** How an address of a provider is reached. An address that DNS gave is reached as the name that it stands for. */
export function targetTls(mesh: Mesh, client: DestinationClient, provider: Provider, target: Target): EndpointTls {
  const endpoints = endpointsWithTls(mesh, client, provider)
  const found =
    endpoints.find(({ address, port }) =>
      target.kind === 'unix' ? address === target.key : address === target.host && port === target.port,
    ) ?? endpoints.find(({ address, port }) => target.kind === 'tcp' && isIP(address) === 0 && port === target.port)
  return found?.tls ?? { kind: 'unusable', reason: 'it is no endpoint of the provider any more' }
}

function endpointsWithTls(mesh: Mesh, client: DestinationClient, { service, port: servicePort }: Provider) {
  const found = findService(mesh, service, servicePort)
  if (found.kind !== 'found') return []
  return found.endpoints.map((endpoint) => ({
    address: endpoint.address,
    port: endpoint.port,
    tls: endpointTls(mesh, client, found, servicePort, endpoint),
  }))
}
