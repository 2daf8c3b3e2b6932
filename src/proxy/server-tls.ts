import { constants } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import * as tls from 'node:tls'
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

/** What a server shows, and of whom it demands a certificate. All PEM, the leaf first. */
export interface ServerCredentials {
  readonly certificate: string
  readonly key: string
  /** Whose certificates clients must have; null where they need none. */
  readonly ca: readonly string[] | null
  readonly minVersion: tls.SecureVersion
  readonly maxVersion: tls.SecureVersion
}

/**
 * Terminates TLS on sockets that others accepted. Other credentials are another terminator, so that a handshake that is
 * under way ends by those that it began with.
 */
export class TlsTerminator {
  readonly #server: tls.Server

  /** Throws where certificate and key cannot be used. */
  constructor(credentials: ServerCredentials, protocol: 'http' | 'tcp', handlers: TlsHandlers) {
    const { certificate, key, ca, minVersion, maxVersion } = credentials
    this.#server = tls.createServer({
      cert: certificate,
      key,
      minVersion,
      maxVersion,
      ...(ca === null ? {} : { ca: [...ca], requestCert: true, rejectUnauthorized: true }),
      // A resumed session would skip the verification of its certificate, whatever has changed since.
      secureOptions: constants.SSL_OP_NO_TICKET,
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      ALPNCallback: ({ protocols }) => selectAlpn(protocol, protocols),
    })
    this.#server.on('secureConnection', (socket) => {
      // Not before: a client that ends in the middle of the handshake will not finish it.
      socket.allowHalfOpen = true
      handlers.secured(socket)
    })
    this.#server.on('tlsClientError', (error, socket) => {
      const { cause, reason } = handshakeRefusal(error, socket.authorizationError)
      handlers.failed(cause, reason)
      socket.destroy()
    })
  }

  serve(socket: Duplex): void {
    // What is set here is what Node gives to the socket that it makes of this one.
    socket.allowHalfOpen = false
    this.#server.emit('connection', socket)
  }
}
