import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import type { Http2Connection } from '../../http2/connection.ts'
import { ErrorCode } from '../../http2/frames.ts'
import { closeConnection, speakOver } from '../../http2/over-socket.ts'
import type { Http2Stream, StreamEvents } from '../../http2/stream.ts'
import { Gathered } from '../gathered.ts'
import { errorCode } from './failure.ts'
import {
  type Cancellable,
  type ConnectionListener,
  type ConnectionOptions,
  maxCalls,
  type OpenUnaryConnection,
  type UnaryCall,
  type UnaryConnection,
  type UnaryEnd,
} from './unary-connection.ts'

/** `UnaryConnection` with HTTP/2 of our own. */
export const openHttp2: OpenUnaryConnection = (options, listener) => new OwnConnection(options, listener)

class OwnConnection implements UnaryConnection {
  readonly maxAnswerBytes: number
  readonly #socket: Socket
  readonly #listener: ConnectionListener
  readonly #connection: Http2Connection
  readonly #pseudo: readonly string[]
  #state: 'opening' | 'open' | 'draining' | 'closed' = 'opening'
  #limit = 0
  #calls = 0
  #problem: string | null = null
  /** The last list of fields, and what it was made of: most calls have the same. */
  #lastPath = ''
  #lastHeaders: readonly string[] = []
  #lastCallHeaders: readonly string[] = []
  #lastFields: readonly string[] = []

