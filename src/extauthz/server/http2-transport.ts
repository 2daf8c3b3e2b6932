import type { Duplex } from 'node:stream'
import type {
  CreateGrpcTransport,
  GrpcConnection,
  GrpcHandler,
  GrpcTransport,
  GrpcTransportEvents,
  GrpcTransportLimits,
} from './grpc-transport.ts'
import { defaultLimits } from './grpc-transport.ts'
import type { CallContext } from './http2-call.ts'
import { ServerConnection } from './http2-server-connection.ts'

/** Milliseconds between looks at calls that do not arrive and connections that nobody uses, at most. */
const SWEEP = 500

/** gRPC over HTTP/2 of our own. */
export const createHttp2Transport: CreateGrpcTransport = (handler, limits = defaultLimits, events = silent) =>
  new Http2Transport(handler, limits, events)

const silent: GrpcTransportEvents = { refused() {} }

class Http2Transport implements GrpcTransport {
  readonly #context: CallContext
  readonly #connections = new Set<ServerConnection>()
  readonly #interval: number
  #sweeper: NodeJS.Timeout | null = null
  #closing: { readonly deadline: number; readonly empty: () => void } | null = null

  constructor(handler: GrpcHandler, limits: GrpcTransportLimits, events: GrpcTransportEvents) {
    const counts = { calls: 0, streamingCalls: 0, bufferedBytes: 0 }
    this.#context = { handler, limits, events, ...counts, now: performance.now() }
    const { readTimeout, idleTimeout, maxConnectionAge, keepaliveTime, keepaliveTimeout } = limits
    const least = Math.min(readTimeout, idleTimeout, maxConnectionAge ?? SWEEP, keepaliveTime, keepaliveTimeout)
    this.#interval = Math.max(10, Math.min(SWEEP, least / 4))
  }

  accept(socket: Duplex): GrpcConnection {
    this.#context.now = performance.now()
    this.#sweeper ??= this.#startSweeping()
    const connection = new ServerConnection(socket, this.#context, () => {
      this.#connections.delete(connection)
      if (this.#connections.size > 0) return
      if (this.#sweeper !== null) clearInterval(this.#sweeper)
      this.#sweeper = null
      this.#closing?.empty()
    })
    this.#connections.add(connection)
    if (this.#closing !== null) connection.drain(Math.max(0, this.#closing.deadline - performance.now()))
    return connection
  }

  async close(grace: number): Promise<void> {
    const closed = new Promise<void>((empty) => {
      this.#closing = { deadline: performance.now() + grace, empty }
      if (this.#connections.size === 0) empty()
    })
    for (const connection of this.#connections) connection.drain(grace)
    // A connection that was draining before may have a longer grace, or none.
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy()
    }, grace)
    await closed
    clearTimeout(timer)
  }

  #startSweeping(): NodeJS.Timeout {
    const sweep = () => {
      const now = performance.now()
      this.#context.now = now
      for (const connection of this.#connections) connection.sweep(now)
    }
    return setInterval(sweep, this.#interval).unref()
  }
}
