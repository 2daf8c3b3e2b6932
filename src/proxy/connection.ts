import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { IpAddress } from '../match/ip.ts'
import { parseSocketIp, printIp } from '../match/ip.ts'
import type { AuthorizedConnection } from './chain.ts'
import type { MtlsConfig, WorkloadIdentity } from './config.ts'
import { leadsToRoot, presentedChain, rootsOf } from './peer-chain.ts'
import type { RefusalCause } from './peer-refusal.ts'
import type { ProxiedEnds } from './proxy-protocol.ts'

/** What mutual TLS has told about a connection's peer. */
export interface MutualTls {
  readonly peer: string
  /** The X-Forwarded-Client-Cert element. */
  readonly element: string
  /** Until when the peer's certificate is valid, in milliseconds since the epoch. */
  readonly validTo: number
  readonly certificate: X509Certificate
  /** What the peer has presented, the leaf first. */
  readonly chain: () => readonly X509Certificate[]
  /** By whom the peer was last accepted; a reload makes another. */
  acceptedBy: WorkloadIdentity
}

export interface InboundConnection extends AuthorizedConnection {
  /** Null on plaintext. */
  readonly mtls: MutualTls | null
  /** Whether it is encrypted, with a certificate of the peer or without. */
  readonly secure: boolean
}

export type Verified = MutualTls | { readonly refused: RefusalCause; readonly reason: string }

/** Names the peer of a connection whose chain TLS has verified. */
export function verifyPeer(socket: TLSSocket, identity: WorkloadIdentity): Verified {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined || !socket.authorized) {
    return { refused: 'no_certificate', reason: 'it has no verified certificate' }
  }
  const peer = identity.identifyPeer(certificate)
  if (peer.kind === 'refused') return { refused: peer.cause, reason: peer.reason }
  return {
    peer: peer.id,
    element: identity.forwardedClientCert(certificate),
    validTo: Date.parse(certificate.validTo),
    certificate,
    chain: () => presentedChain(socket),
    acceptedBy: identity,
  }
}

/** Why a connection may not go on; `details` is for the decision log. */
export interface Ended {
  readonly cause: RefusalCause | null
  readonly details: string
  readonly reason: string
}

/**
 * Why a connection may carry no more requests, or null. What was so when it was accepted need not be so any more: the
 * peer's certificate expires, and a reload can demand mTLS, remove a root or no longer accept a trust domain.
 */
export function refusalNow({ mtls }: InboundConnection, required: MtlsConfig): Ended | null {
  if (mtls === null) return required.mode === 'STRICT' ? PLAINTEXT : null
  if (Date.now() > mtls.validTo) return EXPIRED
  if (required.mode === 'DISABLE' || required.identity === mtls.acceptedBy) return null
  const { identity } = required
  const peer = identity.identifyPeer(mtls.certificate)
  if (peer.kind === 'refused') return { cause: peer.cause, details: 'peer_identity_refused', reason: peer.reason }
  if (peer.id !== mtls.peer) return ROOT_REMOVED
  const roots = rootsOf(identity)
  const rootsStay = rootsOf(mtls.acceptedBy).every((root) => roots.includes(root))
  // Which of several roots the peer's chain ends at is looked at only when one of them is gone.
  if (!rootsStay && !leadsToRoot(mtls.chain(), roots)) return ROOT_REMOVED
  mtls.acceptedBy = identity
  return null
}

const PLAINTEXT: Ended = { cause: null, details: 'plaintext_under_strict_mtls', reason: 'plaintext under STRICT' }
const EXPIRED: Ended = { cause: 'expired', details: 'peer_certificate_expired', reason: 'its certificate has expired' }
const ROOT_REMOVED: Ended = {
  cause: 'root_removed',
  details: 'peer_identity_refused',
  reason: 'its certificate leads to no root that is trusted now',
}

/**
 * Facts of an accepted socket. `port` is the one that policies see. Null when the peer has reset the connection: its
 * address is gone then, while a request that came before may still be read, and no rule on addresses could judge it.
 * `ends` is what a PROXY header has told.
 */
export function describeConnection(
  socket: Socket,
  port: number,
  sni: string,
  mtls: MutualTls | null,
  ownId: string,
  secure = mtls !== null,
  ends: ProxiedEnds | null = null,
): InboundConnection | null {
  const sourceIp = ipOf(socket.remoteAddress)
  const destinationIp = ipOf(socket.localAddress)
  if (sourceIp === null || destinationIp === null) return null
  const connection = describe(sourceIp, socket.remotePort ?? 0, destinationIp, port, sni, mtls, ownId, secure)
  return ends === null ? connection : behindProxy(connection, ends)
}

/** The same for the log of a connection that is refused before it has an identity; unknown addresses are zero. */
export function describeRefused(socket: Socket, port: number, sni: string): InboundConnection {
  const sourceIp = ipOf(socket.remoteAddress) ?? UNSPECIFIED
  const destinationIp = ipOf(socket.localAddress) ?? UNSPECIFIED
  return describe(sourceIp, socket.remotePort ?? 0, destinationIp, port, sni, null, '', false)
}

function describe(
  sourceIp: IpAddress,
  sourcePort: number,
  destinationIp: IpAddress,
  port: number,
  sni: string,
  mtls: MutualTls | null,
  ownId: string,
  secure: boolean,
): InboundConnection {
  const peer = mtls?.peer ?? ''
  return {
    facts: { peer, sourceIp, destinationIp, destinationPort: port, sni },
    source: { ip: printIp(sourceIp), port: sourcePort, principal: peer },
    destination: { ip: printIp(destinationIp), port, principal: mtls === null ? '' : ownId },
    mtls,
    secure,
  }
}

/**
 * What Envoy changes behind a PROXY header: the destination is the one that the client had reached, the client's address
 * is what `remote.ip` and providers see, and `source.ip` stays the socket's.
 */
function behindProxy(connection: InboundConnection, ends: ProxiedEnds): InboundConnection {
  const { facts, source, destination } = connection
  const { destinationPort } = ends
  return {
    ...connection,
    facts: { ...facts, remoteIp: ends.source, destinationIp: ends.destination, destinationPort },
    source: { ...source, ip: printIp(ends.source), port: ends.sourcePort },
    destination: { ...destination, ip: printIp(ends.destination), port: destinationPort },
  }
}

const UNSPECIFIED: IpAddress = { v6: false, a: 0, b: 0, c: 0, d: 0 }

/** Without a zone, which is no part of an address. */
function ipOf(text: string | undefined): IpAddress | null {
  return text === undefined ? null : parseSocketIp(text.replace(/%.*$/, ''))
}
