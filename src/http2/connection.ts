import { Allowance } from './allowance.ts'
import {
  DEFAULT_FRAME_SIZE,
  DEFAULT_WINDOW,
  ErrorCode,
  Flag,
  FrameReader,
  FrameType,
  LARGEST_WINDOW,
  PREFACE,
  readUint32,
} from './frames.ts'
import { HpackDecoder } from './hpack/decoder.ts'
import { HpackEncoder } from './hpack/encoder.ts'
import { checkRequest, checkResponse, checkTrailers } from './message-fields.ts'
import { Output } from './output.ts'
import { defaultSettings, readSettings, writeSettings } from './settings.ts'
import { Http2Stream, type StreamEvents } from './stream.ts'

export interface ConnectionLimits {
  /** How many streams of the peer there may be at once: 1024, as Envoy. */
  readonly streams: number
  /** How much of a body may be on its way before it is read, by stream and for all: 1 MiB, 16 MiB. */
  readonly streamWindow: number
  readonly connectionWindow: number
  /** Of a list of fields: 60 KiB and 100 of them, as Envoy. */
  readonly headerList: number
  readonly fields: number
  /** How much may wait for the peer to read it: 16 MiB. */
  readonly waiting: number
}

export const defaultLimits: ConnectionLimits = {
  streams: 1024,
  streamWindow: 1 << 20,
  connectionWindow: 1 << 24,
  headerList: 60 * 1024,
  fields: 100,
  waiting: 1 << 24,
}

export interface ConnectionEvents {
  /** A request has come whose fields are well formed: `stream.events` is to be set now. Servers only. */
  request(stream: Http2Stream, fields: readonly string[], ended: boolean): void
  /** No more streams are begun here, by the peer's wish: a client takes another connection. `code` says why. */
  goingAway(code: number): void
  /** The last: nothing is read or written any more. */
  closed(code: ErrorCode, reason: string): void
}

export interface ConnectionOptions {
  readonly role: 'server' | 'client'
  readonly limits?: Partial<ConnectionLimits>
  /** Milliseconds that only go on. */
  readonly now: () => number
  readonly write: (bytes: Buffer) => void
  readonly events: ConnectionEvents
}

/** A list of fields that is not whole yet. */
interface Block {
  readonly stream: number
  readonly flags: number
  readonly parts: Buffer[]
  size: number
}

/** One side of an HTTP/2 connection (RFC 9113), over anything that carries octets. */
export class Http2Connection {
  readonly #role: 'server' | 'client'
  readonly #limits: ConnectionLimits
  readonly #events: ConnectionEvents
  readonly #output: Output
  readonly #decoder: HpackDecoder
  readonly #encoder = new HpackEncoder()
  readonly #reader: FrameReader
  readonly #streams = new Map<number, Http2Stream>()
  readonly #control: Allowance
  /** The last streams that this side has reset. */
  readonly #givenUp = new Set<number>()
  #preface = 0
  #peer = defaultSettings
  #settled = false
  #block: Block | null = null
  #sendWindow = DEFAULT_WINDOW
  #receiveWindow: number
  /** The last stream that the peer began, and the last of this side. */
  #lastPeer = 0
  #lastOwn: number
  #begun = 0
  #cut = 0
  #goingAway = false
  #peerGoingAway = false
  #closed = false

  constructor({ role, limits, now, write, events }: ConnectionOptions) {
    this.#role = role
    this.#limits = { ...defaultLimits, ...limits }
    this.#events = events
    this.#output = new Output(write)
    this.#control = new Allowance(1000, 200, now)
    this.#lastOwn = role === 'client' ? -1 : 0
    this.#receiveWindow = this.#limits.connectionWindow
    const { headerList, fields, streams, streamWindow, connectionWindow } = this.#limits
    this.#decoder = new HpackDecoder({ table: 4096, list: headerList, fields })
    this.#reader = new FrameReader(DEFAULT_FRAME_SIZE, (...frame) => this.#frame(...frame))
    if (role === 'client') this.#output.raw(PREFACE)
    else this.#preface = PREFACE.length
    const own = { role, maxStreams: streams, initialWindow: streamWindow, maxHeaderList: headerList }
    this.#output.frame(FrameType.settings, 0, 0, writeSettings(own))
    this.#output.numbers(FrameType.windowUpdate, 0, connectionWindow - DEFAULT_WINDOW)
  }

