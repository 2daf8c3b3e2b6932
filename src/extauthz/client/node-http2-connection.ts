import { Buffer } from 'node:buffer'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { connect, constants } from 'node:http2'
import type { Socket } from 'node:net'
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

/** Milliseconds that a peer has to take its end of a connection that is over. */
const lingering = 1000

/** `UnaryConnection` with `node:http2`. */
export const openNodeHttp2: OpenUnaryConnection = (options, listener) => new NodeHttp2Connection(options, listener)

class NodeHttp2Connection implements UnaryConnection {
  readonly #session: ClientHttp2Session
  readonly #socket: Socket
  readonly #listener: ConnectionListener
  readonly #authority: string
  readonly #scheme: string
  readonly #maxAnswerBytes: number
  #opened = false
  #draining = false
  #closed = false
  #limit = 0
  #calls = 0
  #lastProcessed = Number.POSITIVE_INFINITY
  #problem = 'not connected in time'

  constructor({ socket, authority, scheme, maxAnswerBytes }: ConnectionOptions, listener: ConnectionListener) {
    this.#socket = socket
    this.#listener = listener
    this.#authority = authority
    this.#scheme = scheme
    this.#maxAnswerBytes = maxAnswerBytes
    const session = connect(`http://${authority}`, {
      createConnection: () => socket,
      settings: { enablePush: false },
    })
    this.#session = session
    session.on('error', (error) => {
      this.#problem = errorCode(error)
    })
    session.on('remoteSettings', ({ maxConcurrentStreams = maxCalls }) => this.#settings(maxConcurrentStreams))
    session.on('goaway', (_code, lastProcessed) => this.#goaway(lastProcessed))
    session.once('close', () => this.#end())
    socket.once('close', () => this.#end())
  }

  get room(): number {
    return this.#opened && !this.#draining && !this.#closed ? this.#limit - this.#calls : 0
  }

  get calls(): number {
    return this.#calls
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress
  }

  call(call: UnaryCall): Cancellable {
    let stream: ClientHttp2Stream | null = null
    try {
      if (this.room > 0) stream = this.#session.request(this.#requestHeaders(call))
    } catch {
      // Closed, and not yet told so.
    }
    if (stream === null) return new Unbegun(call)
    this.#calls++
    return new NodeCall(stream, call, this.#maxAnswerBytes, this)
  }

  ping(answered: () => void): void {
    if (this.#closed || this.#session.destroyed) return
    this.#session.ping((error) => {
      if (error === null) answered()
    })
  }

  drain(): void {
    if (this.#draining || this.#closed) return
    this.#draining = true
    if (this.#calls === 0) this.#linger()
  }

  close(): void {
    this.#draining = true
    this.#session.destroy()
    this.#socket.destroy()
  }

  /** The end of a call that got no answer. */
  endWithoutAnswer({ id, rstCode }: ClientHttp2Stream): UnaryEnd {
    if (id === undefined) return { kind: 'unsent' }
    if (id > this.#lastProcessed || rstCode === constants.NGHTTP2_REFUSED_STREAM) return { kind: 'notProcessed' }
    return { kind: 'lost', code: rstCode ?? 0 }
  }

  callEnded(): void {
    this.#calls--
    if (!this.#draining) this.#listener.roomier()
    else if (this.#calls === 0) this.#linger()
  }

  #requestHeaders({ path, headers, callHeaders }: UnaryCall): Record<string, string> {
    const record: Record<string, string> = {
      ':method': 'POST',
      ':scheme': this.#scheme,
      ':path': path,
      ':authority': this.#authority,
    }
    for (let i = 0; i < headers.length; i += 2) record[headers[i] as string] = headers[i + 1] as string
    for (let i = 0; i < callHeaders.length; i += 2) record[callHeaders[i] as string] = callHeaders[i + 1] as string
    return record
  }

  #settings(limit: number): void {
    this.#limit = Math.min(limit, maxCalls)
    if (this.#opened) {
      this.#listener.roomier()
      return
    }
    this.#opened = true
    this.#listener.opened()
  }

  /** The first of two may leave all streams in; the last one says which. */
  #goaway(lastProcessed: number): void {
    this.#lastProcessed = Math.min(this.#lastProcessed, lastProcessed)
    if (this.#draining || this.#closed) return
    this.#draining = true
    this.#listener.draining()
    if (this.#calls === 0) this.#linger()
  }

  /** Says goodbye; a peer that does not answer that is left. */
  #linger(): void {
    if (!this.#session.destroyed) this.#session.close()
    if (this.#closed) return
    const timer = setTimeout(() => this.close(), lingering).unref()
    this.#socket.once('close', () => clearTimeout(timer))
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.destroy()
    this.#listener.closed(this.#opened && this.#problem === 'not connected in time' ? 'closed' : this.#problem)
  }
}

class NodeCall implements Cancellable {
  readonly #stream: ClientHttp2Stream
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #call: UnaryCall | null
  #headers: readonly string[] | null = null
  #trailers: readonly string[] | null = null
  #bytes = 0

  constructor(stream: ClientHttp2Stream, call: UnaryCall, maxBytes: number, connection: NodeHttp2Connection) {
    this.#stream = stream
    this.#call = call
    this.#maxBytes = maxBytes
    stream.on('response', (headers) => {
      this.#headers = flatten(headers)
    })
    stream.on('trailers', (headers) => {
      this.#trailers = flatten(headers)
    })
    stream.on('data', (chunk: Buffer) => this.#data(chunk))
    // What went wrong is told by the close that follows.
    stream.on('error', () => {})
    stream.once('close', () => {
      const ended = this.#call
      this.#call = null
      ended?.ended(this.#end(connection))
      connection.callEnded()
    })
    stream.end(call.message)
  }

  cancel(): void {
    this.#call = null
    if (!this.#stream.closed) this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  #data(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes <= this.#maxBytes) {
      this.#chunks.push(chunk)
      return
    }
    this.#chunks.length = 0
    if (!this.#stream.closed) this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  #end(connection: NodeHttp2Connection): UnaryEnd {
    const headers = this.#headers
    if (headers === null) return connection.endWithoutAnswer(this.#stream)
    const chunks = this.#chunks
    const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
    const tooLarge = this.#bytes > this.#maxBytes
    return { kind: 'answered', headers, body, trailers: this.#trailers, tooLarge, code: this.#stream.rstCode ?? 0 }
  }
}

/** A call for which there was no room. */
class Unbegun implements Cancellable {
  #call: UnaryCall | null

  constructor(call: UnaryCall) {
    this.#call = call
    queueMicrotask(() => this.#call?.ended({ kind: 'unsent' }))
  }

  cancel(): void {
    this.#call = null
  }
}

function flatten(headers: IncomingHttpHeaders): string[] {
  const flat: string[] = []
  for (const name of Object.keys(headers)) {
    const value: unknown = headers[name]
    for (const one of Array.isArray(value) ? value : [value]) flat.push(name, String(one))
  }
  return flat
}
