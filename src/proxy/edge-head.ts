import type { IpAddress } from '../match/ip.ts'
import { printIp } from '../match/ip.ts'
import { remoteIpOf } from './remote-ip.ts'
import { type HeadOptions, type RawHead, type RefusedHead, type RequestHead, readHead } from './request-head.ts'

/** Where a request came in at a gateway. */
export interface EdgeOptions extends HeadOptions {
  /** Proxies in front that are believed: `gatewayTopology.numTrustedProxies`. */
  readonly trustedHops: number
  readonly peer: IpAddress
  /** What X-Forwarded-For gets instead of a peer on the loopback. */
  readonly own: IpAddress
}

export interface EdgeHead extends RequestHead {
  readonly remoteIp: IpAddress
}

/**
 * Reads a head as a gateway does, which takes nobody's word for where a request comes from (Envoy with
 * `use_remote_address`): X-Forwarded-For gets the peer, X-Forwarded-Proto is the connection's unless a trusted proxy wrote
 * it, X-Request-Id and X-Forwarded-Client-Cert are the gateway's own.
 */
export function readEdgeHead(raw: RawHead, options: EdgeOptions): EdgeHead | RefusedHead {
  const { trustedHops, peer, own } = options
  // A proxy in front may have ended the TLS that the target speaks of.
  if (trustedHops === 0 && !options.secure && /^https:\/\//i.test(raw.url ?? '')) return HTTPS_IN_PLAINTEXT
  const untrusted = trustedHops === 0 ? NOT_FROM_CLIENTS : NOT_FROM_PROXIES
  const rawHeaders: string[] = []
  for (let i = 0; i < raw.rawHeaders.length; i += 2) {
    const name = raw.rawHeaders[i] as string
    if (!untrusted.has(name.toLowerCase())) rawHeaders.push(name, raw.rawHeaders[i + 1] as string)
  }
  const head = readHead({ ...raw, rawHeaders }, options)
  if (head.kind === 'refused') return head
  const { headers } = head
  const remoteIp = remoteIpOf(headers, peer, trustedHops)
  const lines = headers.all('x-forwarded-for').filter((line) => line !== '')
  headers.set('x-forwarded-for', [...lines, printIp(isLoopback(peer) ? own : peer)].join(','))
  headers.set('x-envoy-external-address', printIp(remoteIp))
  return { ...head, remoteIp }
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
  'x-forwarded-client-cert',
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-original-path',
  'x-envoy-original-host',
])

const NOT_FROM_CLIENTS: ReadonlySet<string> = new Set([...NOT_FROM_PROXIES, 'x-forwarded-proto'])

function isLoopback({ v6, a, b, c, d }: IpAddress): boolean {
  return v6 ? a === 0 && b === 0 && c === 0 && d === 1 : a >>> 24 === 127
}
