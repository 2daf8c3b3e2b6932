import type { Labels, Resource } from './resource.ts'
import type { PortProtocol } from './workload.ts'

/** `networking.istio.io` Sidecar: where a workload's proxy listens here, and the application's way out. */
export interface Sidecar extends Resource {
  readonly kind: 'Sidecar'
  /** Null: every workload of the namespace. */
  readonly selector: Labels | null
  readonly ingress: readonly IngressListener[]
  readonly egress: readonly EgressListener[]
}

export interface ListenerPort {
  readonly number: number
  readonly name: string
  readonly protocol: PortProtocol
}

export interface IngressListener {
  readonly port: ListenerPort
  /** An IP address or empty (all addresses). */
  readonly bind: string
  readonly defaultEndpoint: SocketEndpoint
}

/** `defaultEndpoint`: where the application listens. */
export type SocketEndpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface EgressListener {
  /** Null: a listener without a port only scopes hosts, and opens no socket. */
  readonly port: ListenerPort | null
  /** An IP address (default 127.0.0.1) or `unix://path`. */
  readonly bind: string
  /** `namespace/dnsName`, each part possibly `*`, `.` or `~`. */
  readonly hosts: readonly string[]
}
