import type { Buffer } from 'node:buffer'
import type { ServerHttp2Stream } from 'node:http2'
import { frameMessage, grpcStatus } from '../grpc-framing.ts'
import type { CallContext } from './call-context.ts'
import type { AcceptedHead } from './grpc-head.ts'
import type { GrpcStream, GrpcStreamingMethod, GrpcStreamReceiver } from './grpc-transport.ts'
import { maxStreamedBytes } from './grpc-transport.ts'
import { MessageSplitter } from './message-splitter.ts'
import { discard, refuse, replyHeaders, statusFields } from './node-reply.ts'
import { unreadable } from './unreadable.ts'

/** One streaming call from its headers to its status. */
export class StreamingCall implements GrpcStream {
  readonly #stream: ServerHttp2Stream
  readonly #encoding: string
  readonly #limit: number
  readonly #context: CallContext
  readonly #splitter: MessageSplitter
  readonly #receiver: GrpcStreamReceiver
  readonly #timer: NodeJS.Timeout | null
  /** Octets of a message that is not whole, as they were counted last. */
  #counted = 0
  #ended = false

  constructor(
    stream: ServerHttp2Stream,
    method: GrpcStreamingMethod,
    { encoding, timeout }: AcceptedHead,
    context: CallContext,
  ) {
    this.#stream = stream
    this.#encoding = encoding
    this.#limit = Math.min(context.limits.maxMessageBytes, maxStreamedBytes)
    this.#context = context
    this.#splitter = new MessageSplitter(this.#limit)
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
      this.#count(0)
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
    const problem = this.#splitter.push(chunk, 0, chunk.length, (message) => {
      if (!this.#ended) this.#receiver.message(message)
    })
    if (this.#ended) return
    if (problem !== null) {
      const { status, text } = unreadable(problem, this.#encoding, this.#limit)
      this.end(status, text)
      return
    }
    this.#count(this.#splitter.held)
    const { bufferedBytes, limits } = this.#context
    if (this.#counted > 0 && bufferedBytes > limits.maxBufferedBytes) {
      this.end(grpcStatus.resourceExhausted, 'too many bytes at a time')
    }
  }

  #count(held: number): void {
    this.#context.bufferedBytes += held - this.#counted
    this.#counted = held
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