  /** How many streams are open. */
  get open(): number {
    return this.#streams.size
  }

  /** Whether a client can begin another stream now. */
  get available(): boolean {
    const { maxStreams } = this.#peer
    return (
      !this.#closed &&
      !this.#goingAway &&
      !this.#peerGoingAway &&
      this.#streams.size < maxStreams &&
      this.#lastOwn < LARGEST_WINDOW - 2
    )
  }

  get closed(): boolean {
    return this.#closed
  }

  /** What came from the socket. */
  receive(chunk: Buffer): void {
    if (this.#closed) return
    let from = 0
    if (this.#preface > 0) {
      from = Math.min(this.#preface, chunk.length)
      const place = PREFACE.length - this.#preface
      if (chunk.compare(PREFACE, place, place + from, 0, from) !== 0) {
        this.#fail(ErrorCode.protocolError, 'the client does not speak HTTP/2')
        return
      }
      this.#preface -= from
    }
    const rest = from === 0 ? chunk : chunk.subarray(from)
    if (rest.length > 0 && !this.#reader.read(rest)) this.#fail(ErrorCode.frameSizeError, 'a frame is too long')
    this.#output.flush()
  }

  /** The socket has ended. */
  end(reason: string): void {
    this.#close(ErrorCode.cancel, reason)
  }

  /** Begins a request; null where `available` is false. */
  request(fields: readonly string[], end: boolean, events: StreamEvents): Http2Stream | null {
    if (!this.available) return null
    this.#lastOwn += 2
    const stream = this.#open(this.#lastOwn)
    stream.events = events
    stream.sendFields(fields, end)
    return stream
  }

  /** Begins no more streams and takes none; those that are open go on. */
  goAway(code: ErrorCode = ErrorCode.noError): void {
    if (this.#goingAway || this.#closed) return
    this.#goingAway = true
    this.#output.numbers(FrameType.goAway, 0, this.#lastPeer, code)
  }

  /** Writes what has been gathered. */
  flush(): void {
    this.#output.flush()
  }

  sendFields(stream: Http2Stream, fields: readonly string[], end: boolean): void {
    if (this.#closed) return
    const block = this.#encoder.encode(fields)
    const most = this.#peer.maxFrameSize
    const ended = end ? Flag.endStream : 0
    if (block.length <= most) {
      this.#output.frame(FrameType.headers, ended | Flag.endHeaders, stream.id, block)
      return
    }
    this.#output.frame(FrameType.headers, ended, stream.id, block.subarray(0, most))
    for (let at = most; at < block.length; at += most) {
      const last = at + most >= block.length
      this.#output.frame(FrameType.continuation, last ? Flag.endHeaders : 0, stream.id, block.subarray(at, at + most))
    }
  }

  sendData(stream: Http2Stream, data: Buffer, end: boolean): number {
    if (this.#closed) return 0
    let sent = 0
    for (;;) {
      const left = data.length - sent
      const size = Math.max(0, Math.min(left, this.#sendWindow, stream.sendWindow, this.#peer.maxFrameSize))
      const last = size === left
      if (size === 0 && !(last && end)) return sent
      this.#sendWindow -= size
      stream.sendWindow -= size
      const flags = last && end ? Flag.endStream : 0
      this.#output.frame(FrameType.data, flags, stream.id, data.subarray(sent, sent + size))
      sent += size
      if (last) return sent
    }
  }

  sendReset(stream: Http2Stream, code: ErrorCode): void {
    if (!this.#closed) this.#output.numbers(FrameType.resetStream, stream.id, code)
    this.#streams.delete(stream.id)
    this.#givenUp.add(stream.id)
    if (this.#givenUp.size <= MOST_GIVEN_UP) return
    for (const oldest of this.#givenUp) {
      this.#givenUp.delete(oldest)
      return
    }
  }

  forget(stream: Http2Stream): void {
    if (stream.remoteEnded && stream.localEnded && stream.flushed) this.#streams.delete(stream.id)
  }

  #open(id: number): Http2Stream {
    const stream = new Http2Stream(id, this.#peer.initialWindow, this.#limits.streamWindow, this)
    this.#streams.set(id, stream)
    return stream
  }

  /** False, always: what follows is not read. */
  #fail(code: ErrorCode, reason: string): false {
    if (this.#closed) return false
    this.#output.numbers(FrameType.goAway, 0, this.#lastPeer, code)
    this.#output.flush()
    this.#close(code, reason)
    return false
  }

  #close(code: ErrorCode, reason: string): void {
    if (this.#closed) return
    this.#closed = true
    for (const stream of this.#streams.values()) {
      stream.drop()
      stream.events?.reset(code, reason)
    }
    this.#streams.clear()
    this.#events.closed(code, reason)
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): boolean {
    if (!this.#settled) {
      // RFC 9113, section 3.4.
      if (type !== FrameType.settings || (flags & Flag.ack) !== 0)
        return this.#protocolError('SETTINGS are not the first')
      this.#settled = true
    }
    if (this.#block !== null && (type !== FrameType.continuation || id !== this.#block.stream)) {
      return this.#protocolError('a list of fields is interrupted')
    }
    switch (type) {
      case FrameType.data:
        return this.#data(flags, id, payload)
      case FrameType.headers:
        return this.#headers(flags, id, payload)
      case FrameType.priority:
        return this.#priority(id, payload)
      case FrameType.resetStream:
        return this.#resetStream(id, payload)
      case FrameType.settings:
        return this.#settings(flags, id, payload)
      case FrameType.pushPromise:
        return this.#protocolError('PUSH_PROMISE was not allowed')
      case FrameType.ping:
        return this.#ping(flags, id, payload)
      case FrameType.goAway:
        return this.#goAway(id, payload)
      case FrameType.windowUpdate:
        return this.#windowUpdate(id, payload)
      case FrameType.continuation:
        return this.#continuation(flags, id, payload)
      default:
        // RFC 9113, section 5.5: unknown ones are ignored, though not in any number.
        return this.#spend()
    }
  }

  #protocolError(reason: string): false {
    return this.#fail(ErrorCode.protocolError, reason)
  }

  #spend(): boolean {
    return this.#control.spend() || this.#fail(ErrorCode.enhanceYourCalm, 'too many frames that are no message')
  }

  /** Without padding; null when that is longer than the frame. */
  #unpadded(flags: number, payload: Buffer): Buffer | null {
    if ((flags & Flag.padded) === 0) return payload
    const padding = payload[0]
    if (padding === undefined || padding + 1 > payload.length) return null
    return payload.subarray(1, payload.length - padding)
  }

  #isIdle(id: number): boolean {
    const own = id % 2 === (this.#role === 'client' ? 1 : 0)
    return id > (own ? this.#lastOwn : this.#lastPeer)
  }

  #data(flags: number, id: number, payload: Buffer): boolean {
    if (id === 0 || this.#isIdle(id)) return this.#protocolError('DATA for no stream')
    this.#receiveWindow -= payload.length
    if (this.#receiveWindow < 0) return this.#fail(ErrorCode.flowControlError, 'DATA beyond the window')
    const body = this.#unpadded(flags, payload)
    if (body === null) return this.#protocolError('padding is longer than its frame')
    const ended = (flags & Flag.endStream) !== 0
    if (body.length === 0 && !ended && !this.#spend()) return false
    this.#refillConnection()
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      // What was on its way when this side gave the stream up is nobody's fault.
      if (!this.#givenUp.has(id)) this.#output.numbers(FrameType.resetStream, id, ErrorCode.streamClosed)
      return this.#spend()
    }
    if (stream.remoteEnded) return this.#streamError(stream, ErrorCode.streamClosed, 'DATA behind the end')
    if (!stream.begun) return this.#streamError(stream, ErrorCode.protocolError, 'DATA before the fields')
    stream.receiveWindow -= payload.length
    if (stream.receiveWindow < 0) return this.#streamError(stream, ErrorCode.flowControlError, 'DATA beyond the window')
    if (stream.promised >= 0) {
      stream.promised -= body.length
      if (stream.promised < 0 || (ended && stream.promised > 0)) {
        return this.#streamError(stream, ErrorCode.protocolError, 'the body is not as long as content-length says')
      }
    }
    if (ended) stream.remoteEnded = true
    else this.#refill(stream)
    stream.events?.data(body, ended)
    if (ended) this.forget(stream)
    return !this.#closed
  }

  /** Half of a window is given back at once. What is read goes to whoever bounds it. */
  #refill(stream: Http2Stream): void {
    const whole = this.#limits.streamWindow
    if (stream.receiveWindow > whole / 2) return
    this.#output.numbers(FrameType.windowUpdate, stream.id, whole - stream.receiveWindow)
    stream.receiveWindow = whole
  }

  #refillConnection(): void {
    const whole = this.#limits.connectionWindow
    if (this.#receiveWindow > whole / 2) return
    this.#output.numbers(FrameType.windowUpdate, 0, whole - this.#receiveWindow)
    this.#receiveWindow = whole
  }

  #headers(flags: number, id: number, payload: Buffer): boolean {
    if (id === 0) return this.#protocolError('HEADERS for no stream')
    const unpadded = this.#unpadded(flags, payload)
    if (unpadded === null) return this.#protocolError('padding is longer than its frame')
    let block = unpadded
    if ((flags & Flag.priority) !== 0) {
      if (unpadded.length < 5) return this.#fail(ErrorCode.frameSizeError, 'a priority is cut off')
      if ((readUint32(unpadded, 0) & 0x7fff_ffff) === id) return this.#protocolError('a stream depends on itself')
      block = unpadded.subarray(5)
    }
    if ((flags & Flag.endHeaders) !== 0) return this.#fields(id, flags, block)
    this.#block = { stream: id, flags, parts: [Buffer.from(block)], size: block.length }
    return true
  }

  #continuation(flags: number, id: number, payload: Buffer): boolean {
    const block = this.#block
    if (block === null) return this.#protocolError('CONTINUATION of nothing')
    block.parts.push(Buffer.from(payload))
    block.size += payload.length
    if (block.size > this.#limits.headerList || block.parts.length > MOST_PARTS) {
      return this.#fail(ErrorCode.enhanceYourCalm, 'a list of fields is too long')
    }
    if ((flags & Flag.endHeaders) === 0) return true
    this.#block = null
    return this.#fields(id, block.flags, Buffer.concat(block.parts))
  }

  #fields(id: number, flags: number, block: Buffer): boolean {
    const decoded = this.#decoder.decode(block)
    if (decoded.kind === 'broken') return this.#fail(ErrorCode.compressionError, decoded.reason)
    const ended = (flags & Flag.endStream) !== 0
    const known = this.#streams.get(id)
    if (known === undefined && this.#role === 'server' && this.#isIdle(id)) return this.#begin(id, decoded, ended)
    if (known === undefined) {
      if (this.#isIdle(id) || this.#role === 'server') {
        return this.#fail(ErrorCode.streamClosed, 'HEADERS for a stream that is over or none')
      }
      // An answer to what was reset.
      return this.#spend()
    }
    if (known.remoteEnded) return this.#streamError(known, ErrorCode.streamClosed, 'HEADERS behind the end')
    if (decoded.kind === 'tooLarge') return this.#streamError(known, ErrorCode.enhanceYourCalm, 'too many fields')
    return known.begun ? this.#trailers(known, decoded.fields, ended) : this.#response(known, decoded.fields, ended)
  }

  #begin(id: number, decoded: ReturnType<HpackDecoder['decode']>, ended: boolean): boolean {
    if (id % 2 === 0) return this.#protocolError('a client began a stream of the server')
    this.#lastPeer = id
    if (this.#goingAway) return true
    this.#begun++
    this.#control.earn(EARNED)
    const stream = this.#open(id)
    if (this.#streams.size > this.#limits.streams) {
      return this.#streamError(stream, ErrorCode.refusedStream, 'too many streams')
    }
    if (decoded.kind !== 'fields') return this.#streamError(stream, ErrorCode.enhanceYourCalm, 'too many fields')
    const { fields } = decoded
    const malformed = checkRequest(fields) ?? this.#expect(stream, fields, ended)
    if (malformed !== null) return this.#streamError(stream, ErrorCode.protocolError, malformed)
    stream.begun = true
    stream.remoteEnded = ended
    this.#events.request(stream, fields, ended)
    if (ended) this.forget(stream)
    return !this.#closed
  }

  #response(stream: Http2Stream, fields: readonly string[], ended: boolean): boolean {
    const malformed = checkResponse(fields)
    if (malformed !== null) return this.#streamError(stream, ErrorCode.protocolError, malformed)
    // Those are not the response yet (RFC 9110, section 15.2).
    if (fields[1]?.startsWith('1')) {
      if (ended) return this.#streamError(stream, ErrorCode.protocolError, 'an interim response is the last')
      return this.#spend()
    }
    const wrong = this.#expect(stream, fields, ended)
    if (wrong !== null) return this.#streamError(stream, ErrorCode.protocolError, wrong)
    stream.begun = true
    stream.remoteEnded = ended
    stream.events?.fields(fields, ended)
    if (ended) this.forget(stream)
    return !this.#closed
  }

  #trailers(stream: Http2Stream, fields: readonly string[], ended: boolean): boolean {
    const malformed = ended ? checkTrailers(fields) : 'fields in the middle of a body'
    if (malformed !== null) return this.#streamError(stream, ErrorCode.protocolError, malformed)
    if (stream.promised > 0) {
      return this.#streamError(stream, ErrorCode.protocolError, 'the body is not as long as content-length says')
    }
    stream.remoteEnded = true
    stream.events?.trailers(fields)
    this.forget(stream)
    return !this.#closed
  }

  /** What `content-length` promises of the body; why it is malformed, or null. */
  #expect(stream: Http2Stream, fields: readonly string[], ended: boolean): string | null {
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== 'content-length') continue
      const value = fields[i + 1] as string
      const length = /^[0-9]{1,15}$/.test(value) ? Number(value) : -1
      if (length < 0 || (stream.promised >= 0 && stream.promised !== length)) return 'content-length is no length'
      stream.promised = length
    }
    return ended && this.#role === 'server' && stream.promised > 0 ? 'a body is promised and there is none' : null
  }

  #priority(id: number, payload: Buffer): boolean {
    if (id === 0) return this.#protocolError('PRIORITY for no stream')
    if (payload.length !== 5) return this.#fail(ErrorCode.frameSizeError, 'a PRIORITY of another length')
    if ((readUint32(payload, 0) & 0x7fff_ffff) === id) return this.#protocolError('a stream depends on itself')
    return this.#spend()
  }

  #resetStream(id: number, payload: Buffer): boolean {
    if (id === 0 || this.#isIdle(id)) return this.#protocolError('RST_STREAM for no stream')
    if (payload.length !== 4) return this.#fail(ErrorCode.frameSizeError, 'a RST_STREAM of another length')
    const stream = this.#streams.get(id)
    if (stream === undefined) return this.#spend()
    this.#streams.delete(id)
    stream.drop()
    stream.remoteEnded = true
    stream.events?.reset(readUint32(payload, 0) as ErrorCode, 'the peer gave it up')
    // Requests that are begun to be given up cost the server alone (CVE-2023-44487); Envoy's rule.
    this.#cut++
    if (this.#role === 'server' && this.#cut >= MOST_CUT && this.#cut * 2 > this.#begun) {
      return this.#fail(ErrorCode.enhanceYourCalm, 'most requests are given up by the client')
    }
    return !this.#closed
  }

  #settings(flags: number, id: number, payload: Buffer): boolean {
    if (id !== 0) return this.#protocolError('SETTINGS for a stream')
    if ((flags & Flag.ack) !== 0) {
      return payload.length === 0 ? this.#spend() : this.#fail(ErrorCode.frameSizeError, 'an acknowledgement says more')
    }
    const before = this.#peer
    const next = readSettings(before, payload)
    if (typeof next === 'number') return this.#fail(next, 'SETTINGS that cannot be')
    this.#peer = next
    this.#encoder.resize(next.tableSize)
    const change = next.initialWindow - before.initialWindow
    for (const stream of this.#streams.values()) {
      stream.sendWindow += change
      if (stream.sendWindow > LARGEST_WINDOW) return this.#fail(ErrorCode.flowControlError, 'a window is too large')
    }
    this.#output.frame(FrameType.settings, Flag.ack, 0, NOTHING)
    if (change > 0) for (const stream of [...this.#streams.values()]) stream.flush()
    return this.#spend()
  }

  #ping(flags: number, id: number, payload: Buffer): boolean {
    if (id !== 0) return this.#protocolError('PING for a stream')
    if (payload.length !== 8) return this.#fail(ErrorCode.frameSizeError, 'a PING of another length')
    if ((flags & Flag.ack) === 0) this.#output.frame(FrameType.ping, Flag.ack, 0, payload)
    return this.#spend()
  }

  #goAway(id: number, payload: Buffer): boolean {
    if (id !== 0) return this.#protocolError('GOAWAY for a stream')
    if (payload.length < 8) return this.#fail(ErrorCode.frameSizeError, 'a GOAWAY is cut off')
    this.#peerGoingAway = true
    const last = readUint32(payload, 0) & 0x7fff_ffff
    if (this.#role === 'client') {
      // The peer has not read these and will not: whoever asked may ask another.
      for (const stream of [...this.#streams.values()].filter((one) => one.id > last)) {
        this.#streams.delete(stream.id)
        stream.drop()
        stream.events?.reset(ErrorCode.refusedStream, 'the peer is going away')
      }
    }
    this.#events.goingAway(readUint32(payload, 4))
    return !this.#closed && this.#spend()
  }

  #windowUpdate(id: number, payload: Buffer): boolean {
    if (payload.length !== 4) return this.#fail(ErrorCode.frameSizeError, 'a WINDOW_UPDATE of another length')
    if (id !== 0 && this.#isIdle(id)) return this.#protocolError('WINDOW_UPDATE for no stream')
    const more = readUint32(payload, 0) & 0x7fff_ffff
    if (id === 0) {
      if (more === 0) return this.#protocolError('a window is raised by nothing')
      this.#sendWindow += more
      if (this.#sendWindow > LARGEST_WINDOW) return this.#fail(ErrorCode.flowControlError, 'a window is too large')
      for (const stream of [...this.#streams.values()]) if (this.#sendWindow > 0) stream.flush()
      return this.#spend()
    }
    const stream = this.#streams.get(id)
    if (stream === undefined) return this.#spend()
    if (more === 0) return this.#streamError(stream, ErrorCode.protocolError, 'a window is raised by nothing')
    stream.sendWindow += more
    if (stream.sendWindow > LARGEST_WINDOW) {
      return this.#streamError(stream, ErrorCode.flowControlError, 'a window is too large')
    }
    stream.flush()
    return this.#spend()
  }

  /** True where the connection goes on: a stream's fault is its own (RFC 9113, section 5.4.2). */
  #streamError(stream: Http2Stream, code: ErrorCode, reason: string): boolean {
    const { events } = stream
    stream.drop()
    this.sendReset(stream, code)
    events?.reset(code, reason)
    return !this.#closed && this.#spend()
  }
}

const NOTHING = new Uint8Array(0)
/** Frames of one list of fields. */
const MOST_PARTS = 32
/** What a request adds to the allowance. */
const EARNED = 8
/** Their last frames are under way for a moment only. */
const MOST_GIVEN_UP = 256
/** So many requests may be given up before their share counts. */
const MOST_CUT = 500
