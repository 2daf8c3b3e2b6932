import type { Instance } from './instance.ts'
import { selects } from './labels.ts'
import type { Mesh } from './mesh.ts'
import type { Labels } from './resource.ts'
import type { Resolution, Service, ServiceEntry, ServicePort, TargetService } from './service.ts'
import type { Workload } from './workload.ts'

/** The domain of Kubernetes Services, whatever the trust domain is. */
const CLUSTER_DOMAIN = 'svc.cluster.local'

/** A host of the mesh, with the addresses that serve one of its ports. */
export interface FoundService {
  readonly kind: 'found'
  /** The full host name. */
  readonly host: string
  readonly namespace: string
  readonly resolution: Resolution
  /** Outside the mesh (`MESH_EXTERNAL`): no mutual TLS but by a DestinationRule. */
  readonly external: boolean
  /** A ServiceEntry's own: names that its servers may have. */
  readonly subjectAltNames: readonly string[]
  /** Empty where nothing serves the port, or the service has no such port. */
  readonly endpoints: readonly ServiceEndpoint[]
}

export interface ServiceEndpoint {
  /** An IP address, a DNS name, or `unix:///path` (then `port` is 0). */
  readonly address: string
  readonly port: number
  /** Null for what is not a workload of the mesh. */
  readonly workload: Workload | null
  readonly labels: Labels
  /** Empty when it is not known. */
  readonly serviceAccount: string
}

export interface UnknownService {
  readonly kind: 'unknown'
  /** In Istio's words. */
  readonly reason: string
  /** Every host that there is. */
  readonly hosts: readonly string[]
}

/**
 * Looks up `[namespace/]host` as Istio does for extension providers: the exact name of a Service or a ServiceEntry. A host
 * in several namespaces needs its namespace written. Hosts without addresses of their own (resolution NONE and
 * DYNAMIC_DNS) are unknown here.
 */
export function findService(mesh: Mesh, service: string, port: number): FoundService | UnknownService {
  const registry = registryOf(mesh)
  const slash = service.indexOf('/')
  const host = service.slice(slash + 1)
  const candidates = (registry.get(host) ?? []).filter(({ resolution }) => hasAddresses(resolution))
  const found = slash === -1 ? candidates : candidates.filter(({ namespace }) => namespace === service.slice(0, slash))
  const namespaces = [...new Set(found.map(({ namespace }) => namespace))]
  const unknown = (reason: string): UnknownService => ({ kind: 'unknown', reason, hosts: [...registry.keys()] })
  if (namespaces.length > 1) {
    return unknown(
      `found ${service} in multiple namespaces [${namespaces.join(' ')}], specify the namespace explicitly in the ` +
        'format of <Namespace>/<Hostname>',
    )
  }
  const first = found[0]
  if (first === undefined) return unknown(`could not find service ${service} in Istio service registry`)
  const { namespace, resolution } = first
  return {
    kind: 'found',
    host,
    namespace,
    resolution,
    ...trustOf(first),
    endpoints: found.flatMap((entry) => endpointsOf(mesh, entry, port)),
  }
}

/**
 * Looks up the host of a request that leaves a workload of `namespace`: as `findService`, and by the short names that
 * Kubernetes' DNS has (`name`, `name.namespace`, `name.namespace.svc`). Null when the host is not in the mesh.
 */
export function findOutboundService(mesh: Mesh, namespace: string, host: string, port: number): FoundService | null {
  const registry = registryOf(mesh)
  for (const name of longForms(host.toLowerCase(), namespace)) {
    const entries = registry.get(name) ?? []
    // Its own namespace's first, as a name may be declared in several.
    const entry = entries.find((candidate) => candidate.namespace === namespace) ?? entries[0]
    if (entry === undefined) continue
    const { resolution } = entry
    return {
      kind: 'found',
      host: name,
      namespace: entry.namespace,
      resolution,
      ...trustOf(entry),
      endpoints: endpointsOf(mesh, entry, port),
    }
  }
  return null
}

function trustOf(entry: Entry): Pick<FoundService, 'external' | 'subjectAltNames'> {
  if (entry.kind === 'service') return { external: entry.service.externalName !== null, subjectAltNames: [] }
  const { location, subjectAltNames } = entry.entry
  return { external: location === 'MESH_EXTERNAL', subjectAltNames }
}

/** The namespace of the Service or ServiceEntry that `[namespace/]host` names; null for a host that is in none. */
export function serviceNamespace(mesh: Mesh, service: string): string | null {
  const slash = service.indexOf('/')
  if (slash !== -1) return service.slice(0, slash)
  return registryOf(mesh).get(service.toLowerCase())?.[0]?.namespace ?? null
}

/** Every host of the mesh, in the order of the files. */
export function registryHosts(mesh: Mesh): Iterable<string> {
  return registryOf(mesh).keys()
}

/**
 * What the host of a request at a waypoint stands for: a Service or a ServiceEntry, by its full name, by the short names
 * of Kubernetes' DNS as seen from `namespace`, or by a ServiceEntry's wildcard (the longest that fits). A port in the host
 * does not count. Null for a host that the mesh does not have.
 */
export function serviceOfHost(mesh: Mesh, namespace: string, host: string): TargetService | null {
  const registry = registryOf(mesh)
  const name = withoutPort(host.toLowerCase()).replace(/\.$/, '')
  const nearest = (entries: readonly Entry[] = []) =>
    entries.find((entry) => entry.namespace === namespace) ?? entries[0]
  for (const form of longForms(name, namespace)) {
    const entry = nearest(registry.get(form))
    if (entry !== undefined) return targetOf(entry)
  }
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const entry = nearest(registry.get(`*${name.slice(dot)}`))
    if (entry !== undefined) return targetOf(entry)
  }
  return null
}

