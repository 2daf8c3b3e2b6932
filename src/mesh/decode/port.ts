import type { PortProtocol } from '../workload.ts'
import { integer, plainInteger } from './decoder.ts'

export const port = integer(1, 65535)
export const kubernetesPort = plainInteger(1, 65535)

const protocols: ReadonlyMap<string, PortProtocol> = new Map<string, PortProtocol>([
  ['http', 'http'],
  ['http_proxy', 'http'],
  // gRPC-Web comes over HTTP/1.1 as well as HTTP/2.
  ['grpc-web', 'http'],
  ['grpcweb', 'http'],
  ['http2', 'http2'],
  ['grpc', 'grpc'],
  ['https', 'https'],
  ['tls', 'tls'],
  ['tcp', 'tcp'],
  ['mongo', 'tcp'],
  ['redis', 'tcp'],
  ['mysql', 'tcp'],
  ['udp', 'udp'],
])

const applicationProtocols: ReadonlyMap<string, PortProtocol> = new Map<string, PortProtocol>([
  ['kubernetes.io/h2c', 'http2'],
  ['kubernetes.io/ws', 'http'],
  ['kubernetes.io/wss', 'https'],
])

/** Where the server speaks first, so that nothing can be sniffed. */
const serverFirstPorts: ReadonlySet<number> = new Set([25, 53, 3306, 27017])

/** Istio's protocol selection for a Kubernetes port: `appProtocol`, else the port name up to its first hyphen. */
export function kubernetesProtocol(
  port: number,
  name: string,
  transport: string,
  appProtocol: string | null,
): PortProtocol {
  if (transport.toUpperCase() === 'UDP') return 'udp'
  if (transport.toUpperCase() === 'SCTP') return 'tcp'
  const known = appProtocol === null ? undefined : applicationProtocols.get(appProtocol)
  if (known !== undefined) return known
  const lower = (appProtocol ?? name).toLowerCase()
  const word = lower.startsWith('grpc-web') ? 'grpc-web' : (lower.split('-', 1)[0] as string)
  return protocols.get(word) ?? (serverFirstPorts.has(port) ? 'tcp' : 'auto')
}

/** The protocol that an Istio resource names; an unknown or empty one is sniffed. */
export function istioProtocol(name: string): PortProtocol {
  return protocols.get(name.toLowerCase()) ?? 'auto'
}