  constructor({ socket, authority, scheme, maxAnswerBytes }: ConnectionOptions, listener: ConnectionListener) {
    this.maxAnswerBytes = maxAnswerBytes
    this.#socket = socket
    this.#listener = listener
    this.#pseudo = [':method', 'POST', ':scheme', scheme, ':authority', authority]
    socket.on('error', (error) => {
      this.#problem ??= errorCode(error)
    })
    this.#connection = speakOver(
      socket,
      'client',
      {},
      {
        request() {},
        settings: (maxStreams) => this.#settings(maxStreams),
        goingAway: (code) => this.#goingAway(code),
        closed: (_code, reason) => this.#closed(reason),
      },
    )
  }

  get room(): number {
    if (this.#state !== 'open' || !this.#connection.available) return 0
    return this.#limit - this.#calls
  }

  get calls(): number {
    return this.#calls
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress
  }

  call(call: UnaryCall): Cancellable {
    const own = new OwnCall(call, this)
    const stream = this.room > 0 ? this.#connection.request(this.#fieldsOf(call), false, own) : null
    if (stream === null) {
      queueMicrotask(() => own.end({ kind: 'unsent' }))
      return own
    }
    this.#calls++
    own.begin(stream, call.message)
    return own
  }

  ping(answered: () => void): void {
    this.#connection.ping(answered)
  }

  drain(): void {
    if (this.#state === 'closed' || this.#state === 'draining') return
    this.#state = 'draining'
    if (this.#calls === 0) this.#closeSoon()
  }

  close(): void {
    if (this.#state === 'opening') this.#problem ??= 'not connected in time'
    this.#closeSoon()
    this.#socket.destroy()
  }

  callEnded(): void {
    this.#calls--
    if (this.#state === 'open') this.#listener.roomier()
    else if (this.#state === 'draining' && this.#calls === 0) this.#closeSoon()
  }

  /** The list must be the same object for the same fields, so that it is encoded once. */
  #fieldsOf({ path, headers, callHeaders }: UnaryCall): readonly string[] {
    const same = headers === this.#lastHeaders && callHeaders === this.#lastCallHeaders && path === this.#lastPath
    if (same) return this.#lastFields
    this.#lastPath = path
    this.#lastHeaders = headers
    this.#lastCallHeaders = callHeaders
    this.#lastFields = [...this.#pseudo, ':path', path, ...headers, ...callHeaders]
    return this.#lastFields
  }

  #settings(maxStreams: number): void {
    this.#limit = Math.min(maxStreams, maxCalls)
    if (this.#state === 'open') this.#listener.roomier()
    if (this.#state !== 'opening') return
    this.#state = 'open'
    this.#listener.opened()
  }

  /** With an error, the peer reads nothing that is still on its way: what it has not answered is lost. */
  #goingAway(code: number): void {
    if (this.#state === 'closed') return
    if (this.#state !== 'draining') {
      this.#state = 'draining'
      this.#listener.draining()
    }
    if (this.#calls === 0 || code !== ErrorCode.noError) this.#closeSoon()
  }

  /** Not at once: nothing is told before the call that led to it has returned. */
  #closeSoon(): void {
    queueMicrotask(() => closeConnection(this.#connection))
  }

  #closed(reason: string): void {
    this.#state = 'closed'
    const problem = this.#problem ?? reason
    queueMicrotask(() => this.#listener.closed(problem))
  }
}

class OwnCall implements StreamEvents, Cancellable {
  readonly #connection: OwnConnection
  #call: UnaryCall | null
  #stream: Http2Stream | null = null
  #headers: readonly string[] | null = null
  /** All of the body, while it is one part. */
  #body: Buffer = NOTHING
  #parts: Gathered | null = null
  #bytes = 0

  constructor(call: UnaryCall, connection: OwnConnection) {
    this.#call = call
    this.#connection = connection
  }

  begin(stream: Http2Stream, message: Uint8Array): void {
    this.#stream = stream
    const { buffer, byteOffset, length } = message
    stream.send(Buffer.isBuffer(message) ? message : Buffer.from(buffer, byteOffset, length), 'end')
  }

  cancel(): void {
    if (this.#call === null) return
    this.#call = null
    const stream = this.#stream
    if (stream === null) return
    this.#stream = null
    stream.reset(ErrorCode.cancel)
    this.#connection.callEnded()
  }

  fields(fields: readonly string[], ended: boolean): void {
    this.#headers = fields
    if (ended) this.#answered(null, 0)
  }

  data(bytes: Buffer, from: number, to: number, ended: boolean): void {
    this.#bytes += to - from
    if (this.#bytes > this.#connection.maxAnswerBytes) {
      this.#body = NOTHING
      this.#parts = null
      this.#answered(null, ErrorCode.cancel)
      return
    }
    if (this.#parts !== null) this.#parts.add(bytes, from, to)
    else if (this.#body.length === 0) this.#body = bytes.subarray(from, to)
    else {
      this.#parts = new Gathered()
      this.#parts.add(this.#body)
      this.#parts.add(bytes, from, to)
    }
    if (ended) this.#answered(null, 0)
  }

  trailers(fields: readonly string[]): void {
    this.#answered(fields, 0)
  }

  reset(code: ErrorCode): void {
    // It is over: there is nothing to end.
    if (this.#stream !== null) this.#stream.remoteEnded = true
    if (this.#headers !== null) this.#answered(null, code)
    else if (code === ErrorCode.refusedStream) this.end({ kind: 'notProcessed' })
    else this.end({ kind: 'lost', code })
  }

  #answered(trailers: readonly string[] | null, code: number): void {
    const tooLarge = this.#bytes > this.#connection.maxAnswerBytes
    const headers = this.#headers ?? []
    const body = this.#parts?.octets ?? this.#body
    this.end({ kind: 'answered', headers, body, trailers, tooLarge, code })
  }

  end(end: UnaryEnd): void {
    const call = this.#call
    const stream = this.#stream
    this.#call = null
    this.#stream = null
    // An answer before all was asked: the rest is not wanted, or the answer is not.
    if (stream !== null && !(stream.remoteEnded && stream.flushed)) stream.reset(ErrorCode.cancel)
    call?.ended(end)
    if (stream !== null) this.#connection.callEnded()
  }
}

const NOTHING = Buffer.alloc(0)
