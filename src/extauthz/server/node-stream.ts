import type { Buffer } from 'node:buffer'
import type { ServerHttp2Stream } from 'node:http2'
import { frameMessage, grpcStatus } from '../grpc-framing.ts'
import type { GrpcStream, GrpcStreamingMethod, GrpcStreamReceiver } from './grpc-transport.ts'
import { MessageSplitter } from './message-splitter.ts'
import type { CallContext } from './node-call.ts'
import { discard, refuse, replyHeaders, statusFields } from './node-reply.ts'

/** One streaming call from its headers to its status. */
export class StreamingCall implements GrpcStream {
  readonly #stream: ServerHttp2Stream
  readonly #context: CallContext
  readonly #splitter: MessageSplitter
  readonly #receiver: GrpcStreamReceiver
  readonly #timer: NodeJS.Timeout | null
  #ended = false

  /** `timeout` in milliseconds; null: the call may last for ever. */
  constructor(stream: ServerHttp2Stream, method: GrpcStreamingMethod, context: CallContext, timeout: number | null) {
    this.#stream = stream
    this.#context = context
    this.#splitter = new MessageSplitter(context.limits.maxMessageBytes)
    this.#timer =
      timeout === null ? null : setTimeout(() => this.end(grpcStatus.deadlineExceeded, 'the deadline passed'), timeout)
    this.#receiver = method(this)
    stream.on('data', (chunk: Buffer) => this.#read(chunk))
    stream.on('drain', () => stream.resume())
    stream.once('end', () => this.#halfClosed())
    // One that is paused would wait for ever for somebody to read what it still holds.
    stream.once('aborted', () => stream.destroy())
    stream.once('close', () => {
      this.#ended = true
      if (this.#timer !== null) clearTimeout(this.#timer)
      this.#receiver.closed()
    })
  }

  send(message: Uint8Array): void {
    const stream = this.#stream
    if (this.#ended || stream.closed) return
    if (!stream.headersSent) {
      stream.respond(replyHeaders, { waitForTrailers: true })
    }
    if (!stream.write(frameMessage(message))) stream.pause()
    if (stream.writableLength > this.#context.limits.maxMessageBytes) {
      this.end(grpcStatus.resourceExhausted, 'the caller does not read')
    }
  }

  end(status: number, text = ''): void {
    const stream = this.#stream
    if (this.#ended) return
    this.#ended = true
    if (stream.closed) return
    if (!stream.headersSent) {
      refuse(stream, status, text)
      return
    }
    stream.once('wantTrailers', () => stream.sendTrailers(statusFields(status, text)))
    stream.end()
    discardAfter(stream)
  }

  #read(chunk: Buffer): void {
    if (this.#ended) return
    const problem = this.#splitter.push(chunk, (message) => {
      if (!this.#ended) this.#receiver.message(message)
    })
    switch (problem) {
      case null:
        return
      case 'compressed':
        this.end(grpcStatus.unimplemented, 'no compression is supported')
        return
      case 'tooLarge':
        this.end(grpcStatus.resourceExhausted, `message above ${this.#context.limits.maxMessageBytes} bytes`)
        return
      case 'malformed':
        this.end(grpcStatus.internal, 'not a message')
        return
      default:
        problem satisfies never
    }
  }

  #halfClosed(): void {
    if (this.#ended) return
    if (this.#splitter.atBoundary) this.#receiver.halfClosed()
    else this.end(grpcStatus.internal, 'not a whole message')
  }
}

/** What the caller still sends is not wanted once it has its status. */
function discardAfter(stream: ServerHttp2Stream): void {
  stream.resume()
  stream.once('finish', () => discard(stream))
}
