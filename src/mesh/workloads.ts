import type { Diagnostic } from '../source/diagnostic.ts'
import { diagnostic } from '../source/diagnostic.ts'
import type { Gateway, KubernetesGateway } from './gateway.ts'
import { GATEWAY_NAME_LABEL, WAYPOINT_CLASS } from './gateway.ts'
import type { Instance } from './instance.ts'
import { labelOf, selects } from './labels.ts'
import type { Labels, Meta } from './resource.ts'
import type { Service, ServiceEntry } from './service.ts'
import type { Workload, WorkloadPort, WorkloadRole } from './workload.ts'
import { fromKubernetesGateway, type WorkloadSource } from './workload-source.ts'

/** What workloads are put together from. */
export interface WorkloadParts {
  readonly sources: readonly WorkloadSource[]
  readonly services: readonly Service[]
  readonly serviceEntries: readonly ServiceEntry[]
  readonly gateways: readonly Gateway[]
  readonly kubernetesGateways: readonly KubernetesGateway[]
}

export interface Assembled {
  readonly workloads: ReadonlyMap<string, Workload>
  readonly instances: readonly Instance[]
}

/**
 * Puts workloads together: Pods and WorkloadEntries whose labels another workload selects are its addresses, and ports
 * come from containers and from the Services in front of them.
 */
export function assembleWorkloads(
  { services, serviceEntries, gateways, kubernetesGateways, ...declared }: WorkloadParts,
  diagnostics: Diagnostic[],
): Assembled {
  const sources = [...declared.sources, ...gatewaySources(declared.sources, kubernetesGateways)]
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
  const gatewayClasses = new Map(kubernetesGateways.map(({ meta, className }) => [keyOf({ meta }), className]))
  const workloads = new Map<string, Workload>()
  const instances: Instance[] = []
  for (const [key, source] of named) {
    const addressed = [source, ...(members.get(source) ?? [])].filter((member) => member.addresses.length > 0)
    const selecting = gateways.filter((gateway) => selectsGateway(gateway, source.labels))
    workloads.set(key, {
      kind: source.kind,
      namespace: source.meta.namespace,
      name: source.meta.name,
      labels: source.labels,
      serviceAccount: source.serviceAccount,
      role: roleOf(source, selecting, gatewayClasses),
      ports: portsOf(source, front, selecting),
      addresses: [...new Set(addressed.flatMap((member) => member.addresses))],
      ...(source.topology === null ? {} : { topology: source.topology }),
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

function keyOf(source: { readonly meta: Meta }): string {
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
  const place = { document: second.origin.document, path: [...second.origin.path, 'metadata', 'name'] }
  const message =
    `the ${second.kind} \`${keyOf(second)}\` and the ${first.kind} of that name ` +
    `(${first.origin.document.file}:${at.line}) are two workloads`
  const help = 'rename one, or give the entry the labels that the other selects if it is an address of it'
  return diagnostic('SP111', place, message, { help })
}

/** One for each Gateway, but not where the Deployment that Istio made of it is among the files under the same name. */
function gatewaySources(
  sources: readonly WorkloadSource[],
  kubernetesGateways: readonly KubernetesGateway[],
): WorkloadSource[] {
  if (kubernetesGateways.length === 0) return []
  const made = new Set<string>()
  for (const source of sources) {
    if (labelOf(source.labels, GATEWAY_NAME_LABEL) === source.meta.name) made.add(keyOf(source))
  }
  return kubernetesGateways.filter((gateway) => !made.has(keyOf(gateway))).map(fromKubernetesGateway)
}

/** A Gateway without a selector is for every gateway, and makes none of what is a sidecar otherwise. */
function selectsGateway({ selector }: Gateway, labels: Labels): boolean {
  return size(selector) > 0 && selects(selector, labels)
}

/** What tells a gateway: who selects it, and the labels and annotations that Istio's controllers and injection read. */
function roleOf(
  { labels, annotations, meta }: WorkloadSource,
  selecting: readonly Gateway[],
  gatewayClasses: ReadonlyMap<string, string>,
): WorkloadRole {
  const gateway = labelOf(labels, GATEWAY_NAME_LABEL)
  if (gateway !== null) {
    const className = gatewayClasses.get(`${meta.namespace}/${gateway}`)
    const waypoint =
      className === undefined
        ? labelOf(labels, 'gateway.istio.io/managed') === 'istio.io-mesh-controller'
        : className === WAYPOINT_CLASS
    return waypoint ? { kind: 'waypoint', gateway } : { kind: 'gatewayApi', gateway }
  }
  if (selecting.length > 0) return { kind: 'gateway' }
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

/**
 * The protocol that a Service gives a port wins over what the container's port name says. A gateway listens on the
 * target of the Service's port that a server names, or on that number where no Service has it.
 */
function portsOf(source: WorkloadSource, front: ServiceIndex, selecting: readonly Gateway[]): readonly WorkloadPort[] {
  const ports = new Map<number, WorkloadPort>()
  const put = (port: WorkloadPort) => {
    if (!ports.has(port.number)) ports.set(port.number, port)
  }
  const services = front.servicesOf(source)
  for (const service of services) {
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
  for (const { port, name, protocol } of selecting.flatMap(({ servers }) => servers)) {
    if (!services.some((service) => service.ports.some((served) => served.port === port))) {
      put({ number: port, name, protocol })
    }
  }
  return [...ports.values()].sort((a, b) => a.number - b.number)
}

function namedPort(source: WorkloadSource, name: string): number | null {
  // Kubernetes takes a number in text as a number.
  if (/^[0-9]{1,5}$/.test(name)) return Number(name)
  return source.ports.find((port) => port.name === name)?.number ?? null
}
