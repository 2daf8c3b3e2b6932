import type { Labels, Resource } from './resource.ts'

/** `networking.istio.io` DestinationRule, without what balances or splits requests: `loadBalancer`, `subsets`, tunnels. */
export interface DestinationRule extends Resource {
  readonly kind: 'DestinationRule'
  /** As written: a full name, a short one of the rule's own namespace, `*.example.com`, or `*`. */
  readonly host: string
  /** Null where the rule has none. */
  readonly trafficPolicy: TrafficPolicy | null
  /** Namespaces, `.` (its own) or `*`. Empty: all. */
  readonly exportTo: readonly string[]
  /** Workloads of its own namespace that it is for; null: every client. */
  readonly selector: Labels | null
}

export interface TrafficPolicy extends PortPolicy {
  /** The first one of a port replaces all of the above, what it leaves out included. */
  readonly portLevelSettings: readonly PortLevelPolicy[]
}

export interface PortPolicy {
  readonly tls: ClientTlsSettings | null
  readonly connectionPool: ConnectionPool | null
  readonly outlierDetection: OutlierDetection | null
}

export interface PortLevelPolicy extends PortPolicy {
  /** The port of the service; null where none is written, which selects nothing. */
  readonly port: number | null
}

export type ClientTlsMode = 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL'

/** How a client speaks TLS. Paths are of PEM files; an empty text is an absent one. */
export interface ClientTlsSettings {
  readonly mode: ClientTlsMode
  readonly sni: string
  /** Names of the server's certificate, whatever their type, of which one must be there. */
  readonly subjectAltNames: readonly string[]
  readonly caCertificates: string
  readonly caCrl: string
  readonly clientCertificate: string
  readonly privateKey: string
  readonly credentialName: string
  readonly insecureSkipVerify: boolean
}

/** Limits of the connections to a destination. Null: nothing is written, so that the default applies. */
export interface ConnectionPool {
  readonly maxConnections: number | null
  /** Milliseconds. */
  readonly connectTimeout: number | null
  /** Milliseconds. */
  readonly maxConnectionDuration: number | null
  readonly http1MaxPendingRequests: number | null
  readonly http2MaxRequests: number | null
  readonly maxRequestsPerConnection: number | null
  readonly maxRetries: number | null
  /** Milliseconds: `http.idleTimeout`, else `tcp.idleTimeout`. */
  readonly idleTimeout: number | null
  readonly maxConcurrentStreams: number | null
  /** Milliseconds, of `http.http2KeepAlive`. */
  readonly keepAlive: { readonly interval: number | null; readonly timeout: number | null } | null
}

/** When an endpoint is left out for a while. Null: nothing is written, so that the default applies. */
export interface OutlierDetection {
  /** 0 turns it off. */
  readonly consecutive5xxErrors: number | null
  /** 0 turns it off. */
  readonly consecutiveGatewayErrors: number | null
  readonly consecutiveLocalOriginFailures: number | null
  readonly splitExternalLocalOriginErrors: boolean
  /** Milliseconds. */
  readonly interval: number | null
  /** Milliseconds. */
  readonly baseEjectionTime: number | null
  /** Percent; null also where 0 is written, which Istio cannot tell apart. */
  readonly maxEjectionPercent: number | null
  /** Percent. */
  readonly minHealthPercent: number
}
