import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import { findService } from '../../mesh/registry.ts'
import type { Json, Path } from '../../source/document.ts'
import { addressOf, type Cluster, endpointCluster } from './cluster.ts'
import type { ProviderTarget } from './ext-authz.ts'
import { socketAddress } from './listener.ts'

/** Where Istio would send a provider's checks. */
export function providerTarget(mesh: Mesh, provider: Provider, prefix: string): ProviderTarget {
  const host = hostOf(provider)
  return {
    host,
    cluster: `${prefix}outbound|${provider.port}||${host}`,
    statusWritten: writesStatus(mesh, provider),
  }
}

/**
 * The cluster of a provider: the endpoints that the files name, else the host by DNS, as the addresses of a Kubernetes
 * Service without Pods in the files can only be known there.
 */
export function providerCluster(mesh: Mesh, provider: Provider, prefix: string): Cluster {
  const found = findService(mesh, provider.service, provider.port)
  const { host, cluster } = providerTarget(mesh, provider, prefix)
  const endpoints = found.kind === 'found' ? found.endpoints : []
  const addresses =
    endpoints.length === 0
      ? [socketAddress(host, provider.port)]
      : endpoints.map(({ address, port }) => addressOf(address, port))
  return endpointCluster(cluster, addresses, provider.kind === 'grpc' ? 'http2' : null)
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
