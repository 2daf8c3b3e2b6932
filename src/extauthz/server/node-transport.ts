import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { performServerHandshake } from 'node:http2'
import type { Duplex } from 'node:stream'
import { grpcStatus, parseGrpcTimeout } from '../grpc-framing.ts'
import { ConnectionSet } from './connection-set.ts'
import type {
  CreateGrpcTransport,
  GrpcConnection,
  GrpcHandler,
  GrpcTransport,
  GrpcTransportEvents,
  GrpcTransportLimits,
} from './grpc-transport.ts'
import { defaultLimits } from './grpc-transport.ts'
import { type CallContext, UnaryCall } from './node-call.ts'
import { refuse, respondHttp } from './node-reply.ts'
import { Connection } from './node-session.ts'
import { StreamingCall } from './node-stream.ts'

/** gRPC over node:http2. */
export const createNodeTransport: CreateGrpcTransport = (handler, limits = defaultLimits, events = silent) =>
  new NodeTransport(handler, limits, events)

const silent: GrpcTransportEvents = { refused() {} }

class NodeTransport implements GrpcTransport {
  readonly #context: CallContext
  readonly #connections = new ConnectionSet<Connection>()

  constructor(handler: GrpcHandler, limits: GrpcTransportLimits, events: GrpcTransportEvents) {
    this.#context = { handler, limits, events, load: { calls: 0, streamingCalls: 0, bufferedBytes: 0 } }
  }

  accept(socket: Duplex): GrpcConnection {
    const { limits } = this.#context
    // A caller that has said its last word wants no answer any more.
    socket.allowHalfOpen = false
    const session = performServerHandshake(socket, {
      settings: { maxConcurrentStreams: limits.maxStreamsPerConnection, enablePush: false },
    })
    const connection = new Connection(socket, session, limits)
    socket.on('error', () => session.destroy())
    session.on('error', () => session.destroy())
    session.once('close', () => this.#connections.delete(connection))
    session.on('stream', (stream, headers) => this.#stream(connection, stream, headers))
    this.#connections.add(connection)
    return connection
  }

  close(grace: number): Promise<void> {
    return this.#connections.close(grace)
  }

  #stream(connection: Connection, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const { load, limits, events, handler } = this.#context
    stream.on('error', () => {})
    if (load.calls >= limits.maxCalls) {
      events.refused('calls')
      refuse(stream, grpcStatus.resourceExhausted, 'too many calls at a time')
      return
    }
    load.calls++
    stream.once('close', () => load.calls--)
    const misplaced = headers[':method'] !== 'POST' ? 405 : isGrpc(headers['content-type']) ? null : 415
    if (misplaced !== null) {
      respondHttp(stream, misplaced)
      return
    }
    const timeout = readTimeout(headers['grpc-timeout'])
    const encoding = readEncoding(headers['grpc-encoding'])
    const path = headers[':path'] ?? ''
    const unary = handler.has(path)
    const method = unary ? null : (handler.streaming?.(path) ?? null)
    if (!unary && method === null) {
      events.refused('unknown_method')
      refuse(stream, grpcStatus.unimplemented, 'there is no such method')
    } else if (timeout === 'malformed') {
      events.refused('malformed')
      refuse(stream, grpcStatus.internal, 'malformed grpc-timeout')
    } else if (method === null) {
      new UnaryCall(stream, path, encoding, this.#context, timeout)
    } else if (load.streamingCalls >= limits.maxStreamingCalls) {
      events.refused('calls')
      refuse(stream, grpcStatus.resourceExhausted, 'too many streaming calls at a time')
    } else {
      load.streamingCalls++
      const call = new StreamingCall(stream, method, encoding, this.#context, timeout)
      connection.add(call)
      stream.once('close', () => {
        load.streamingCalls--
        connection.remove(call)
      })
    }
  }
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType === 'application/grpc' || GRPC_TYPE.test(contentType ?? '')
}

const GRPC_TYPE = /^application\/grpc(?:\+proto)?(?:;|$)/

function readEncoding(header: string | string[] | undefined): string {
  return typeof header === 'string' ? header : 'identity'
}

function readTimeout(header: string | string[] | undefined): number | null | 'malformed' {
  if (header === undefined) return null
  return typeof header === 'string' ? (parseGrpcTimeout(header) ?? 'malformed') : 'malformed'
}
