import * as http from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { sendLastBytes } from '../extauthz/last-bytes.ts'
import { HEAD_TIMEOUT, IDLE_TIMEOUT, MAX_HEAD_BYTES, MAX_PIPELINED } from './limits.ts'
import { textReply } from './local-reply.ts'
import { rawReply, writeReply } from './reply.ts'

export interface HttpHandlers<C> {
  request(connection: C, request: http.IncomingMessage, response: http.ServerResponse, expectsContinue: boolean): void
  /** WebSocket. The socket is the handler's from here on; `head` came behind the request. */
  upgrade(connection: C, request: http.IncomingMessage, socket: Duplex, head: Buffer): void
  /** Whether an answer on this connection should be its last. */
  closing(connection: C): boolean
  /** A request that was refused before it could be read; `details` is Envoy's response code details. */
  refused(connection: C, status: number, details: string): void
}

export interface HttpTimeouts {
  /** In milliseconds; defaults are Istio's. */
  readonly head?: number
  readonly idle?: number
  /** How often deadlines are looked at, in milliseconds. */
  readonly check?: number
}

/**
 * HTTP/1.1 on sockets that others accepted. One of these serves many listeners; `C` is what a socket belongs to.
 * Requests that a client sends ahead of their answers are handled one after the other.
 */
export class HttpServer<C extends object> {
  readonly #server: http.Server
  readonly #handlers: HttpHandlers<C>
  readonly #connections = new WeakMap<Duplex, HttpConnection<C>>()
  /** Connections with a request under way. */
  readonly #active = new Set<HttpConnection<C>>()
  readonly #sockets = new Set<Socket>()
  #draining = false

  constructor(handlers: HttpHandlers<C>, timeouts: HttpTimeouts = {}) {
    this.#handlers = handlers
    const server = http.createServer({
      insecureHTTPParser: false,
      // Counted with an answer of our own, where Node would drop fields in silence.
      requireHostHeader: false,
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: timeouts.head ?? HEAD_TIMEOUT,
      requestTimeout: 0,
      keepAliveTimeout: timeouts.idle ?? IDLE_TIMEOUT,
      connectionsCheckingInterval: timeouts.check ?? 10_000,
      noDelay: true,
    })
    this.#server = server
    server.maxHeadersCount = 0
    server.timeout = 0
    server.on('request', (request, response) => this.#accept(request, response, false))
    server.on('checkContinue', (request, response) => this.#accept(request, response, true))
    // An expectation that nobody knows may be ignored (RFC 9110, 10.1.1); Node would refuse it out of sight.
    server.on('checkExpectation', (request, response) => this.#accept(request, response, false))
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    server.on('connect', (request, socket) => {
      const connection = this.#connections.get(request.socket)
      if (connection !== undefined) handlers.refused(connection.context, 404, 'route_not_found')
      sendLastBytes(socket, rawReply(textReply(404, '')))
    })
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket))
    // Starts Node's check of header timeouts, which otherwise begins when the server itself listens.
    server.emit('listening')
  }

  serve(socket: Socket, context: C): void {
    this.#connections.set(socket, { context, waiting: [], current: null, over: false })
    if (!this.#sockets.has(socket)) {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    }
    this.#server.emit('connection', socket)
    // One whose first bytes were looked at is paused, with those bytes put back.
    if (socket.isPaused()) socket.resume()
  }

  /** Answers on these connections that have not begun will be their last. */
  retire(which: (context: C) => boolean): void {
    for (const { context, current } of this.#active) {
      if (current !== null && !current.headersSent && which(context)) current.shouldKeepAlive = false
    }
  }

  /** Ends one connection: at once when nothing is under way, else behind the answer that is. May be called again. */
  finish(socket: Socket): void {
    const current = this.#connections.get(socket)?.current ?? null
    if (current === null) socket.destroySoon()
    else if (!current.headersSent) current.shouldKeepAlive = false
  }

  /** From now on each answer ends its connection, and idle connections end at once. */
  drain(): void {
    this.#draining = true
    this.retire(() => true)
    this.#server.closeIdleConnections()
    // One on which nothing has come yet is not idle to Node.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
  }

  close(): void {
    this.#draining = true
    this.#server.closeAllConnections()
    // Stops the check of timeouts; a server that never listened reports that as an error, which says nothing here.
    this.#server.close(() => {})
  }

  #accept(request: http.IncomingMessage, response: http.ServerResponse, expectsContinue: boolean): void {
    const connection = this.#connections.get(request.socket)
    if (connection === undefined) {
      request.socket.destroy()
      return
    }
    if (this.#draining || this.#handlers.closing(connection.context)) response.shouldKeepAlive = false
    const start = () => {
      connection.current = response
      this.#active.add(connection)
      this.#handlers.request(connection.context, request, response, expectsContinue)
    }
    response.once('close', () => {
      // Behind the last answer of a connection nothing is a request any more.
      connection.over ||= !response.shouldKeepAlive
      if (connection.over) connection.waiting.length = 0
      const following = connection.waiting.shift()
      connection.current = null
      this.#active.delete(connection)
      following?.()
      if (connection.waiting.length === 0) request.socket.resume()
    })
    if (connection.current === null && !connection.over) start()
    else if (!connection.over && connection.waiting.length < MAX_PIPELINED) {
      connection.waiting.push(start)
      // Nothing more is read meanwhile, or heads would pile up. Node resumes the socket at the end of this message, so
      // that it can be paused only after that.
      queueMicrotask(() => {
        if (connection.waiting.length > 0) request.socket.pause()
      })
    } else request.socket.destroy()
  }

  #upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined || connection.current !== null) {
      socket.destroy()
      return
    }
    const protocols = (request.headers.upgrade ?? '')
      .toLowerCase()
      .split(',')
      .map((text) => text.trim())
    if (protocols.length === 1 && protocols[0] === 'websocket' && !hasBody(request)) {
      this.#handlers.upgrade(connection.context, request, socket, head)
      return
    }
    if (protocols.every((protocol) => protocol === 'h2c')) {
      // As Envoy does, the offer is ignored: the request is read again without it.
      socket.unshift(Buffer.concat([headWithoutUpgrade(request), head]))
      this.serve(socket as Socket, connection.context)
      return
    }
    this.#handlers.refused(connection.context, 403, 'upgrade_failed')
    sendLastBytes(socket, rawReply(textReply(403, '')))
  }

