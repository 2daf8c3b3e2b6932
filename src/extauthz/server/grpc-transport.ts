import type { Buffer } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http2'
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { Server } from 'node:net'
import { encodeGrpcMessage, frameMessage, grpcStatus, MessageReader, parseGrpcTimeout } from '../grpc-framing.ts'
import { type Address, listenOn } from './address.ts'

/** One unary call: bytes in. */
export interface GrpcCall {
  /** `/package.Service/Method`. */
  readonly path: string
  readonly message: Uint8Array
  /** Milliseconds that the caller still waits, or null when it did not say. */
  readonly timeout: number | null
  /** Fires when the caller has gone or its time is over. */
  readonly signal: AbortSignal
}

/** Bytes out, or a status other than 0. */
export type GrpcReply =
  | { readonly kind: 'message'; readonly message: Uint8Array }
  | { readonly kind: 'status'; readonly status: number; readonly text: string }

export interface GrpcHandler {
  /** Known before the body is read, so that a call to nothing costs no memory. */
  has(path: string): boolean
  /** Never throws. */
  handle(call: GrpcCall): GrpcReply | Promise<GrpcReply>
}

export interface GrpcTransportLimits {
  readonly maxMessageBytes: number
  /** Bytes of calls that are still being read, over all connections; the call that exceeds it is refused. */
  readonly maxBufferedBytes: number
  /** Calls at a time, over all connections; more are refused with RESOURCE_EXHAUSTED. */
  readonly maxCalls: number
  readonly maxStreamsPerConnection: number
  readonly maxConnections: number
  /** Milliseconds for a call's body to arrive. */
  readonly readTimeout: number
  /** Milliseconds after which a connection without calls is closed. */
  readonly idleTimeout: number
}

export const defaultLimits: GrpcTransportLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxBufferedBytes: 256 * 1024 * 1024,
  maxCalls: 10_000,
  maxStreamsPerConnection: 1000,
  maxConnections: 1000,
  readTimeout: 10_000,
  idleTimeout: 15 * 60_000,
}

/** gRPC over cleartext HTTP/2 with prior knowledge: bytes in, bytes out. */
export interface GrpcTransport {
  listen(host: string, port: number): Promise<Address>
  /** GOAWAY to every connection, then at most `grace` milliseconds for the calls under way. */
  close(grace: number): Promise<void>
}

/** The largest stream id: a GOAWAY with it says "no new streams soon" without refusing those in flight. */
const maxStreamId = 2 ** 31 - 1

export function createGrpcTransport(handler: GrpcHandler, limits: GrpcTransportLimits = defaultLimits): GrpcTransport {
  const sessions = new Set<ServerHttp2Session>()
  const load: Load = { calls: 0, bufferedBytes: 0 }
  const server: Http2Server = createServer({
    settings: { maxConcurrentStreams: limits.maxStreamsPerConnection, enablePush: false },
  })
  server.maxConnections = limits.maxConnections
  server.on('session', (session) => {
    sessions.add(session)
    session.setTimeout(limits.idleTimeout, () => session.close())
    session.on('error', () => session.destroy())
    session.on('close', () => sessions.delete(session))
  })
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    if (load.calls >= limits.maxCalls) {
      refuse(stream, grpcStatus.resourceExhausted, 'too many calls at a time')
      return
    }
    load.calls++
    stream.once('close', () => load.calls--)
    accept(stream, headers, handler, limits, load)
  })
  return {
    listen: (host, port) => listenOn(server, host, port),
    close: (grace) => closeGracefully(server, sessions, grace),
  }
}

/** What all connections of a server hold together. */
interface Load {
  calls: number
  bufferedBytes: number
}

/** Why a call is refused before its message is looked at. */
type Refusal =
  | { readonly kind: 'http'; readonly status: number }
  | { readonly kind: 'grpc'; readonly status: number; readonly text: string }

function accept(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  handler: GrpcHandler,
  limits: GrpcTransportLimits,
  load: Load,
): void {
  const timeout = readTimeout(headers['grpc-timeout'])
  const refusal = refuseAtOnce(headers, handler, timeout)
  if (refusal === null) new Call(stream, headers, handler, limits, load, timeout === 'malformed' ? null : timeout)
  else if (refusal.kind === 'grpc') refuse(stream, refusal.status, refusal.text)
  else respondHttp(stream, refusal.status)
}

function refuseAtOnce(
  headers: IncomingHttpHeaders,
  handler: GrpcHandler,
  timeout: number | null | 'malformed',
): Refusal | null {
  if (headers[':method'] !== 'POST') return { kind: 'http', status: 405 }
  if (!isGrpc(headers['content-type'])) return { kind: 'http', status: 415 }
  if (!handler.has(headers[':path'] ?? '')) {
    return { kind: 'grpc', status: grpcStatus.unimplemented, text: 'there is no such method' }
  }
  if (timeout === 'malformed') return { kind: 'grpc', status: grpcStatus.internal, text: 'malformed grpc-timeout' }
  return null
}

