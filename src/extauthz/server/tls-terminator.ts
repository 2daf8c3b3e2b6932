import { constants, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import * as tls from 'node:tls'
import type { Credentials } from '../../authn/credentials.ts'
import { splitSubjectAlternativeNames } from '../../authn/x509/subject-alternative-names.ts'
import { type SpiffeAllowance, spiffeAllowed } from '../../match/spiffe-allow-list.ts'

export interface TerminatorOptions {
  /** Spoken behind TLS: a client that offers another protocol, or for `h2` none, is refused. */
  readonly protocol: 'h2' | 'http/1.1'
  /** Whether clients must have a certificate of `credentials.ca`. */
  readonly clientCertificates: boolean
  /** Whom of those; null: all. */
  readonly allow: readonly SpiffeAllowance[] | null
  /** Milliseconds for a handshake. */
  readonly handshakeTimeout: number
}

export interface TerminatorHandlers {
  /** `notAfter` is when the client's certificate expires, in milliseconds since the epoch; null without one. */
  secured(socket: tls.TLSSocket, notAfter: number | null): void
  /** The connection is being closed. `reason` names no secret. */
  refused(why: 'handshake' | 'peer', reason: string): void
}

/**
 * Terminates TLS on sockets that others accepted. Other credentials are another terminator, so that a handshake that is
 * under way ends by those that it began with.
 */
export class TlsTerminator {
  readonly #server: tls.Server
  readonly #options: TerminatorOptions
  readonly #handlers: TerminatorHandlers

  constructor(credentials: Credentials, options: TerminatorOptions, handlers: TerminatorHandlers) {
    this.#options = options
    this.#handlers = handlers
    this.#server = tls.createServer({
      cert: credentials.certificate,
      key: credentials.key,
      minVersion: 'TLSv1.2',
      ...(options.clientCertificates ? { ca: credentials.ca, requestCert: true, rejectUnauthorized: true } : {}),
      // A resumed session would skip the verification of its certificate, whatever has changed since.
      ...(options.clientCertificates ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
      handshakeTimeout: options.handshakeTimeout,
      ALPNProtocols: [options.protocol],
      allowHalfOpen: true,
    })
    this.#server.on('secureConnection', (socket) => this.#secured(socket))
    this.#server.on('tlsClientError', (error, socket) => {
      handlers.refused(
        'handshake',
        String(socket.authorizationError ?? (error as NodeJS.ErrnoException).code ?? 'error'),
      )
      socket.destroy()
    })
  }

  serve(socket: Socket): void {
    this.#server.emit('connection', socket)
  }

  #secured(socket: tls.TLSSocket): void {
    socket.on('error', () => {})
    const certificate = this.#options.clientCertificates ? socket.getPeerX509Certificate() : undefined
    const reason = this.#complain(socket, certificate)
    if (reason === null) {
      this.#handlers.secured(socket, certificate === undefined ? null : Date.parse(certificate.validTo))
      return
    }
    this.#handlers.refused('peer', reason)
    socket.destroy()
  }

  /** Why a client whose handshake is done is not let in. */
  #complain(socket: tls.TLSSocket, certificate: X509Certificate | undefined): string | null {
    const { protocol, clientCertificates, allow } = this.#options
    // RFC 9113, section 3.2: HTTP/2 over TLS is agreed on by ALPN.
    if (protocol === 'h2' && socket.alpnProtocol !== 'h2') return 'it does not offer h2 (ALPN)'
    if (!clientCertificates) return null
    if (certificate === undefined) return 'it has no certificate'
    if (allow === null) return null
    const names = splitSubjectAlternativeNames(certificate.subjectAltName) ?? []
    const uris = names.filter(({ type }) => type === 'URI')
    const [uri] = uris
    // With several it could be whom it likes.
    if (uri === undefined || uris.length > 1) return `its certificate has ${uris.length} URI names, not one`
    return spiffeAllowed(allow, uri.value) ? null : `${uri.value} is not allowed`
  }
}
