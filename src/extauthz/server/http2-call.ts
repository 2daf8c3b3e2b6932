import type { Buffer } from 'node:buffer'
import type { Http2Stream } from '../../http2/stream.ts'
import { type Framing, frameMessage, grpcStatus, MessageReader, readMessage } from '../grpc-framing.ts'
import type { CallContext } from './call-context.ts'
import type { AcceptedHead } from './grpc-head.ts'
import type { GrpcCall, GrpcRefusal, GrpcReply, GrpcTransportLimits } from './grpc-transport.ts'
import { Answered, type Expiring, REPLY, refuseCall } from './http2-reply.ts'
import { unreadable } from './unreadable.ts'

export interface SweptContext extends CallContext {
  /** Milliseconds of the last sweep. */
  now: number
}

const OK: readonly string[] = ['grpc-status', '0']

/** One call from its head to its reply. */
export class Call implements Expiring, GrpcCall {
  readonly #stream: Http2Stream
  readonly #head: AcceptedHead
  readonly #context: SweptContext
  /** Milliseconds on the clock of the sweeps; the deadline on the exact one, 0 without. */
  readonly #begunAt: number
  readonly #deadline: number
  /** What has come of a message that is not whole; null before, and when all of it came at once. */
  #reader: MessageReader | null = null
  #buffered = 0
  #reading = true
  #ended = false
  #abort: AbortController | null = null
  #timer: NodeJS.Timeout | undefined
  #message: Uint8Array = NOTHING

  constructor(stream: Http2Stream, head: AcceptedHead, context: SweptContext, ended: boolean) {
    this.#stream = stream
    this.#head = head
    this.#context = context
    this.#begunAt = context.now
    this.#deadline = head.timeout === null ? 0 : performance.now() + head.timeout
    context.calls++
    stream.events = this
    if (ended) this.#finish({ kind: 'malformed' })
  }

  get path(): string {
    return this.#head.path
  }

  get message(): Uint8Array {
    return this.#message
  }

  get timeout(): number | null {
    return this.#deadline === 0 ? null : Math.max(1, this.#deadline - performance.now())
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController()
      if (this.#ended) this.#abort.abort()
    }
    return this.#abort.signal
  }

  fields(): void {}

  data(bytes: Buffer, from: number, to: number, ended: boolean): void {
    if (!this.#reading) return
    if (ended && this.#reader === null) {
      this.#finish(readMessage(bytes, from, to, this.#context.limits.maxMessageBytes))
      return
    }
    const context = this.#context
    this.#reader ??= new MessageReader(context.limits.maxMessageBytes)
    this.#buffered += to - from
    context.bufferedBytes += to - from
    const within = this.#reader.push(bytes.subarray(from, to))
    if (context.bufferedBytes > context.limits.maxBufferedBytes) {
      this.#refuse('buffered', grpcStatus.resourceExhausted, 'too many bytes at a time')
    } else if (!within || ended) this.#finish(this.#reader.finish())
  }

  trailers(): void {
    if (this.#reading) this.#finish(this.#reader?.finish() ?? { kind: 'malformed' })
  }

  reset(): void {
    this.#end()
  }

  /** Ends a call that does not arrive. */
  expire(now: number, { readTimeout }: GrpcTransportLimits): void {
    if (!this.#reading) return
    const most = Math.min(readTimeout, this.#head.timeout ?? Number.POSITIVE_INFINITY)
    if (now - this.#begunAt > most) this.#refuse('deadline', grpcStatus.deadlineExceeded, 'the deadline passed')
  }

  #finish(framing: Framing): void {
    this.#stopReading()
    if (framing.kind === 'message') {
      this.#handle(framing.message)
      return
    }
    const { why, status, text } = unreadable(framing.kind, this.#head.encoding, this.#context.limits.maxMessageBytes)
    this.#refuse(why, status, text)
  }

  #handle(message: Uint8Array): void {
    this.#message = message
    const reply = this.#context.handler.handle(this)
    if (!(reply instanceof Promise)) {
      this.#answer(reply)
      return
    }
    if (this.#deadline !== 0) {
      this.#timer = setTimeout(
        () => this.#refuse('deadline', grpcStatus.deadlineExceeded, 'the deadline passed'),
        Math.max(1, this.#deadline - performance.now()),
      )
    }
    reply.then((settled) => this.#answer(settled))
  }

  #answer(reply: GrpcReply): void {
    if (this.#ended) return
    if (reply.kind === 'status') {
      this.#end()
      refuseCall(this.#stream, reply.status, reply.text, this.#context.now)
      return
    }
    this.#end()
    this.#stream.sendFields(REPLY)
    this.#stream.send(frameMessage(reply.message), OK)
    if (!this.#stream.flushed) this.#stream.events = new Answered(this.#stream, this.#context.now)
  }

  #refuse(why: GrpcRefusal, status: number, text: string): void {
    if (this.#ended) return
    this.#context.events.refused(why)
    this.#stopReading()
    this.#end()
    refuseCall(this.#stream, status, text, this.#context.now)
  }

  #stopReading(): void {
    this.#reading = false
    this.#context.bufferedBytes -= this.#buffered
    this.#buffered = 0
  }

  /** Nothing more is said, by this side or by the caller. */
  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#context.calls--
    clearTimeout(this.#timer)
    this.#stopReading()
    this.#abort?.abort()
  }
}

const NOTHING = new Uint8Array(0)
