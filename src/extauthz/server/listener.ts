import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type OpenedCredentials, openCredentialFiles } from '../../authn/credential-files.ts'
import type { CredentialSource } from '../../authn/credentials.ts'
import { parseSpiffeAllowance, type SpiffeAllowance } from '../../match/spiffe-allow-list.ts'
import type { AuthorizerListener, AuthorizerTls } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import type { Accepting, AcceptSockets } from './accept-sockets.ts'
import { type Address, readListenAddress } from './address.ts'
import { TlsTerminator } from './tls-terminator.ts'

/** What speaks on the connections that a listener lets in: the end of one, when its certificate has expired. */
export type ServeConnection = (socket: Duplex) => { drain(grace: number | null): void }

/** Why a connection was not let in. */
export type ConnectionRefusal = 'connections' | 'handshake' | 'peer'

export interface ListenerContext {
  /** Of the authorizer and the listener: `NAME/grpc`. */
  readonly name: string
  /** Behind TLS. */
  readonly protocol: 'h2' | 'http/1.1'
  readonly maxConnections: number
  readonly acceptSockets: AcceptSockets
  readonly logger: Logger
  readonly serve: ServeConnection
  readonly refused: (why: ConnectionRefusal) => void
}

/** Milliseconds for a TLS handshake. */
const handshakeTimeout = 10_000

/** Milliseconds that calls may take on a connection whose certificate has expired. */
const expiryGrace = 10_000

/** Accepts connections at one address, and terminates TLS. */
export class Listener {
  readonly #settings: AuthorizerListener
  readonly #context: ListenerContext
  readonly #connections = new Set<Socket>()
  #terminator: TlsTerminator | null = null
  #credentials: CredentialSource | null = null
  #closed = false
  #accepting: Accepting | null = null
  #warned = Number.NEGATIVE_INFINITY

  constructor(settings: AuthorizerListener, context: ListenerContext) {
    this.#settings = settings
    this.#context = context
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#connections.size
  }

  /** Rejects when the address is none or cannot be had, and with `TlsFileError` when certificates cannot be used. */
  async open(): Promise<Address> {
    const { listen, mode, tls } = this.#settings
    const address = readListenAddress(listen)
    if (tls !== null) this.#openTls(tls)
    try {
      const { acceptSockets, name } = this.#context
      const accepting = await acceptSockets(address, { name, mode }, (socket) => this.#accept(socket))
      this.#accepting = accepting
      // When it was closed, there was nothing yet to close.
      if (this.#closed) throw new Error('closed while it began to listen')
      return accepting.address
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** Takes no new connections. Those that there are go on, and are for whoever serves them to end. */
  async close(): Promise<void> {
    this.#closed = true
    this.#credentials?.close()
    await this.#accepting?.close()
  }

  /** Ends what is left: handshakes that are under way. */
  destroy(): void {
    for (const socket of this.#connections) socket.destroy()
  }

  #openTls(tls: AuthorizerTls): void {
    const { certificate, key, clientCa } = tls
    const allow = tls.allow?.map(readAllowance) ?? null
    const { protocol, logger } = this.#context
    const opened: OpenedCredentials = openCredentialFiles({ certificate, key, ca: clientCa ?? certificate }, logger)
    if (opened.kind === 'failed') throw new TlsFileError(opened.reason)
    this.#credentials = opened.source
    const options = { protocol, clientCertificates: clientCa !== null, allow, handshakeTimeout }
    const use = () => {
      this.#terminator = new TlsTerminator(opened.source.current(), options, {
        secured: (socket, notAfter) => this.#serve(socket, notAfter),
        refused: (why, reason) => this.#refused(why, reason),
      })
    }
    use()
    opened.source.onChange(use)
  }

  #accept(socket: Socket): void {
    socket.on('error', () => {})
    if (this.#connections.size >= this.#context.maxConnections) {
      this.#refused('connections', `there are ${this.#connections.size} already`)
      socket.destroy()
      return
    }
    this.#connections.add(socket)
    socket.once('close', () => this.#connections.delete(socket))
    if (this.#terminator === null) this.#serve(socket, null)
    else this.#terminator.serve(socket)
  }

  #serve(socket: Duplex, notAfter: number | null): void {
    const connection = this.#context.serve(socket)
    if (notAfter === null) return
    const left = Math.min(Math.max(0, notAfter - Date.now()), 2 ** 31 - 1)
    const timer = setTimeout(() => connection.drain(expiryGrace), left)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }

  /** At most one line a second: strangers must not fill the log. */
  #refused(why: ConnectionRefusal, reason: string): void {
    this.#context.refused(why)
    const now = performance.now()
    if (now - this.#warned < 1000) return
    this.#warned = now
    this.#context.logger.warn('a connection was refused', { listen: this.#settings.listen, why, reason })
  }
}

/** Certificates that cannot be read or do not fit together. */
export class TlsFileError extends Error {}

function readAllowance(text: string): SpiffeAllowance {
  const parsed = parseSpiffeAllowance(text)
  if (parsed.kind === 'invalid') throw new TypeError(`listen: tls.allow: '${text}': ${parsed.reason}`)
  return parsed
}
