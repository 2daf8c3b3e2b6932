import { constants } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import * as tls from 'node:tls'
import type { WorkloadIdentity } from './config.ts'
import { HANDSHAKE_TIMEOUT } from './limits.ts'
import { handshakeRefusal, type RefusalCause } from './peer-refusal.ts'

/** Istio's own ALPN values: a client that offers one is a sidecar (istio/istio, networking/util). */
export const ISTIO_ALPN: ReadonlySet<string> = new Set([
  'istio',
  'istio-peer-exchange',
  'istio-http/1.0',
  'istio-http/1.1',
  'istio-h2',
])

const HTTP1 = ['http/1.1', 'istio-http/1.1', 'istio-http/1.0'] as const
/** Would have the client speak HTTP/2 or 3, which this listener does not. */
const OTHER_VERSIONS: ReadonlySet<string> = new Set(['h2', 'h2c', 'h3', 'istio-h2'])

/** The protocol to agree on, or undefined when there is none: the client then gets an alert. */
export function selectAlpn(protocol: 'http' | 'tcp', offered: readonly string[]): string | undefined {
  if (protocol === 'tcp') {
    return (
      offered.find((name) => name === 'istio-peer-exchange') ?? offered.find((name) => name === 'istio') ?? offered[0]
    )
  }
  for (const name of HTTP1) if (offered.includes(name)) return name
  if (offered.some((name) => OTHER_VERSIONS.has(name))) return undefined
  return offered[0]
}

export interface TlsHandlers {
  secured(socket: TLSSocket): void
  failed(cause: RefusalCause, reason: string): void
}

/**
 * Terminates mutual TLS on sockets that others accepted: TLS 1.2 or 1.3, a client certificate from the CA. Another
 * identity is another terminator, so that a handshake that is under way ends by the one that it began with.
 */
export class TlsTerminator {
  readonly identity: WorkloadIdentity
  readonly protocol: 'http' | 'tcp'
  readonly #server: tls.Server

  constructor(identity: WorkloadIdentity, protocol: 'http' | 'tcp', handlers: TlsHandlers) {
    this.identity = identity
    this.protocol = protocol
    this.#server = tls.createServer({
      ...contextOf(identity),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      allowHalfOpen: true,
      ALPNCallback: ({ protocols }) => selectAlpn(protocol, protocols),
    })
    this.#server.on('secureConnection', (socket) => handlers.secured(socket))
    this.#server.on('tlsClientError', (error, socket) => {
      const { cause, reason } = handshakeRefusal(error, socket.authorizationError)
      handlers.failed(cause, reason)
      socket.destroy()
    })
  }

  serve(socket: Duplex): void {
    this.#server.emit('connection', socket)
  }
}

function contextOf(identity: WorkloadIdentity): tls.SecureContextOptions {
  return {
    cert: identity.certificate,
    key: identity.key,
    ca: [...identity.ca],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    // A resumed session would skip the verification of its certificate, whatever has changed since.
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}
