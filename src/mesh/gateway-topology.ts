import type { Mesh } from './mesh.ts'
import type { Workload } from './workload.ts'

/** `gatewayTopology` of a ProxyConfig: what stands in front of a gateway. */
export interface GatewayTopology {
  /** Proxies that are believed, default 0. */
  readonly numTrustedProxies: number
  /** Whether connections begin with a PROXY header; default false. */
  readonly proxyProtocol: boolean
  /** Default SANITIZE_SET. */
  readonly forwardClientCertDetails: ForwardClientCertificate
}

/** What becomes of X-Forwarded-Client-Cert; see Envoy's `forward_client_cert_details`. */
export type ForwardClientCertificate =
  | 'SANITIZE'
  | 'FORWARD_ONLY'
  | 'APPEND_FORWARD'
  | 'SANITIZE_SET'
  | 'ALWAYS_FORWARD_ONLY'

export const DEFAULT_TOPOLOGY: GatewayTopology = {
  numTrustedProxies: 0,
  proxyProtocol: false,
  forwardClientCertDetails: 'SANITIZE_SET',
}

/** The topology of one gateway. As in Istio, what its annotation says replaces the mesh's as a whole. */
export function gatewayTopologyFor({ config }: Mesh, { topology }: Workload): GatewayTopology {
  return topology ?? config.gatewayTopology
}

/** The annotation of a Pod that changes the mesh's `defaultConfig` for it. */
export const PROXY_CONFIG_ANNOTATION = 'proxy.istio.io/config'
