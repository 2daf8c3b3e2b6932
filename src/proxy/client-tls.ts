import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import * as tls from 'node:tls'
import type { WorkloadIdentity } from './config.ts'
import { CONNECT_TIMEOUT } from './limits.ts'

/** How to reach a workload with Istio's mutual TLS. */
export interface ClientTls {
  /** Istio's cluster name, `outbound_.PORT_._.HOST`. */
  readonly serverName: string
  /** SPIFFE ids that the server may have. Empty: any id that the CA vouches for, as in Istio. */
  readonly expectedIds: readonly string[]
}

export class IdentityError extends Error {}

/** ALPN of Istio's sidecars for HTTP/1.1 and for raw TCP. */
export const HTTP_ALPN = ['istio-http/1.1', 'istio', 'http/1.1'] as const
export const TCP_ALPN = ['istio-peer-exchange', 'istio'] as const

/**
 * Begins a TLS handshake over a new or given socket. `done` is called once, with a socket whose peer has been
 * verified, or with why not: an `IdentityError` when it is somebody else.
 */
export function connectTls(
  target: { readonly host: string; readonly port: number },
  options: ClientTls,
  identity: WorkloadIdentity,
  alpn: readonly string[],
  done: (error: Error | null, socket: TLSSocket | null) => void,
): Socket {
  const settings: ConnectionOptions = {
    host: target.host,
    port: target.port,
    servername: options.serverName,
    cert: identity.certificate,
    key: identity.key,
    ca: [...identity.ca],
    ALPNProtocols: [...alpn],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    // The name in the certificate is a SPIFFE id, which is compared below.
    checkServerIdentity: () => undefined,
  }
  const socket = tls.connect(settings)
  let finished = false
  const finish = (error: Error | null) => {
    if (finished) return
    finished = true
    clearTimeout(timer)
    socket.off('error', finish)
    if (error === null) done(null, socket)
    else {
      socket.on('error', () => {})
      socket.destroy()
      done(error, null)
    }
  }
  const timer = setTimeout(() => finish(timeoutError()), CONNECT_TIMEOUT)
  socket.once('error', finish)
  socket.once('close', () => finish(new Error('the peer closed the connection during the handshake')))
  socket.once('secureConnect', () => {
    const refusal = verifyServer(socket, options, identity)
    finish(refusal === null ? null : new IdentityError(refusal))
  })
  socket.setNoDelay(true)
  return socket
}

function verifyServer(socket: TLSSocket, options: ClientTls, identity: WorkloadIdentity): string | null {
  const certificate = socket.getPeerX509Certificate()
  if (!(certificate instanceof X509Certificate)) return 'the server sent no certificate'
  const peer = identity.identifyPeer(certificate)
  if (peer.kind === 'refused') return peer.reason
  if (options.expectedIds.length === 0 || options.expectedIds.includes(peer.id)) return null
  return `the server is ${peer.id}, not ${options.expectedIds.join(' or ')}`
}

function timeoutError(): Error {
  return Object.assign(new Error('connect timeout'), { code: 'UND_ERR_CONNECT_TIMEOUT' })
}