  #refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const { status, body, details } = parserRefusal(error.code ?? '')
    connection.over = true
    connection.waiting.length = 0
    if (connection.current === null) {
      this.#handlers.refused(connection.context, status, details)
      sendLastBytes(socket, rawReply(textReply(status, body)))
    } else if (connection.current.headersSent) {
      // An answer under way must not be mixed with this one.
      socket.destroy()
    } else {
      writeReply(connection.current, textReply(status, body), [], true)
    }
  }
}

interface HttpConnection<C> {
  readonly context: C
  readonly waiting: (() => void)[]
  current: http.ServerResponse | null
  /** The last answer has been given. */
  over: boolean
}

function parserRefusal(code: string): { status: number; body: string; details: string } {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { status: 431, body: 'Request Header Fields Too Large', details: 'http1.headers_too_large' }
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, body: 'Request Timeout', details: 'request_header_timeout' }
    default:
      return { status: 400, body: 'Bad Request', details: 'http1.codec_error' }
  }
}

function hasBody(request: http.IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  return encoding !== undefined || (length !== undefined && length !== '0')
}

/** What only an offer of HTTP/2 brings along. Other fields that Connection names must still be removed later. */
const OFFER = new Set(['upgrade', 'http2-settings'])

function headWithoutUpgrade(request: http.IncomingMessage): Buffer {
  const raw = request.rawHeaders
  let text = `${request.method} ${request.url} HTTP/1.1\r\n`
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase()
    if (OFFER.has(name)) continue
    let value = raw[i + 1] as string
    if (name === 'connection') {
      value = value
        .split(',')
        .filter((token) => !OFFER.has(token.trim().toLowerCase()))
        .join(',')
      if (value === '') continue
    }
    text += `${name}: ${value}\r\n`
  }
  return Buffer.from(`${text}\r\n`, 'latin1')
}
