import type { Labels, Resource } from './resource.ts'
import type { PortProtocol } from './workload.ts'

/** Kubernetes Service. */
export interface Service extends Resource {
  readonly kind: 'Service'
  /** Empty selects nothing. */
  readonly selector: Labels
  readonly ports: readonly ServicePort[]
  readonly externalName: string | null
}

export interface ServicePort {
  readonly name: string
  readonly port: number
  /** A number, or the name of a container port. */
  readonly targetPort: number | string
  readonly protocol: PortProtocol
}

/** What a waypoint's request is for, as `targetRefs` name it. */
export interface TargetService {
  readonly kind: 'Service' | 'ServiceEntry'
  readonly namespace: string
  /** The resource's own name, not its host. */
  readonly name: string
}

export type Resolution = 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN' | 'DYNAMIC_DNS'

/** `networking.istio.io` ServiceEntry. */
export interface ServiceEntry extends Resource {
  readonly kind: 'ServiceEntry'
  readonly hosts: readonly string[]
  readonly addresses: readonly string[]
  readonly ports: readonly ServiceEntryPort[]
  readonly location: 'MESH_EXTERNAL' | 'MESH_INTERNAL'
  readonly resolution: Resolution
  readonly endpoints: readonly Endpoint[]
  readonly workloadSelector: Labels | null
  readonly subjectAltNames: readonly string[]
}

export interface ServiceEntryPort {
  readonly name: string
  readonly number: number
  readonly targetPort: number | null
  readonly protocol: PortProtocol
}

/** A ServiceEntry endpoint or a WorkloadEntry's spec. */
export interface Endpoint {
  /** An IP address, a DNS name, or `unix:///path`. */
  readonly address: string
  readonly ports: ReadonlyMap<string, number>
  readonly labels: Labels
  readonly serviceAccount: string
  readonly weight: number
}
