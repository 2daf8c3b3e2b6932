import type { GatewayTopology } from './gateway-topology.ts'
import type { Labels, Resource } from './resource.ts'
import type { PortProtocol } from './workload.ts'

/** `networking.istio.io` Gateway: makes gateways of the workloads that it selects, whatever their namespace. */
export interface Gateway extends Resource {
  readonly kind: 'Gateway'
  /** Empty selects every gateway and makes none. */
  readonly selector: Labels
  readonly servers: readonly GatewayServer[]
}

export interface GatewayServer {
  /** The Service's port; the gateway listens on that port's target, or on this where no Service has it. */
  readonly port: number
  readonly name: string
  readonly protocol: PortProtocol
  readonly hosts: readonly string[]
  /** An IP address or empty (all addresses). */
  readonly bind: string
  /** Null: plaintext. */
  readonly tls: ServerTls | null
}

/** What a server says of TLS; texts are empty where it does not say. */
export interface ServerTls {
  readonly httpsRedirect: boolean
  readonly mode: 'PASSTHROUGH' | 'SIMPLE' | 'MUTUAL' | 'AUTO_PASSTHROUGH' | 'ISTIO_MUTUAL' | 'OPTIONAL_MUTUAL'
  /** Paths of files. */
  readonly serverCertificate: string
  readonly privateKey: string
  readonly caCertificates: string
  readonly minProtocolVersion: TlsProtocol
  readonly maxProtocolVersion: TlsProtocol
  /** Names of the fields that are set beside these. */
  readonly others: readonly string[]
}

export type TlsProtocol = 'TLS_AUTO' | 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3'

/** `gateway.networking.k8s.io` Gateway: a workload by its own name. */
export interface KubernetesGateway extends Resource {
  readonly kind: 'KubernetesGateway'
  readonly className: string
  readonly listeners: readonly KubernetesListener[]
  /** Labels and annotations of its Pods: `spec.infrastructure`'s, or without one the Gateway's own. */
  readonly labels: Labels
  readonly annotations: Labels
  /** Of its Pods' annotation `proxy.istio.io/config`; null without. */
  readonly topology: GatewayTopology | null
}

export interface KubernetesListener {
  readonly port: number
  readonly name: string
  readonly protocol: PortProtocol
  /** `*.SUFFIX` or a name; empty: any. */
  readonly hostname: string
}

/** The GatewayClass of waypoints, and the only one that a policy can target. */
export const WAYPOINT_CLASS = 'istio-waypoint'

/** The label by which a Pod is an instance of a Gateway API gateway. */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name'