/** `[v6]:port`, `host:port` or neither. */
function withoutPort(host: string): string {
  if (host.startsWith('[')) return host.slice(1).split(']', 1)[0] as string
  const colon = host.indexOf(':')
  return colon === -1 ? host : host.slice(0, colon)
}

function targetOf(entry: Entry): TargetService {
  return entry.kind === 'service'
    ? { kind: 'Service', namespace: entry.namespace, name: entry.service.meta.name }
    : { kind: 'ServiceEntry', namespace: entry.namespace, name: entry.entry.meta.name }
}

function longForms(host: string, namespace: string): string[] {
  const labels = host.split('.')
  const forms = [host]
  if (labels.length === 1) forms.push(`${host}.${namespace}.${CLUSTER_DOMAIN}`)
  if (labels.length === 2) forms.push(`${host}.${CLUSTER_DOMAIN}`)
  if (labels.length === 3 && labels[2] === 'svc') forms.push(`${labels[0]}.${labels[1]}.${CLUSTER_DOMAIN}`)
  return forms
}

type Entry =
  | { readonly kind: 'service'; readonly namespace: string; readonly resolution: Resolution; readonly service: Service }
  | {
      readonly kind: 'entry'
      readonly host: string
      readonly namespace: string
      readonly resolution: Resolution
      readonly entry: ServiceEntry
    }

/** A mesh never changes, so that its index is made once. */
const registries = new WeakMap<Mesh, ReadonlyMap<string, readonly Entry[]>>()

function registryOf(mesh: Mesh): ReadonlyMap<string, readonly Entry[]> {
  const known = registries.get(mesh)
  if (known !== undefined) return known
  const registry = new Map<string, Entry[]>()
  const add = (host: string, entry: Entry) => {
    const entries = registry.get(host)
    if (entries === undefined) registry.set(host, [entry])
    else entries.push(entry)
  }
  for (const service of mesh.services) {
    const { name, namespace } = service.meta
    const resolution = service.externalName === null ? 'STATIC' : 'DNS'
    add(`${name}.${namespace}.${CLUSTER_DOMAIN}`, { kind: 'service', namespace, resolution, service })
  }
  for (const entry of mesh.serviceEntries) {
    const { resolution } = entry
    for (const host of entry.hosts) {
      add(host.toLowerCase(), { kind: 'entry', host, namespace: entry.meta.namespace, resolution, entry })
    }
  }
  registries.set(mesh, registry)
  return registry
}

function hasAddresses(resolution: Resolution): boolean {
  return resolution !== 'NONE' && resolution !== 'DYNAMIC_DNS'
}

function endpointsOf(mesh: Mesh, entry: Entry, port: number): ServiceEndpoint[] {
  switch (entry.kind) {
    case 'service':
      return serviceEndpoints(mesh, entry.service, port)
    case 'entry':
      return entryEndpoints(mesh, entry.entry, entry.host, port)
    default:
      return entry satisfies never
  }
}

function serviceEndpoints(mesh: Mesh, service: Service, port: number): ServiceEndpoint[] {
  const servicePort = service.ports.find((candidate) => candidate.port === port)
  if (service.externalName !== null) return [outside(service.externalName, port)]
  if (servicePort === undefined || Object.keys(service.selector).length === 0) return []
  return instancesOf(mesh, service.meta.namespace, service.selector).flatMap((instance) => {
    const workload = mesh.workloads.get(instance.workload) ?? null
    const target = targetPort(servicePort, instance)
    return target === null ? [] : [inside(instance, workload, target)]
  })
}

/** A number, or the name of a port of the instance. */
function targetPort(port: ServicePort, instance: Instance): number | null {
  const own = instance.ports.get(port.name)
  if (own !== undefined) return own
  const { targetPort } = port
  if (typeof targetPort === 'number') return targetPort
  if (/^[0-9]{1,5}$/.test(targetPort)) return Number(targetPort)
  return instance.ports.get(targetPort) ?? instance.containerPorts.get(targetPort) ?? null
}

function entryEndpoints(mesh: Mesh, entry: ServiceEntry, host: string, port: number): ServiceEndpoint[] {
  const servicePort = entry.ports.find(({ number }) => number === port)
  if (servicePort === undefined) return []
  const { name, number, targetPort } = servicePort
  const portOf = (ports: ReadonlyMap<string, number>) => ports.get(name) ?? targetPort ?? number
  if (entry.workloadSelector !== null) {
    return instancesOf(mesh, entry.meta.namespace, entry.workloadSelector).map((instance) =>
      inside(instance, mesh.workloads.get(instance.workload) ?? null, portOf(instance.ports)),
    )
  }
  if (entry.endpoints.length > 0) {
    return entry.endpoints.map((endpoint) => ({
      address: endpoint.address,
      port: endpoint.address.startsWith('unix:') ? 0 : portOf(endpoint.ports),
      workload: null,
      labels: endpoint.labels,
      serviceAccount: endpoint.serviceAccount,
    }))
  }
  const byName = entry.resolution === 'DNS' || entry.resolution === 'DNS_ROUND_ROBIN'
  return byName && !host.startsWith('*') ? [outside(host, targetPort ?? number)] : []
}

function instancesOf(mesh: Mesh, namespace: string, selector: Labels): Instance[] {
  return mesh.instances.filter((instance) => instance.namespace === namespace && selects(selector, instance.labels))
}

function inside(instance: Instance, workload: Workload | null, port: number): ServiceEndpoint {
  const { address, labels, serviceAccount } = instance
  return { address, port: address.startsWith('unix:') ? 0 : port, workload, labels, serviceAccount }
}

function outside(address: string, port: number): ServiceEndpoint {
  return { address, port, workload: null, labels: {}, serviceAccount: '' }
}
