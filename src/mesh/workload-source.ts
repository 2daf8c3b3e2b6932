import type { ControllerSpec, PodSpec, RawPod } from './decode/kubernetes.ts'
import { NO_POD } from './decode/kubernetes.ts'
import { kubernetesProtocol } from './decode/port.ts'
import { GATEWAY_NAME_LABEL, type KubernetesGateway, WAYPOINT_CLASS } from './gateway.ts'
import type { GatewayTopology } from './gateway-topology.ts'
import { labelOf } from './labels.ts'
import type { Labels, Meta, Origin } from './resource.ts'
import type { Endpoint } from './service.ts'
import type { WorkloadKind, WorkloadPort } from './workload.ts'

/** A document that is a workload, or one address of another. */
export interface WorkloadSource {
  readonly kind: WorkloadKind
  readonly meta: Meta
  readonly origin: Origin
  readonly labels: Labels
  readonly annotations: Labels
  /** Of its annotation `proxy.istio.io/config`; null without. */
  readonly topology: GatewayTopology | null
  readonly serviceAccount: string
  readonly ports: readonly WorkloadPort[]
  /** The labels of its Pods and entries; null for what has none, such as a Pod. */
  readonly selector: Labels | null
  readonly addresses: readonly string[]
  /** A WorkloadEntry's own port numbers, by name. */
  readonly namedPorts: ReadonlyMap<string, number>
}

const DEFAULT_SERVICE_ACCOUNT = 'default'

export function fromController(
  kind: WorkloadKind,
  spec: ControllerSpec,
  meta: Meta,
  origin: Origin,
  topology: GatewayTopology | null,
): WorkloadSource {
  const { template } = spec
  return {
    kind,
    meta,
    origin,
    labels: template.metadata.labels,
    annotations: template.metadata.annotations,
    topology,
    ...fromPodSpec(template.spec),
    selector: nonEmpty(spec.selector.matchLabels ?? template.metadata.labels),
    addresses: [],
    namedPorts: new Map(),
  }
}

export function fromPod(pod: RawPod, meta: Meta, origin: Origin, topology: GatewayTopology | null): WorkloadSource {
  const { podIP, podIPs } = pod.status
  const addresses = [podIP, ...podIPs.map((entry) => entry.ip)].filter((address) => address !== '')
  return {
    kind: 'Pod',
    meta,
    origin,
    labels: meta.labels,
    annotations: meta.annotations,
    topology,
    ...fromPodSpec(pod.spec ?? NO_POD),
    selector: null,
    addresses: [...new Set(addresses)],
    namedPorts: new Map(),
  }
}

export function fromEntry(
  kind: 'WorkloadEntry' | 'WorkloadGroup',
  entry: Endpoint,
  meta: Meta,
  origin: Origin,
): WorkloadSource {
  return {
    kind,
    meta,
    origin,
    labels: entry.labels,
    annotations: meta.annotations,
    topology: null,
    serviceAccount: entry.serviceAccount === '' ? DEFAULT_SERVICE_ACCOUNT : entry.serviceAccount,
    ports: [...entry.ports].map(([name, number]) => ({
      name,
      number,
      protocol: kubernetesProtocol(number, name, 'TCP', null),
    })),
    selector: kind === 'WorkloadGroup' ? nonEmpty(entry.labels) : null,
    addresses: kind === 'WorkloadGroup' || entry.address === '' ? [] : [entry.address],
    namedPorts: entry.ports,
  }
}

/** The workload that Istio's controller makes of a Gateway: its labels, and the service account that it makes for it. */
export function fromKubernetesGateway(gateway: KubernetesGateway): WorkloadSource {
  const { meta, origin, className } = gateway
  const waypoint = className === WAYPOINT_CLASS
  const account = labelOf(meta.annotations, 'gateway.istio.io/service-account')
  const made = labelOf(meta.annotations, 'gateway.istio.io/name-override')
  return {
    kind: 'Gateway',
    meta,
    origin,
    labels: {
      ...gateway.labels,
      [GATEWAY_NAME_LABEL]: meta.name,
      'gateway.networking.k8s.io/gateway-class-name': className,
      'gateway.istio.io/managed': waypoint ? 'istio.io-mesh-controller' : 'istio.io-gateway-controller',
    },
    annotations: gateway.annotations,
    topology: gateway.topology,
    serviceAccount: account ?? made ?? (waypoint ? meta.name : `${meta.name}-${className}`),
    ports: gateway.listeners.map(({ port, name, protocol }) => ({ number: port, name, protocol })),
    selector: { [GATEWAY_NAME_LABEL]: meta.name },
    addresses: [],
    namedPorts: new Map(),
  }
}

function fromPodSpec(spec: PodSpec): Pick<WorkloadSource, 'serviceAccount' | 'ports'> {
  const account = spec.serviceAccountName === '' ? spec.serviceAccount : spec.serviceAccountName
  return {
    serviceAccount: account === '' ? DEFAULT_SERVICE_ACCOUNT : account,
    ports: spec.containers.flatMap((container) =>
      container.ports.map((port) => ({
        number: port.containerPort,
        name: port.name,
        protocol: kubernetesProtocol(port.containerPort, port.name, port.protocol, null),
      })),
    ),
  }
}

function nonEmpty(selector: Labels): Labels | null {
  return Object.keys(selector).length === 0 ? null : selector
}
