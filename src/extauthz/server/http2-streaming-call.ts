import { Buffer } from 'node:buffer'
import type { Http2Stream } from '../../http2/stream.ts'
import { frameMessage, grpcStatus } from '../grpc-framing.ts'
import type { AcceptedHead } from './grpc-head.ts'
import type { GrpcStream, GrpcStreamingMethod, GrpcStreamReceiver, GrpcTransportLimits } from './grpc-transport.ts'
import { maxStreamedBytes } from './grpc-transport.ts'
import type { SweptContext } from './http2-call.ts'
import { Answered, type Expiring, REPLY, refuseCall, statusFields } from './http2-reply.ts'
import { MessageSplitter } from './message-splitter.ts'
import { unreadable } from './unreadable.ts'

/** One streaming call from its head to its status. */
export class StreamingCall implements GrpcStream, Expiring {
  readonly #stream: Http2Stream
  readonly #encoding: string
  readonly #limit: number
  readonly #context: SweptContext
  readonly #splitter: MessageSplitter
  /** Null until the method has begun. */
  #receiver: GrpcStreamReceiver | null = null
  readonly #timer: NodeJS.Timeout | null
  readonly #over: () => void
  /** Octets that wait for the caller or the method, as they were counted last. */
  #counted = 0
  #begun = false
  #ended = false

  /** `over` is called once, at its end. */
  constructor(stream: Http2Stream, { encoding, timeout }: AcceptedHead, context: SweptContext, over: () => void) {
    this.#stream = stream
    this.#context = context
    this.#over = over
    this.#encoding = encoding
    this.#limit = Math.min(context.limits.maxMessageBytes, maxStreamedBytes)
    this.#splitter = new MessageSplitter(this.#limit)
    context.calls++
    context.streamingCalls++
    stream.events = this
    this.#timer =
      timeout === null ? null : setTimeout(() => this.end(grpcStatus.deadlineExceeded, 'the deadline passed'), timeout)
  }

  /** To be called once, before anything else. */
  begin(method: GrpcStreamingMethod): void {
    const receiver = method(this)
    // It may have ended the call already.
    if (this.#ended) receiver.closed()
    else this.#receiver = receiver
  }

  fields(): void {}

  data(bytes: Buffer, from: number, to: number, ended: boolean): void {
    if (this.#ended) return
    const problem = this.#splitter.push(bytes, from, to, (message) => {
      if (!this.#ended) this.#receiver?.message(message)
    })
    if (this.#ended) return
    if (problem !== null) {
      const { status, text } = unreadable(problem, this.#encoding, this.#limit)
      this.end(status, text)
      return
    }
    this.#count()
    const { bufferedBytes, limits } = this.#context
    if (ended) this.halfClosed()
    else if (this.#splitter.held > 0 && bufferedBytes > limits.maxBufferedBytes) {
      this.end(grpcStatus.resourceExhausted, 'too many bytes at a time')
    }
  }

  trailers(): void {
    this.halfClosed()
  }

  /** The caller sends no more. */
  halfClosed(): void {
    if (this.#ended) return
    if (this.#splitter.atBoundary) this.#receiver?.halfClosed()
    else this.end(grpcStatus.internal, 'not a whole message')
  }

  reset(): void {
    this.#close()
  }

  expire(_now: number, { maxMessageBytes }: GrpcTransportLimits): void {
    this.#count()
    if (this.#stream.waiting > maxMessageBytes) this.end(grpcStatus.resourceExhausted, 'the caller does not read')
  }

  send(message: Uint8Array): void {
    if (this.#ended) return
    if (!this.#begun) {
      this.#begun = true
      this.#stream.sendFields(REPLY)
    }
    this.#stream.send(frameMessage(message))
    this.#count()
    const { limits, bufferedBytes } = this.#context
    const { waiting } = this.#stream
    if (waiting > limits.maxMessageBytes || (waiting > 0 && bufferedBytes > limits.maxBufferedBytes)) {
      this.end(grpcStatus.resourceExhausted, 'the caller does not read')
    }
  }

  end(status: number, text = ''): void {
    if (this.#ended) return
    const { now } = this.#context
    if (!this.#begun) refuseCall(this.#stream, status, text, now)
    else {
      this.#stream.events = new Answered(this.#stream, now)
      this.#stream.send(NOTHING, statusFields(status, text))
    }
    this.#close()
  }

  /** What waits counts among what all connections hold. */
  #count(): void {
    const waiting = this.#stream.waiting + this.#splitter.held
    this.#context.bufferedBytes += waiting - this.#counted
    this.#counted = waiting
  }

  #close(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#context.bufferedBytes -= this.#counted
    this.#counted = 0
    this.#context.calls--
    this.#context.streamingCalls--
    this.#over()
    this.#receiver?.closed()
  }
}

const NOTHING = Buffer.alloc(0)
