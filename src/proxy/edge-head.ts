import type { HeaderMap } from '../match/header-map.ts'
import type { IpAddress } from '../match/ip.ts'
import { printIp } from '../match/ip.ts'
import { remoteIpOf } from '../match/remote-ip.ts'
import type { ForwardClientCertificate } from '../mesh/gateway-topology.ts'
import { type HeadOptions, type RawHead, type RefusedHead, type RequestHead, readHead } from './request-head.ts'

/** Where a request came in at a gateway. */
export interface EdgeOptions extends HeadOptions {
  /** Proxies in front that are believed: `gatewayTopology.numTrustedProxies`. */
  readonly trustedHops: number
  /** The client's address as the connection tells it: the socket's, or that of a PROXY header. */
  readonly peer: IpAddress
  /** What X-Forwarded-For gets instead of a peer on the loopback. */
  readonly own: IpAddress
  readonly forwardClientCertificate: ForwardClientCertificate
  /** Drops the `x-envoy-` fields too that Envoy lets through. */
  readonly dropEnvoyHeaders: boolean
}

export interface EdgeHead extends RequestHead {
  readonly remoteIp: IpAddress
}

/**
 * Reads a head as a gateway does, which takes nobody's word for where a request comes from (Envoy with
 * `use_remote_address`): X-Forwarded-For gets the peer, X-Forwarded-Proto is the connection's unless a trusted proxy wrote
 * it, X-Request-Id is the gateway's own, and X-Forwarded-Client-Cert what `forwardClientCertDetails` asks for.
 */
export function readEdgeHead(raw: RawHead, options: EdgeOptions): EdgeHead | RefusedHead {
  const { trustedHops, peer, own, forwardClientCertificate, dropEnvoyHeaders } = options
  // A proxy in front may have ended the TLS that the target speaks of.
  if (trustedHops === 0 && !options.secure && /^https:\/\//i.test(raw.url ?? '')) return HTTPS_IN_PLAINTEXT
  const untrusted = trustedHops === 0 ? NOT_FROM_CLIENTS : NOT_FROM_PROXIES
  const rawHeaders: string[] = []
  const certificates: string[] = []
  for (let i = 0; i < raw.rawHeaders.length; i += 2) {
    const name = raw.rawHeaders[i] as string
    const value = raw.rawHeaders[i + 1] as string
    const lower = name.toLowerCase()
    if (lower === CLIENT_CERTIFICATE) certificates.push(value)
    else if (!untrusted.has(lower) && !(dropEnvoyHeaders && lower.startsWith('x-envoy-'))) rawHeaders.push(name, value)
  }
  const head = readHead({ ...raw, rawHeaders }, options)
  if (head.kind === 'refused') return head
  const { headers } = head
  setClientCertificate(headers, certificates, options.clientCertificate, forwardClientCertificate)
  const remoteIp = remoteIpOf(headers, peer, trustedHops)
  const lines = headers.all('x-forwarded-for').filter((line) => line !== '')
  headers.set('x-forwarded-for', [...lines, printIp(isLoopback(peer) ? own : peer)].join(','))
  headers.set('x-envoy-external-address', printIp(remoteIp))
  return { ...head, remoteIp }
}

const CLIENT_CERTIFICATE = 'x-forwarded-client-cert'

/** `lines` came with the request, `element` is the peer's own, null without mutual TLS. */
function setClientCertificate(
  headers: HeaderMap,
  lines: readonly string[],
  element: string | null,
  mode: ForwardClientCertificate,
): void {
  const kept = clientCertificateLines(lines, element, mode)
  if (kept.length === 0) headers.delete(CLIENT_CERTIFICATE)
  else headers.set(CLIENT_CERTIFICATE, kept.filter((line) => line !== '').join(','))
}

function clientCertificateLines(
  lines: readonly string[],
  element: string | null,
  mode: ForwardClientCertificate,
): readonly string[] {
  if (mode === 'ALWAYS_FORWARD_ONLY') return lines
  if (element === null) return []
  switch (mode) {
    case 'SANITIZE':
      return []
    case 'SANITIZE_SET':
      return [element]
    case 'FORWARD_ONLY':
      return lines
    case 'APPEND_FORWARD':
      return [...lines, element]
    default:
      return mode satisfies never
  }
}

/** A target of `https` on a connection that is not. */
const HTTPS_IN_PLAINTEXT: RefusedHead = {
  kind: 'refused',
  status: 403,
  body: 'Forbidden',
  details: 'http1.https_url_on_plaintext_connection',
}

/** What an edge drops whoever sent it (envoyproxy/envoy, ConnectionManagerUtility::mutateRequestHeaders). */
const NOT_FROM_PROXIES: ReadonlySet<string> = new Set([
  'x-request-id',
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-original-path',
  'x-envoy-original-host',
])

const NOT_FROM_CLIENTS: ReadonlySet<string> = new Set([...NOT_FROM_PROXIES, 'x-forwarded-proto'])

/** Envoy knows one address of each family for it. */
function isLoopback({ v6, a, b, c, d }: IpAddress): boolean {
  return v6 ? a === 0 && b === 0 && c === 0 && d === 1 : a === 0x7f000001
}
