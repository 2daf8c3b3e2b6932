import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import * as tls from 'node:tls'
import type { EndpointTls } from '../mesh/endpoint-tls.ts'
import type { WorkloadIdentity } from './config.ts'
import { CONNECT_TIMEOUT } from './limits.ts'
import { IdentityError, tlsSettings } from './tls-settings.ts'

/** How to reach a server with TLS. */
export type ClientTls = Exclude<EndpointTls, { kind: 'plaintext' }>

/** What a client offers to speak: to workloads of the mesh, and to servers that a DestinationRule has it call with TLS. */
export interface Alpn {
  readonly mesh: readonly string[]
  readonly other: readonly string[]
}

/** As Istio's sidecars for HTTP/1.1, raw TCP and HTTP/2; without the exchange of metadata, which only they have. */
export const HTTP_ALPN: Alpn = { mesh: ['istio-http/1.1', 'istio', 'http/1.1'], other: [] }
export const TCP_ALPN: Alpn = { mesh: ['istio-peer-exchange', 'istio'], other: [] }
export const HTTP2_ALPN: Alpn = { mesh: ['istio-h2', 'istio', 'h2'], other: ['h2'] }

/**
 * Begins a TLS handshake over a new connection. `done` is called once, with a socket whose peer has been verified, or
 * with why not: an `IdentityError` when it is somebody else.
 */
export function connectTls(
  target: { readonly host: string; readonly port: number },
  options: ClientTls,
  identity: WorkloadIdentity | null,
  alpn: Alpn,
  done: (error: Error | null, socket: TLSSocket | null) => void,
): Socket | null {
  const settings = tlsSettings(options, identity, alpn)
  if (settings instanceof IdentityError) {
    setImmediate(done, settings, null)
    return null
  }
  const socket = tls.connect({ ...settings, host: target.host, port: target.port })
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
  socket.once('secureConnect', () => finish(null))
  socket.setNoDelay(true)
  return socket
}

function timeoutError(): Error {
  return Object.assign(new Error('connect timeout'), { code: 'UND_ERR_CONNECT_TIMEOUT' })
}