/** One call from its headers to its reply. */
class Call {
  readonly #stream: ServerHttp2Stream
  readonly #headers: IncomingHttpHeaders
  readonly #handler: GrpcHandler
  readonly #limits: GrpcTransportLimits
  readonly #load: Load
  /** When the caller's time is over, on the clock of `performance.now`; null when it waits for ever. */
  readonly #deadline: number | null
  readonly #reader: MessageReader
  readonly #abort = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #reading = true
  #buffered = 0

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    handler: GrpcHandler,
    limits: GrpcTransportLimits,
    load: Load,
    timeout: number | null,
  ) {
    this.#stream = stream
    this.#headers = headers
    this.#handler = handler
    this.#limits = limits
    this.#load = load
    this.#deadline = timeout === null ? null : performance.now() + timeout
    this.#reader = new MessageReader(limits.maxMessageBytes)
    this.#timer = setTimeout(() => this.#expire(), Math.min(limits.readTimeout, timeout ?? limits.readTimeout))
    stream.on('data', (chunk: Buffer) => this.#read(chunk))
    stream.once('end', () => this.#finish())
    stream.once('close', () => {
      this.#stopReading()
      this.#abort.abort()
    })
  }

  #read(chunk: Buffer): void {
    if (!this.#reading) return
    this.#buffered += chunk.length
    this.#load.bufferedBytes += chunk.length
    if (this.#load.bufferedBytes > this.#limits.maxBufferedBytes) {
      this.#stopReading()
      refuse(this.#stream, grpcStatus.resourceExhausted, 'too many bytes at a time')
    } else if (!this.#reader.push(chunk)) this.#finish()
  }

  #finish(): void {
    if (!this.#reading) return
    this.#stopReading()
    const framing = this.#reader.finish()
    switch (framing.kind) {
      case 'message':
        this.#handle(framing.message)
        return
      case 'compressed': {
        const encoding = this.#headers['grpc-encoding'] ?? 'identity'
        if (encoding === 'identity') refuse(this.#stream, grpcStatus.internal, 'compressed without grpc-encoding')
        else refuse(this.#stream, grpcStatus.unimplemented, 'no compression is supported')
        return
      }
      case 'tooLarge':
        refuse(this.#stream, grpcStatus.resourceExhausted, `message above ${this.#limits.maxMessageBytes} bytes`)
        return
      case 'malformed':
        refuse(this.#stream, grpcStatus.internal, 'not one complete message')
        return
      default:
        framing satisfies never
    }
  }

  #handle(message: Uint8Array): void {
    const left = this.#deadline === null ? null : Math.max(1, this.#deadline - performance.now())
    const path = this.#headers[':path'] ?? ''
    const reply = this.#handler.handle({ path, message, timeout: left, signal: this.#abort.signal })
    if (!(reply instanceof Promise)) {
      answer(this.#stream, reply)
      return
    }
    if (left !== null) this.#timer = setTimeout(() => this.#expire(), left)
    reply.then((settled) => answer(this.#stream, settled))
  }

  #expire(): void {
    this.#stopReading()
    this.#abort.abort()
    refuse(this.#stream, grpcStatus.deadlineExceeded, 'the deadline passed')
  }

  #stopReading(): void {
    clearTimeout(this.#timer)
    this.#reading = false
    this.#load.bufferedBytes -= this.#buffered
    this.#buffered = 0
  }
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType === 'application/grpc' || /^application\/grpc(?:\+proto)?(?:;|$)/.test(contentType ?? '')
}

function readTimeout(header: string | string[] | undefined): number | null | 'malformed' {
  if (header === undefined) return null
  return typeof header === 'string' ? (parseGrpcTimeout(header) ?? 'malformed') : 'malformed'
}

const replyHeaders = { ':status': 200, 'content-type': 'application/grpc' } as const

function answer(stream: ServerHttp2Stream, reply: GrpcReply): void {
  if (stream.closed || stream.headersSent) return
  if (reply.kind === 'status') {
    refuse(stream, reply.status, reply.text)
    return
  }
  stream.respond(replyHeaders, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(frameMessage(reply.message))
}

/** A status without a message: trailers only. What the caller still sends is not wanted. */
function refuse(stream: ServerHttp2Stream, status: number, text: string): void {
  if (stream.closed || stream.headersSent) return
  stream.respond(
    {
      ...replyHeaders,
      'grpc-status': String(status),
      'grpc-message': encodeGrpcMessage(text),
      ...(status === grpcStatus.unimplemented ? { 'grpc-accept-encoding': 'identity' } : {}),
    },
    { endStream: true },
  )
  discard(stream)
}

function respondHttp(stream: ServerHttp2Stream, status: number): void {
  stream.respond({ ':status': status }, { endStream: true })
  discard(stream)
}

/** RFC 9113, section 8.1: a complete response before the request's end is followed by RST_STREAM(NO_ERROR). */
function discard(stream: ServerHttp2Stream): void {
  stream.resume()
  if (stream.readableEnded) return
  // Node 22 drops the response when the stream is reset in the same turn, before its headers are on the wire.
  setImmediate(() => {
    if (!stream.closed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
  })
}

async function closeGracefully(server: Http2Server, sessions: Set<ServerHttp2Session>, grace: number): Promise<void> {
  const listening = server.listening
  // Of net.Server, because that of node:http2 sends its own, final GOAWAY in newer versions of Node.
  const closed = new Promise<void>((resolve) =>
    listening ? Server.prototype.close.call(server, () => resolve()) : resolve(),
  )
  for (const session of sessions) drain(session)
  const timer = setTimeout(() => {
    for (const session of sessions) session.destroy()
  }, grace)
  await closed
  clearTimeout(timer)
}

/** How long a client may take to acknowledge the first GOAWAY. */
const drainPause = 100

/** Two GOAWAYs a round trip apart, so that calls sent before the first one arrived are still served. */
function drain(session: ServerHttp2Session): void {
  if (session.closed || session.destroyed) return
  session.goaway(constants.NGHTTP2_NO_ERROR, maxStreamId)
  // A client that closes at the first one never answers the ping.
  const timer = setTimeout(() => session.close(), drainPause)
  const acknowledged = () => {
    clearTimeout(timer)
    session.close()
  }
  if (!session.ping(acknowledged)) acknowledged()
}
