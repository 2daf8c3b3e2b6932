import type { Diagnostic } from '../source/diagnostic.ts'
import { diagnostic } from '../source/diagnostic.ts'
import type { Instance } from './instance.ts'
import { labelOf, selects } from './labels.ts'
import type { Labels } from './resource.ts'
import type { Service, ServiceEntry } from './service.ts'
import type { Workload, WorkloadPort, WorkloadRole } from './workload.ts'
import type { WorkloadSource } from './workload-source.ts'

interface Assembled {
  readonly workloads: ReadonlyMap<string, Workload>
  readonly instances: readonly Instance[]
}

/**
 * Puts workloads together: Pods and WorkloadEntries whose labels another workload selects are its addresses, and ports
 * come from containers and from the Services in front of them.
 */
export function assembleWorkloads(
  sources: readonly WorkloadSource[],
  services: readonly Service[],
  serviceEntries: readonly ServiceEntry[],
  diagnostics: Diagnostic[],
): Assembled {
  const owners = new Map<string, WorkloadSource[]>()
  for (const source of sources) {
    if (source.selector === null) continue
    const namespace = owners.get(source.meta.namespace)
    if (namespace === undefined) owners.set(source.meta.namespace, [source])
    else namespace.push(source)
  }
  const members = new Map<WorkloadSource, WorkloadSource[]>()
  const named = new Map<string, WorkloadSource>()
  for (const source of sources) {
    const owner = source.selector === null ? ownerOf(source, owners.get(source.meta.namespace) ?? []) : null
    if (owner !== null) {
      const others = members.get(owner)
      if (others === undefined) members.set(owner, [source])
      else others.push(source)
      continue
    }
    const key = keyOf(source)
    const same = named.get(key)
    if (same === undefined) named.set(key, source)
    else diagnostics.push(twoOfOneName(source, same))
  }
  const front = new ServiceIndex(services, serviceEntries)
  const workloads = new Map<string, Workload>()
  const instances: Instance[] = []
  for (const [key, source] of named) {
    const addressed = [source, ...(members.get(source) ?? [])].filter((member) => member.addresses.length > 0)
    workloads.set(key, {
      kind: source.kind,
      namespace: source.meta.namespace,
      name: source.meta.name,
      labels: source.labels,
      serviceAccount: source.serviceAccount,
      role: roleOf(source.labels, source.annotations),
      ports: portsOf(source, front),
      addresses: [...new Set(addressed.flatMap((member) => member.addresses))],
      origin: source.origin,
    })
    for (const member of addressed) {
      for (const address of member.addresses) {
        instances.push({
          namespace: member.meta.namespace,
          workload: key,
          address,
          labels: member.labels,
          serviceAccount: member.serviceAccount,
          ports: member.namedPorts,
          containerPorts: containerPorts(member.kind === 'WorkloadEntry' ? source : member),
        })
      }
    }
  }
  return { workloads, instances }
}

/** An entry that is an address of a Deployment has the names of the Deployment's containers. */
function containerPorts(source: WorkloadSource): ReadonlyMap<string, number> {
  return new Map(source.ports.filter(({ name }) => name !== '').map(({ name, number }) => [name, number]))
}

function keyOf(source: WorkloadSource): string {
  return `${source.meta.namespace}/${source.meta.name}`
}

/** The workload whose selector asks for most, where several match. */
function ownerOf(source: WorkloadSource, candidates: readonly WorkloadSource[]): WorkloadSource | null {
  let best: WorkloadSource | null = null
  for (const candidate of candidates) {
    if (candidate.selector === null || !selects(candidate.selector, source.labels)) continue
    if (best === null || size(candidate.selector) > size(best.selector ?? {})) best = candidate
  }
  return best
}

function size(labels: Labels): number {
  return Object.keys(labels).length
}

function twoOfOneName(second: WorkloadSource, first: WorkloadSource): Diagnostic {
  const at = first.origin.document.locate(first.origin.path, 'key')
  const place = {
    document: second.origin.document,
    path: [...second.origin.path, 'metadata', 'name'],
    at: 'value' as const,
  }
  const message =
    `the ${second.kind} \`${keyOf(second)}\` and the ${first.kind} of that name ` +
    `(${first.origin.document.file}:${at.line}) are two workloads`
  const help = 'rename one, or give the entry the labels that the other selects if it is an address of it'
  return diagnostic('SP111', place, message, { help })
}

/** What tells a gateway: the labels and annotations that Istio's own controllers and injection read. */
function roleOf(labels: Labels, annotations: Labels): WorkloadRole {
  const gateway = labelOf(labels, 'gateway.networking.k8s.io/gateway-name')
  if (gateway !== null) {
    const waypoint = labelOf(labels, 'gateway.istio.io/managed') === 'istio.io-mesh-controller'
    return waypoint ? { kind: 'waypoint', gateway } : { kind: 'gatewayApi', gateway }
  }
  const templates = labelOf(annotations, 'inject.istio.io/templates')?.split(',') ?? []
  return templates.some((name) => name.trim() === 'gateway') ? { kind: 'gateway' } : { kind: 'sidecar' }
}

/** Services and ServiceEntries that select something, by namespace. */
class ServiceIndex {
  readonly #services = new Map<string, Service[]>()
  readonly #entries = new Map<string, ServiceEntry[]>()

  constructor(services: readonly Service[], entries: readonly ServiceEntry[]) {
    for (const service of services) {
      if (Object.keys(service.selector).length > 0) add(this.#services, service.meta.namespace, service)
    }
    for (const entry of entries) if (entry.workloadSelector !== null) add(this.#entries, entry.meta.namespace, entry)
  }

  servicesOf(source: WorkloadSource): Service[] {
    return (this.#services.get(source.meta.namespace) ?? []).filter((service) =>
      selects(service.selector, source.labels),
    )
  }

  entriesOf(source: WorkloadSource): ServiceEntry[] {
    return (this.#entries.get(source.meta.namespace) ?? []).filter(
      ({ workloadSelector }) => workloadSelector !== null && selects(workloadSelector, source.labels),
    )
  }
}

function add<T>(index: Map<string, T[]>, key: string, value: T): void {
  const values = index.get(key)
  if (values === undefined) index.set(key, [value])
  else values.push(value)
}

/** The protocol that a Service gives a port wins over what the container's port name says. */
function portsOf(source: WorkloadSource, front: ServiceIndex): readonly WorkloadPort[] {
  const ports = new Map<number, WorkloadPort>()
  const put = (port: WorkloadPort) => {
    if (!ports.has(port.number)) ports.set(port.number, port)
  }
  for (const service of front.servicesOf(source)) {
    for (const { name, targetPort, protocol } of service.ports) {
      const number = typeof targetPort === 'number' ? targetPort : namedPort(source, targetPort)
      if (number !== null) put({ number, name, protocol })
    }
  }
  for (const entry of front.entriesOf(source)) {
    for (const { name, number, targetPort, protocol } of entry.ports) {
      put({ number: source.namedPorts.get(name) ?? targetPort ?? number, name, protocol })
    }
  }
  for (const port of source.ports) put(port)
  return [...ports.values()].sort((a, b) => a.number - b.number)
}

function namedPort(source: WorkloadSource, name: string): number | null {
  // Kubernetes takes a number in text as a number.
  if (/^[0-9]{1,5}$/.test(name)) return Number(name)
  return source.ports.find((port) => port.name === name)?.number ?? null
}
