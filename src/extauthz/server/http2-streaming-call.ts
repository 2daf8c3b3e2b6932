import { Buffer } from 'node:buffer'
import type { Http2Stream } from '../../http2/stream.ts'
import { frameMessage, grpcStatus } from '../grpc-framing.ts'
import type { GrpcStream, GrpcStreamingMethod, GrpcStreamReceiver, GrpcTransportLimits } from './grpc-transport.ts'
import type { CallContext } from './http2-call.ts'
import { Answered, type Expiring, REPLY, refuseCall, statusFields } from './http2-reply.ts'
import { MessageSplitter } from './message-splitter.ts'

/** One streaming call from its head to its status. */
export class StreamingCall implements GrpcStream, Expiring {
  readonly #stream: Http2Stream
  readonly #context: CallContext
  readonly #splitter: MessageSplitter
  readonly #receiver: GrpcStreamReceiver
  readonly #timer: NodeJS.Timeout | null
  readonly #over: () => void
  /** Octets that wait for the caller, as they were counted last. */
  #waiting = 0
  #begun = false
  #ended = false

  /** `timeout` in milliseconds; null: the call may last for ever. `over` is called once, at its end. */
  constructor(
    stream: Http2Stream,
    method: GrpcStreamingMethod,
    context: CallContext,
    timeout: number | null,
    over: () => void,
  ) {
    this.#stream = stream
    this.#context = context
    this.#over = over
    this.#splitter = new MessageSplitter(context.limits.maxMessageBytes)
    context.calls++
    context.streamingCalls++
    stream.events = this
    this.#timer =
      timeout === null ? null : setTimeout(() => this.end(grpcStatus.deadlineExceeded, 'the deadline passed'), timeout)
    this.#receiver = method(this)
  }

  fields(): void {}

  data(bytes: Buffer, from: number, to: number, ended: boolean): void {
    if (this.#ended) return
    const problem = this.#splitter.push(bytes.subarray(from, to), (message) => {
      if (!this.#ended) this.#receiver.message(message)
    })
    switch (problem) {
      case null:
        if (ended) this.halfClosed()
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

  trailers(): void {
    this.halfClosed()
  }

  /** The caller sends no more. */
  halfClosed(): void {
    if (this.#ended) return
    if (this.#splitter.atBoundary) this.#receiver.halfClosed()
    else this.end(grpcStatus.internal, 'not a whole message')
  }

  reset(): void {
    this.#close()
  }

  expire(_now: number, { maxMessageBytes }: GrpcTransportLimits): void {
    this.#count()
    if (this.#waiting > maxMessageBytes) this.end(grpcStatus.resourceExhausted, 'the caller does not read')
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
    if (this.#waiting > limits.maxMessageBytes || (this.#waiting > 0 && bufferedBytes > limits.maxBufferedBytes)) {
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

  /** What waits for the caller counts among what all connections hold. */
  #count(): void {
    const { waiting } = this.#stream
    this.#context.bufferedBytes += waiting - this.#waiting
    this.#waiting = waiting
  }

  #close(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#context.bufferedBytes -= this.#waiting
    this.#waiting = 0
    this.#context.calls--
    this.#context.streamingCalls--
    this.#over()
    this.#receiver.closed()
  }
}

const NOTHING = Buffer.alloc(0)
