import type { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Gathered } from '../gathered.ts'
import { httpAnswer } from './http-answer.ts'
import { sendAnswer, sendStatus } from './http-reply.ts'
import { httpRequest } from './http-request.ts'
import type { Judge } from './judge.ts'
import type { Verdict } from './verdict.ts'

export interface HttpServerLimits {
  readonly maxBodyBytes: number
  /** Checks at a time, over all connections; more are refused with 503. */
  readonly maxChecks: number
  /** Kept by whoever accepts the connections. */
  readonly maxConnections: number
  /** Bytes of checks at a time, over all connections. */
  readonly maxBufferedBytes: number
  /** Milliseconds for a request to arrive. */
  readonly readTimeout: number
  /** Milliseconds after which a connection without requests is closed. */
  readonly idleTimeout: number
}

export const defaultHttpLimits: HttpServerLimits = {
  maxBodyBytes: 4 * 1024 * 1024,
  maxChecks: 10_000,
  maxConnections: 1000,
  maxBufferedBytes: 256 * 1024 * 1024,
  readTimeout: 10_000,
  idleTimeout: 15 * 60_000,
}

/** Why a request was refused before it was judged. */
export type HttpRefusal = 'calls' | 'buffered' | 'size' | 'malformed'

export interface HttpEvents {
  refused(why: HttpRefusal): void
}

/** The HTTP form of the check, on connections that others accept: whatever request arrives is asked about. */
export interface HttpAuthorizerServer {
  accept(socket: Duplex): { drain(grace: number | null): void }
  /** From now on every connection ends with its next answer, so that callers open new ones elsewhere. */
  refuseKeepAlive(): void
  /** Ends connections after the check under way, or after `grace` milliseconds. */
  close(grace: number): Promise<void>
}

export function createHttpAuthorizerServer(
  judge: Judge,
  limits: HttpServerLimits = defaultHttpLimits,
  events: HttpEvents = { refused() {} },
): HttpAuthorizerServer {
  return new HttpServer(judge, limits, events)
}

/** A connection, how many requests are under way on it, and whether there was any. */
interface Connection {
  requests: number
  used: boolean
  draining: boolean
}

/** Milliseconds for the request of a connection that was made just before the end. */
const firstRequest = 500

class HttpServer implements HttpAuthorizerServer {
  readonly #judge: Judge
  readonly #limits: HttpServerLimits
  readonly #events: HttpEvents
  readonly #server: Server
  readonly #connections = new Map<Duplex, Connection>()
  #checks = 0
  #buffered = 0
  #lastAnswers = false
  #closing: { readonly empty: () => void } | null = null

  constructor(judge: Judge, limits: HttpServerLimits, events: HttpEvents) {
    this.#judge = judge
    this.#limits = limits
    this.#events = events
    const options = { keepAlive: true, connectionsCheckingInterval: Math.min(1000, limits.readTimeout) }
    this.#server = createServer(options, (message, response) => this.#receive(message, response))
    // A head has 16 KiB at most; Node would hide all lines behind the 2,000th from the check.
    this.#server.maxHeadersCount = 0
    this.#server.requestTimeout = limits.readTimeout
    this.#server.headersTimeout = limits.readTimeout
    this.#server.keepAliveTimeout = limits.idleTimeout
    // Connections come from elsewhere, but node:http looks for late requests only once it listens.
    this.#server.emit('listening')
  }

  accept(socket: Duplex): { drain(grace: number | null): void } {
    const connection: Connection = { requests: 0, used: false, draining: this.#lastAnswers }
    this.#connections.set(socket, connection)
    // Once it closes, nobody else will end this one.
    if (this.#closing !== null) drain(socket, connection, firstRequest)
    socket.on('error', () => {})
    socket.once('close', () => {
      this.#connections.delete(socket)
      if (this.#connections.size === 0) this.#closing?.empty()
    })
    this.#server.emit('connection', socket)
    return { drain: (grace) => drain(socket, connection, grace) }
  }

  refuseKeepAlive(): void {
    this.#lastAnswers = true
    for (const connection of this.#connections.values()) connection.draining = true
  }

  async close(grace: number): Promise<void> {
    const closed = new Promise<void>((empty) => {
      this.#closing = { empty }
      if (this.#connections.size === 0) empty()
    })
    for (const [socket, connection] of this.#connections) drain(socket, connection, grace)
    await closed
    this.#server.close()
  }

  #receive(message: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => {})
    message.on('error', () => {})
    const connection = this.#connections.get(message.socket)
    if (connection === undefined || connection.draining) response.shouldKeepAlive = false
    if (connection !== undefined) {
      connection.requests++
      connection.used = true
    }
    response.once('close', () => {
      if (connection !== undefined) connection.requests--
    })
    if (hostLines(message) > 1) {
      // RFC 9112, section 3.2: readers disagree on which host it is.
      this.#reject(message, response, 400, 'malformed')
      return
    }
    if (this.#checks >= this.#limits.maxChecks) {
      this.#reject(message, response, 503, 'calls')
      return
    }
    this.#checks++
    const body = new Gathered()
    let length = 0
    response.once('close', () => {
      this.#checks--
      this.#buffered -= length
      length = 0
    })
    message.on('data', (chunk: Buffer) => {
      if (response.headersSent || response.closed) return
      length += chunk.length
      this.#buffered += chunk.length
      if (length > this.#limits.maxBodyBytes) this.#reject(message, response, 413, 'size')
      else if (this.#buffered > this.#limits.maxBufferedBytes) this.#reject(message, response, 503, 'buffered')
      else body.add(chunk)
    })
    message.once('end', () => {
      if (response.headersSent || response.closed) return
      const request = httpRequest(message, response, body.octets)
      const verdict = this.#judge({ kind: 'request', request }, 'http')
      const answer = (settled: Verdict) => {
        if (connection?.draining === true) response.shouldKeepAlive = false
        sendAnswer(response, httpAnswer(settled, request))
      }
      if (verdict instanceof Promise) void verdict.then(answer)
      else answer(verdict)
    })
  }

  #reject(message: IncomingMessage, response: ServerResponse, status: number, why: HttpRefusal): void {
    this.#events.refused(why)
    sendStatus(message, response, status)
  }
}

function hostLines({ rawHeaders }: IncomingMessage): number {
  let lines = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]?.toLowerCase() === 'host') lines++
  return lines
}

/** Ends after the request that is under way, or about to come. */
function drain(socket: Duplex, connection: Connection, grace: number | null): void {
  connection.draining = true
  const idle = connection.requests === 0
  if (idle && connection.used) {
    socket.destroy()
    return
  }
  const end = (limit: number, act: () => void) => {
    const timer = setTimeout(act, limit)
    socket.once('close', () => clearTimeout(timer))
  }
  const force = () => {
    if (grace !== null) end(grace, () => socket.destroy())
  }
  if (!idle) force()
  else
    end(Math.min(firstRequest, grace ?? firstRequest), () => (connection.requests === 0 ? socket.destroy() : force()))
}
