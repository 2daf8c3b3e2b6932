import type { X509Certificate } from 'node:crypto'
import type { PeerRefusal } from '../authn/peer.ts'
import type { PathMode } from '../match/request-path.ts'
import type { SocketEndpoint } from '../mesh/sidecar.ts'
import type { Policies } from './chain.ts'
import type { ClientTls } from './client-tls.ts'
import type { EdgeConfig } from './edge-config.ts'

/** Everything that one proxy process listens on, and what it enforces there. */
export interface ProxyConfig {
  readonly inbound: readonly InboundConfig[]
  readonly outbound: readonly OutboundConfig[]
}

/** A socket to listen on. Port 0 takes a free one. An empty host means all addresses. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

interface ListenerConfig {
  /** Unique among all listeners, the same across reloads. */
  readonly id: string
  /** `NAMESPACE/NAME`, for logs and metrics. */
  readonly workload: string
  readonly listen: ListenAddress
  readonly protocol: 'http' | 'tcp'
}

/** A workload's port: what comes in is authenticated and authorized, and goes to the application. */
export interface InboundConfig extends ListenerConfig {
  /** The port that policies see; the socket may be elsewhere. */
  readonly port: number
  readonly application: SocketEndpoint
  readonly mtls: MtlsConfig
  /** How a gateway treats clients that no proxy of the mesh stands before; null at a sidecar. */
  readonly edge: EdgeConfig | null
  readonly pathMode: PathMode
  readonly policies: Policies
}

export type MtlsConfig =
  | { readonly mode: 'DISABLE' }
  | { readonly mode: 'PERMISSIVE' | 'STRICT'; readonly identity: WorkloadIdentity }

/** A workload's certificate and whom it trusts. */
export interface WorkloadIdentity {
  /** The workload's own SPIFFE id, with its scheme. */
  readonly id: string
  /** PEM, the leaf first. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
  /** PEM certificates of the roots that peers must chain to. */
  readonly ca: readonly string[]
  /** Names a peer whose chain TLS has verified. Called once a connection. */
  readonly identifyPeer: (certificate: X509Certificate) => PeerIdentity
  /** The X-Forwarded-Client-Cert element for a peer. Called once a connection. */
  readonly forwardedClientCert: (certificate: X509Certificate) => string
}

export type PeerIdentity =
  | { readonly kind: 'peer'; readonly id: string }
  | { readonly kind: 'refused'; readonly cause: PeerRefusal; readonly reason: string }

/** An application's way out. */
export interface OutboundConfig extends ListenerConfig {
  readonly pathMode: PathMode
  /** Null: every destination is reached in plaintext, and those that need TLS cannot be. */
  readonly identity: WorkloadIdentity | null
  /**
   * Where a request goes: `host` is lower-case and without its port, `port` the one in Host, else the listener's.
   * For `tcp` it is asked with an empty host. Null when no such destination is known.
   */
  readonly route: (host: string, port: number) => Route | null
  /** The port that a Host without one means. */
  readonly port: number
}

/** A destination's endpoints, at least one, used in turn. */
export interface Route {
  readonly endpoints: readonly RouteEndpoint[]
}

export interface RouteEndpoint {
  /** An IP address or a DNS name. */
  readonly address: string
  readonly port: number
  /** Null: plaintext. */
  readonly tls: ClientTls | null
}
