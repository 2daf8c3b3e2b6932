import type { Buffer } from 'node:buffer'
import type { ServerHttp2Stream } from 'node:http2'
import { grpcStatus, MessageReader } from '../grpc-framing.ts'
import type { CallContext } from './call-context.ts'
import type { AcceptedHead } from './grpc-head.ts'
import type { GrpcCall, GrpcRefusal } from './grpc-transport.ts'
import { refuse, reply } from './node-reply.ts'
import { unreadable } from './unreadable.ts'

/** One unary call from its headers to its reply: it is what the handler is given, too. */
export class UnaryCall implements GrpcCall {
  readonly path: string
  message: Uint8Array = empty
  timeout: number | null = null
  readonly #stream: ServerHttp2Stream
  readonly #encoding: string
  readonly #context: CallContext
  /** When the caller's time is over, on the clock of `performance.now`; null when it waits for ever. */
  readonly #deadline: number | null
  readonly #reader: MessageReader
  #abort: AbortController | null = null
  #timer: NodeJS.Timeout | undefined
  #reading = true
  #over = false
  #buffered = 0

  constructor(stream: ServerHttp2Stream, { path, encoding, timeout }: AcceptedHead, context: CallContext) {
    const { limits } = context
    this.path = path
    this.#stream = stream
    this.#encoding = encoding
    this.#context = context
    this.#deadline = timeout === null ? null : performance.now() + timeout
    this.#reader = new MessageReader(limits.maxMessageBytes)
    this.#timer = setTimeout(() => this.#expire(), Math.min(limits.readTimeout, timeout ?? limits.readTimeout))
    stream.on('data', (chunk: Buffer) => this.#read(chunk))
    stream.once('end', () => this.#finish())
    stream.once('close', () => {
      this.#stopReading()
      this.#end()
    })
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController()
      if (this.#over) this.#abort.abort()
    }
    return this.#abort.signal
  }

  #read(chunk: Buffer): void {
    if (!this.#reading) return
    const context = this.#context
    this.#buffered += chunk.length
    context.bufferedBytes += chunk.length
    if (context.bufferedBytes > context.limits.maxBufferedBytes) {
      this.#stopReading()
      this.#refuse('buffered', grpcStatus.resourceExhausted, 'too many bytes at a time')
    } else if (!this.#reader.push(chunk)) this.#finish()
  }

  #finish(): void {
    if (!this.#reading) return
    this.#stopReading()
    const framing = this.#reader.finish()
    if (framing.kind === 'message') {
      this.message = framing.message
      this.#handle()
      return
    }
    const { why, status, text } = unreadable(framing.kind, this.#encoding, this.#context.limits.maxMessageBytes)
    this.#refuse(why, status, text)
  }

  #handle(): void {
    if (this.#deadline !== null) this.timeout = Math.max(1, this.#deadline - performance.now())
    const answer = this.#context.handler.handle(this)
    if (!(answer instanceof Promise)) {
      reply(this.#stream, answer)
      return
    }
    if (this.timeout !== null) this.#timer = setTimeout(() => this.#expire(), this.timeout)
    answer.then((settled) => reply(this.#stream, settled))
  }

  #expire(): void {
    this.#stopReading()
    this.#end()
    this.#refuse('deadline', grpcStatus.deadlineExceeded, 'the deadline passed')
  }

  #refuse(why: GrpcRefusal, status: number, text: string): void {
    this.#context.events.refused(why)
    refuse(this.#stream, status, text)
  }

  #end(): void {
    this.#over = true
    this.#abort?.abort()
  }

  #stopReading(): void {
    clearTimeout(this.#timer)
    this.#reading = false
    this.#context.bufferedBytes -= this.#buffered
    this.#buffered = 0
  }
}

const empty = new Uint8Array(0)
