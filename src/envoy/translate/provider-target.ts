import { endpointTls } from '../../mesh/endpoint-tls.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { acceptedTrustDomains } from '../../mesh/mesh-config.ts'
import type { Provider } from '../../mesh/provider.ts'
import { findService } from '../../mesh/registry.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Json, Path } from '../../source/document.ts'
import { addressOf, type Cluster, endpointCluster, mixedCluster } from './cluster.ts'
import type { ProviderTarget } from './ext-authz.ts'
import { type Address, socketAddress } from './listener.ts'
import { mutualTls, originatedTls, type UpstreamTls } from './upstream-tls.ts'

/** Where Istio would send a provider's checks. */
export function providerTarget(mesh: Mesh, provider: Provider, prefix: string): ProviderTarget {
  const host = hostOf(provider)
  return {
    host,
    cluster: `${prefix}outbound|${provider.port}||${host}`,
    statusWritten: writesStatus(mesh, provider),
  }
}

/** A provider's cluster, and whether it needs the workload's secrets. */
export interface ProviderCluster {
  readonly cluster: Cluster
  readonly secured: boolean
}

/**
 * The cluster of a provider: the endpoints that the files name, each reached as `endpointTls` says, else the host by DNS,
 * as the addresses of a Kubernetes Service without Pods in the files can only be known there. An endpoint that must not be
 * called is left out.
 */
export function providerCluster(mesh: Mesh, workload: Workload, provider: Provider, prefix: string): ProviderCluster {
  const found = findService(mesh, provider.service, provider.port)
  const { host, cluster: name } = providerTarget(mesh, provider, prefix)
  const http2 = provider.kind === 'grpc'
  const protocol = http2 ? 'http2' : null
  if (found.kind !== 'found' || found.endpoints.length === 0) {
    return { cluster: endpointCluster(name, [socketAddress(host, provider.port)], protocol), secured: false }
  }
  const trustDomains = acceptedTrustDomains(mesh.config)
  let secured = false
  const endpoints = found.endpoints.flatMap((endpoint): { address: Address; tls: UpstreamTls | null }[] => {
    const tls = endpointTls(mesh, workload, found, provider.port, endpoint)
    const address = addressOf(endpoint.address, endpoint.port)
    switch (tls.kind) {
      case 'plaintext':
        return [{ address, tls: null }]
      case 'istioMutual':
        secured = true
        return [{ address, tls: mutualTls(tls, trustDomains, http2, prefix) }]
      case 'originated':
        return [{ address, tls: originatedTls(tls, http2) }]
      case 'unusable':
        return []
      default:
        return tls satisfies never
    }
  })
  return { cluster: mixedCluster(name, endpoints, protocol), secured }
}

function hostOf({ service }: Provider): string {
  return service.slice(service.indexOf('/') + 1)
}

/** Decoding fills the default in; Istio writes the status only where the user did. */
function writesStatus({ config }: Mesh, provider: Provider): boolean {
  if (config.origin === null) return provider.statusOnError !== 403
  const { document, path } = config.origin
  const list = member(valueAt(document.value, path), 'extensionProviders', 'extension_providers')
  const entry = Array.isArray(list) ? list.find((one: Json) => member(one, 'name') === provider.name) : undefined
  const kind =
    provider.kind === 'grpc'
      ? member(entry, 'envoyExtAuthzGrpc', 'envoy_ext_authz_grpc')
      : member(entry, 'envoyExtAuthzHttp', 'envoy_ext_authz_http')
  const status = member(kind, 'statusOnError', 'status_on_error')
  return status !== undefined && status !== null && status !== ''
}

function valueAt(value: Json, path: Path): Json | undefined {
  return path.reduce<Json | undefined>((inner, step) => {
    if (Array.isArray(inner)) return typeof step === 'number' ? (inner[step] as Json | undefined) : undefined
    return typeof step === 'string' ? member(inner, step) : undefined
  }, value)
}

/** The first of these members that is there. */
function member(value: Json | undefined, ...names: readonly string[]): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  for (const name of names) {
    if (Object.hasOwn(value, name)) return (value as { readonly [key: string]: Json })[name]
  }
  return undefined
}
