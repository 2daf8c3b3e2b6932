import type { IpAddress } from '../match/ip.ts'
import type { ForwardClientCertificate } from '../mesh/gateway-topology.ts'
import type { GatewayTls } from './gateway-tls.ts'

/** What makes a listener a gateway's. */
export interface EdgeConfig {
  /** Proxies in front that are believed: `gatewayTopology.numTrustedProxies`. */
  readonly trustedHops: number
  /** Whether each connection begins with a PROXY header. */
  readonly proxyProtocol: boolean
  readonly forwardClientCertificate: ForwardClientCertificate
  /** What X-Forwarded-For gets instead of a peer on the loopback; null: the address that the peer has reached. */
  readonly own: IpAddress | null
  /** Whether every `x-envoy-` field of a client is dropped, also those that Envoy keeps. */
  readonly dropEnvoyHeaders: boolean
  /** Null: plaintext. */
  readonly tls: GatewayTls | null
  /** Hosts that are served, `*` and `*.SUFFIX` among them; others are answered with 404 after the decision. */
  readonly hosts: readonly string[]
  /** Hosts whose requests in plaintext are answered with 301, after the decision. */
  readonly redirected: readonly string[]
}
