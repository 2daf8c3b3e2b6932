import { createServer, type Socket } from 'node:net'
import type { Http2Connection } from '../../http2/connection.ts'
import { closeConnection, speakOver } from '../../http2/over-socket.ts'
import type { Http2Stream } from '../../http2/stream.ts'
import { grpcStatus } from '../grpc-framing.ts'
import { listenOn } from './address.ts'
import { type CallHead, readHead } from './grpc-head.ts'
import { defaultLimits, type GrpcHandler, type GrpcTransport, type GrpcTransportLimits } from './grpc-transport.ts'
import { Call, type CallContext, type Expiring, refuseCall, refuseHttp } from './http2-call.ts'

/** Milliseconds between looks at calls that do not arrive and connections that nobody uses. */
const SWEEP = 500

/** Milliseconds that a caller may take to acknowledge the first GOAWAY. */
const DRAIN_PAUSE = 100

/** gRPC over HTTP/2 of our own: bytes in, bytes out. */
export function createHttp2Transport(handler: GrpcHandler, limits: GrpcTransportLimits = defaultLimits): GrpcTransport {
  return new Http2Transport(handler, limits)
}

class Http2Transport implements GrpcTransport {
  readonly #server
  readonly #limits: GrpcTransportLimits
  readonly #context: CallContext
  readonly #connections = new Set<ServerConnection>()
  #sweeper: NodeJS.Timeout | undefined
  #closing = false

  constructor(handler: GrpcHandler, limits: GrpcTransportLimits) {
    this.#limits = limits
    this.#context = { handler, limits, calls: 0, bufferedBytes: 0, now: performance.now() }
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket))
    this.#server.maxConnections = limits.maxConnections
  }

  async listen(host: string, port: number) {
    const address = await listenOn(this.#server, host, port)
    // Closed meanwhile, when there was nothing yet to close.
    if (this.#closing) this.#server.close()
    else this.#sweeper = setInterval(() => this.#sweep(), SWEEP).unref()
    return address
  }

  async close(grace: number): Promise<void> {
    this.#closing = true
    if (!this.#server.listening) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const one of this.#connections) one.drain()
    const timer = setTimeout(() => {
      for (const one of this.#connections) one.destroy()
    }, grace)
    await closed
    clearTimeout(timer)
    clearInterval(this.#sweeper)
  }

  #accept(socket: Socket): void {
    const connection = new ServerConnection(socket, this.#limits, this.#context, () =>
      this.#connections.delete(connection),
    )
    this.#connections.add(connection)
    if (this.#closing) connection.drain()
  }

  #sweep(): void {
    const now = performance.now()
    this.#context.now = now
    for (const connection of this.#connections) connection.sweep(now)
  }
}

/** A caller's connection with its calls. */
class ServerConnection {
  readonly #connection: Http2Connection
  readonly #limits: GrpcTransportLimits
  readonly #context: CallContext
  /** When there was a call last, as exact as the sweeps are. */
  #usedAt: number
  #drain: 'none' | 'announced' | 'refusing' = 'none'
  /** Most calls have the same head. */
  #lastFields: readonly string[] | null = null
  #lastHead: CallHead | null = null

  constructor(socket: Socket, limits: GrpcTransportLimits, context: CallContext, closed: () => void) {
    this.#limits = limits
    this.#context = context
    this.#usedAt = context.now
    const streams = limits.maxStreamsPerConnection
    this.#connection = speakOver(
      socket,
      'server',
      { streams },
      {
        request: (stream, fields, ended) => this.#request(stream, fields, ended),
        goingAway: () => this.drain(),
        idle: () => {
          if (this.#drain === 'refusing') this.destroy()
        },
        closed,
      },
    )
  }

  /** Two GOAWAYs a round trip apart, so that calls sent before the first one arrived are still served. */
  drain(): void {
    if (this.#drain !== 'none') return
    this.#drain = 'announced'
    const last = () => {
      clearTimeout(timer)
      if (this.#drain !== 'announced') return
      this.#drain = 'refusing'
      this.#connection.goAway()
      this.#connection.flush()
      if (this.#connection.open === 0) this.destroy()
    }
    // A caller that closes at the first one never answers the ping.
    const timer = setTimeout(last, DRAIN_PAUSE)
    this.#connection.announceGoAway()
    this.#connection.ping(last)
  }

  destroy(): void {
    closeConnection(this.#connection)
  }

  sweep(now: number): void {
    const connection = this.#connection
    if (connection.open > 0) {
      this.#usedAt = now
      for (const { events } of connection.streams()) {
        ;(events as Expiring | null)?.expire(now, this.#limits)
      }
      return
    }
    // Whoever does not even say that it speaks HTTP/2 takes the place of others.
    const { idleTimeout, readTimeout } = this.#limits
    if (now - this.#usedAt > (connection.settled ? idleTimeout : Math.min(idleTimeout, readTimeout))) this.destroy()
  }

  #request(stream: Http2Stream, fields: readonly string[], ended: boolean): void {
    const context = this.#context
    if (fields !== this.#lastFields) {
      this.#lastHead = readHead(fields, context.handler)
      this.#lastFields = fields
    }
    const head = this.#lastHead as CallHead
    if (context.calls >= this.#limits.maxCalls) {
      refuseCall(stream, grpcStatus.resourceExhausted, 'too many calls at a time', context.now)
      return
    }
    switch (head.kind) {
      case 'call':
        new Call(stream, head, context, ended)
        return
      case 'grpc':
        refuseCall(stream, head.status, head.text, context.now)
        return
      case 'http':
        refuseHttp(stream, head.status, context.now)
        return
      default:
        head satisfies never
    }
  }
}
