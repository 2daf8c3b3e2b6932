import type { GatewayTopology } from './gateway-topology.ts'
import type { Labels, Origin } from './resource.ts'

export type WorkloadKind =
  | 'Deployment'
  | 'StatefulSet'
  | 'DaemonSet'
  | 'Job'
  | 'Pod'
  | 'WorkloadGroup'
  | 'WorkloadEntry'
  | 'Gateway'
  /** Named on the command line only, with labels and a service account given there. */
  | 'CommandLine'

/** What decides which policies reach a workload (istio/istio pilot/pkg/model/policyattachment.go). */
export type WorkloadRole =
  | { readonly kind: 'sidecar' }
  /** A classic gateway: policies attach as to a sidecar. */
  | { readonly kind: 'gateway' }
  /** A Gateway API gateway: also policies with a `targetRef` to it. */
  | { readonly kind: 'gatewayApi'; readonly gateway: string }
  /** Policies with a `targetRef` only. */
  | { readonly kind: 'waypoint'; readonly gateway: string }

export interface Workload {
  readonly kind: WorkloadKind
  readonly namespace: string
  readonly name: string
  readonly labels: Labels
  readonly serviceAccount: string
  readonly role: WorkloadRole
  /** The workload's own (target) ports, ascending, without repeats. */
  readonly ports: readonly WorkloadPort[]
  /** Where it can be reached: WorkloadEntry addresses, Pod IPs. */
  readonly addresses: readonly string[]
  /** As its annotation `proxy.istio.io/config` says; absent: the mesh's. */
  readonly topology?: GatewayTopology
  readonly origin: Origin | null
}

/** A sidecar's workload that no file describes. `namespace`, `name` and `labels` are all that is known of it. */
export function undescribedWorkload(namespace: string, name: string, labels: Labels): Workload {
  return {
    kind: 'CommandLine',
    namespace,
    name,
    labels,
    serviceAccount: 'default',
    role: { kind: 'sidecar' },
    ports: [],
    addresses: [],
    origin: null,
  }
}

export interface WorkloadPort {
  readonly number: number
  readonly name: string
  readonly protocol: PortProtocol
}

/** Istio's protocol selection; `auto` is sniffed. */
export type PortProtocol = 'http' | 'http2' | 'grpc' | 'https' | 'tls' | 'tcp' | 'udp' | 'auto'
