import type { WorkloadIdentity } from './config.ts'
import type { Ended, InboundConnection } from './connection.ts'
import type { EdgeConfig } from './edge-config.ts'
import { hostMatches } from './server-hosts.ts'

/** The servers of a gateway's port that terminate TLS. */
export interface GatewayTls {
  readonly servers: readonly GatewayTlsServer[]
}

export interface GatewayTlsServer {
  /** Which server names it takes: names, `*.SUFFIX`, or `*` for any and for clients that name none. */
  readonly hosts: readonly string[]
  /** PEM, the leaf first. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
  /** Who the clients are, where they must have a certificate (MUTUAL); null where they need none (SIMPLE). */
  readonly clients: Pick<WorkloadIdentity, 'ca' | 'identifyPeer' | 'forwardedClientCert'> | null
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3'
}

/** The server that has a name: one that says it whole before the longest `*.SUFFIX`, then `*`. */
export function serverFor({ servers }: GatewayTls, serverName: string): GatewayTlsServer | null {
  let best: GatewayTlsServer | null = null
  let longest = -1
  for (const server of servers) {
    for (const host of server.hosts) {
      const rank = host === '*' ? 0 : host.startsWith('*.') ? host.length : Number.MAX_SAFE_INTEGER
      if (rank <= longest || (host !== '*' && !hostMatches(host, serverName))) continue
      best = server
      longest = rank
    }
  }
  return best
}

/**
 * Why a connection may carry no more requests at a gateway that a reload has changed, or null: it demands TLS now, has no
 * server of the name that the client asked for, or one that demands a certificate of other roots.
 */
export function edgeRefusal(
  edge: Pick<EdgeConfig, 'tls'> | null,
  { secure, mtls, facts }: InboundConnection,
): Ended | null {
  const tls = edge?.tls ?? null
  if (tls === null) return null
  if (!secure) return PLAINTEXT
  const server = serverFor(tls, facts.sni)
  if (server === null) return NO_SERVER
  return server.clients?.ca.join() === mtls?.acceptedBy.ca.join() ? null : OTHER_ROOTS
}

const NO_SERVER: Ended = {
  cause: null,
  details: 'filter_chain_not_found',
  reason: 'no server has the name that it asked for',
}
const PLAINTEXT: Ended = { cause: null, details: 'plaintext_under_tls', reason: 'plaintext where TLS is demanded' }
const OTHER_ROOTS: Ended = {
  cause: 'root_removed',
  details: 'peer_identity_refused',
  reason: 'its server has other roots than those that its certificate was verified by',
}
