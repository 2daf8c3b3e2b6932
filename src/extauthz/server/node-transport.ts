import type { ServerHttp2Stream } from 'node:http2'
import { performServerHandshake } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { CallContext } from './call-context.ts'
import { ConnectionSet } from './connection-set.ts'
import { type AcceptedHead, admit, readHead } from './grpc-head.ts'
import type {
  CreateGrpcTransport,
  GrpcConnection,
  GrpcHandler,
  GrpcStreamingMethod,
  GrpcTransport,
  GrpcTransportEvents,
  GrpcTransportLimits,
} from './grpc-transport.ts'
import { defaultLimits, silent } from './grpc-transport.ts'
import { UnaryCall } from './node-call.ts'
import { refuse, respondHttp } from './node-reply.ts'
import { Connection } from './node-session.ts'
import { StreamingCall } from './node-stream.ts'

/** gRPC over node:http2. */
export const createNodeTransport: CreateGrpcTransport = (handler, limits = defaultLimits, events = silent) =>
  new NodeTransport(handler, limits, events)

class NodeTransport implements GrpcTransport {
  readonly #context: CallContext
  readonly #connections = new ConnectionSet<Connection>()

  constructor(handler: GrpcHandler, limits: GrpcTransportLimits, events: GrpcTransportEvents) {
    this.#context = { handler, limits, events, calls: 0, streamingCalls: 0, bufferedBytes: 0 }
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
    // Names and values in turn, as they came, are told last.
    session.on('stream', (stream: ServerHttp2Stream, _headers: object, _flags: number, fields: readonly string[]) =>
      this.#stream(connection, stream, fields),
    )
    this.#connections.add(connection)
    return connection
  }

  close(grace: number): Promise<void> {
    return this.#connections.close(grace)
  }

  #stream(connection: Connection, stream: ServerHttp2Stream, fields: readonly string[]): void {
    const context = this.#context
    stream.on('error', () => {})
    const head = admit(readHead(fields, context.handler), context)
    switch (head.kind) {
      case 'call':
        context.calls++
        stream.once('close', () => context.calls--)
        if (head.method === null) new UnaryCall(stream, head, context)
        else this.#streaming(connection, stream, head.method, head)
        return
      case 'grpc':
        context.events.refused(head.why)
        refuse(stream, head.status, head.text)
        return
      case 'http':
        respondHttp(stream, head.status)
        return
      default:
        head satisfies never
    }
  }

  #streaming(connection: Connection, stream: ServerHttp2Stream, method: GrpcStreamingMethod, head: AcceptedHead): void {
    const context = this.#context
    context.streamingCalls++
    const call = new StreamingCall(stream, method, head, context)
    connection.add(call)
    stream.once('close', () => {
      context.streamingCalls--
      connection.remove(call)
    })
  }
}
