import type { Duplex } from 'node:stream'
import { ConnectionSet } from './connection-set.ts'
import type {
  CreateGrpcTransport,
  GrpcConnection,
  GrpcHandler,
  GrpcTransport,
  GrpcTransportEvents,
  GrpcTransportLimits,
} from './grpc-transport.ts'
import { defaultLimits, silent } from './grpc-transport.ts'
import type { SweptContext } from './http2-call.ts'
import { ServerConnection } from './http2-server-connection.ts'

/** Milliseconds between looks at calls that do not arrive and connections that nobody uses, at most. */
const SWEEP = 500

/** gRPC over HTTP/2 of our own. */
export const createHttp2Transport: CreateGrpcTransport = (handler, limits = defaultLimits, events = silent) =>
  new Http2Transport(handler, limits, events)

class Http2Transport implements GrpcTransport {
  readonly #context: SweptContext
  readonly #connections = new ConnectionSet<ServerConnection>()
  readonly #interval: number
  #sweeper: NodeJS.Timeout | null = null

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
    })
    this.#connections.add(connection)
    return connection
  }

  close(grace: number): Promise<void> {
    return this.#connections.close(grace)
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
