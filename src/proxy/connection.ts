import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { IpAddress } from '../match/ip.ts'
import { parseSocketIp, printIp } from '../match/ip.ts'
import type { AuthorizedConnection } from './authorize.ts'
import type { WorkloadIdentity } from './config.ts'

/** What mutual TLS has told about a connection's peer. */
export interface MutualTls {
  readonly peer: string
  /** The X-Forwarded-Client-Cert element. */
  readonly element: string
  /** Until when the peer's certificate is valid, in milliseconds since the epoch. */
  readonly validTo: number
}

export interface InboundConnection extends AuthorizedConnection {
  /** Null on plaintext. */
  readonly mtls: MutualTls | null
}

export type Verified = MutualTls | { readonly refused: string }

/** Names the peer of a connection whose chain TLS has verified. */
export function verifyPeer(socket: TLSSocket, identity: WorkloadIdentity): Verified {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined || !socket.authorized) return { refused: 'no verified certificate' }
  const peer = identity.identifyPeer(certificate)
  if (peer.kind === 'refused') return { refused: peer.reason }
  return {
    peer: peer.id,
    element: identity.forwardedClientCert(certificate),
    validTo: Date.parse(certificate.validTo),
  }
}

/** Facts of an accepted socket. `port` is the one that policies see; `raw` is the TCP socket below any TLS. */
export function describeConnection(
  raw: Socket,
  port: number,
  sni: string,
  mtls: MutualTls | null,
  ownId: string,
): InboundConnection {
  const sourceIp = ipOf(raw.remoteAddress)
  const destinationIp = ipOf(raw.localAddress)
  const peer = mtls?.peer ?? ''
  return {
    facts: { peer, sourceIp, destinationIp, destinationPort: port, sni },
    source: { ip: printIp(sourceIp), port: raw.remotePort ?? 0, principal: peer },
    destination: { ip: printIp(destinationIp), port, principal: mtls === null ? '' : ownId },
    mtls,
  }
}

const UNSPECIFIED: IpAddress = { v6: false, a: 0, b: 0, c: 0, d: 0 }

/** A socket that closed meanwhile has no address; nothing can be answered on it either. A zone is no part of it. */
function ipOf(text: string | undefined): IpAddress {
  return (text === undefined ? null : parseSocketIp(text.replace(/%.*$/, ''))) ?? UNSPECIFIED
}
