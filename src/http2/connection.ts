import { type Fault, fault, protocolError } from './fault.ts'
import {
  DEFAULT_FRAME_SIZE,
  ErrorCode,
  Flag,
  FrameReader,
  FrameType,
  LARGEST_WINDOW,
  PREFACE,
  readUint32,
} from './frames.ts'
import { type ConnectionLimits, defaultLimits } from './limits.ts'
import { Misuse } from './misuse.ts'
import { type Later, Output, type Write } from './output.ts'
import { Receiver, type TakeRequest } from './receiver.ts'
import { Sender } from './sender.ts'
import { writeSettings } from './settings.ts'
import type { Http2Stream, StreamEvents } from './stream.ts'
import { Streams } from './streams.ts'

export interface ConnectionEvents {
  /** Servers only. */
  readonly request: TakeRequest
  /** The peer wants no more streams here (`code`: why), or all ids are used: a client takes another connection. */
  goingAway(code: number): void
  /** The peer's SETTINGS have come, first ones or others: streams that it takes at a time. */
  settings?(maxStreams: number): void
  /** The last open stream has ended. */
  idle?(): void
  /** The last: nothing is read or written any more. */
  closed(code: ErrorCode, reason: string): void
}

export interface ConnectionOptions {
  readonly role: 'server' | 'client'
  readonly limits?: Partial<ConnectionLimits>
  /** Milliseconds that only go on. */
  readonly now: () => number
  readonly write: Write
  /** When frames that answer nothing that was just read are written; after the microtasks before it unless told. */
  readonly later?: Later
  readonly events: ConnectionEvents
}

/** One side of an HTTP/2 connection (RFC 9113), over anything that carries octets. */
export class Http2Connection {
  readonly #role: 'server' | 'client'
  readonly #events: ConnectionEvents
  readonly #output: Output
  readonly #streams: Streams
  readonly #sender: Sender
  readonly #receiver: Receiver
  readonly #misuse: Misuse
  readonly #reader: FrameReader
  readonly #lastStream: number
  /** Who waits for an answer to a PING, in turn. */
  readonly #pings: (() => void)[] = []
  /** Octets of the preface that are still to come. */
  #preface = 0
  #settled = false
  #goingAway = false
  #peerGoingAway = false
  #closed = false

  constructor({ role, limits: given, now, write, later = queueMicrotask, events }: ConnectionOptions) {
    const limits = { ...defaultLimits, ...given }
    this.#role = role
    this.#lastStream = limits.lastStream
    this.#events = events
    this.#output = new Output((bytes) => {
      this.#streams.written()
      return write(bytes)
    }, later)
    this.#streams = new Streams(role, () => events.idle?.())
    this.#misuse = new Misuse(now)
    this.#sender = new Sender(this.#output, this.#streams, this.#misuse)
    const { request } = events
    const parts = { output: this.#output, sender: this.#sender, streams: this.#streams, misuse: this.#misuse }
    this.#receiver = new Receiver({ role, limits, request, ...parts })
    this.#reader = new FrameReader(DEFAULT_FRAME_SIZE, (type, flags, id, bytes, from, to) =>
      this.#took(this.#frame(type, flags, id, bytes, from, to)),
    )
    if (role === 'client') this.#output.raw(PREFACE)
    else this.#preface = PREFACE.length
    const { streams: maxStreams, streamWindow: initialWindow, headerList: maxHeaderList } = limits
    this.#output.frame(FrameType.settings, 0, 0, writeSettings({ role, maxStreams, initialWindow, maxHeaderList }))
    this.#receiver.announce()
  }

  /** How many streams are open. */
  get open(): number {
    return this.#streams.size
  }

  streams(): readonly Http2Stream[] {
    return this.#streams.all()
  }

  /** Whether a client can begin another stream now. */
  get available(): boolean {
    return (
      !this.#closed &&
      !this.#goingAway &&
      !this.#peerGoingAway &&
      this.#streams.size < this.#sender.peer.maxStreams &&
      this.#streams.lastOwn + 2 <= this.#lastStream
    )
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Whether the peer's SETTINGS have come: it speaks HTTP/2. */
  get settled(): boolean {
    return this.#settled
  }

  /** What came from the socket. */
  receive(chunk: Buffer): void {
    if (this.#closed) return
    this.#output.hold()
    let from = 0
    if (this.#preface > 0) {
      from = Math.min(this.#preface, chunk.length)
      const place = PREFACE.length - this.#preface
      if (chunk.compare(PREFACE, place, place + from, 0, from) !== 0) {
        this.#fail(protocolError('the client does not speak HTTP/2'))
        return
      }
      this.#preface -= from
    }
    if (from < chunk.length && !this.#reader.read(chunk, from)) {
      this.#fail(fault(ErrorCode.frameSizeError, 'a frame is too long'))
    }
    this.#output.flush()
  }

  /** The socket has ended. */
  end(reason: string): void {
    this.#close(ErrorCode.noError, reason)
  }

  /** Begins a request; null where `available` is false. */
  request(fields: readonly string[], end: boolean, events: StreamEvents): Http2Stream | null {
    if (!this.available) return null
    this.#streams.lastOwn += 2
    this.#misuse.begun()
    if (this.#streams.lastOwn + 2 > this.#lastStream) {
      // Not before whoever asks has been answered.
      queueMicrotask(() => this.#events.goingAway(ErrorCode.noError))
    }
    const stream = this.#receiver.open(this.#streams.lastOwn)
    stream.events = events
    stream.sendFields(fields, end)
    return stream
  }

  /** `answered` is called once, when the peer has answered; never when the connection closes first. */
  ping(answered: () => void): void {
    if (this.#closed || this.#pings.length >= MOST_PINGS) return
    this.#pings.push(answered)
    this.#output.frame(FrameType.ping, 0, 0, PING)
  }

  /** Tells the peer to begin no more streams here; those that it begins all the same are still served. */
  announceGoAway(): void {
    if (!this.#goingAway && !this.#closed) this.#output.numbers(FrameType.goAway, 0, LARGEST_WINDOW, 0)
  }

  /** Begins no more streams and takes none; those that are open go on. */
  goAway(code: ErrorCode = ErrorCode.noError): void {
    if (this.#goingAway || this.#closed) return
    this.#goingAway = true
    this.#receiver.refuse()
    this.#output.numbers(FrameType.goAway, 0, this.#streams.lastServed, code)
  }

  /** Ends everything at once. */
  destroy(code: ErrorCode, reason: string): void {
    this.#fail({ code, reason })
  }

  /** Writes what has been gathered. */
  flush(): void {
    this.#output.flush()
  }

  #fail({ code, reason }: Fault): void {
    if (this.#closed) return
    this.#output.numbers(FrameType.goAway, 0, this.#streams.lastServed, code)
    this.#output.flush()
    this.#close(code, reason)
  }

  #close(code: ErrorCode, reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#sender.stop()
    this.#streams.end(code, reason)
    this.#events.closed(code, reason)
  }

  /** False ends the reading. */
  #took(fault: Fault | null): boolean {
    if (fault !== null) this.#fail(fault)
    return !this.#closed
  }

  #frame(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): Fault | null {
    if (!this.#settled) {
      // RFC 9113, section 3.4.
      if (type !== FrameType.settings || (flags & Flag.ack) !== 0) return protocolError('SETTINGS are not the first')
      this.#settled = true
    }
    const { unfinished } = this.#receiver
    if (unfinished !== null && (type !== FrameType.continuation || id !== unfinished)) {
      return protocolError('a list of fields is interrupted')
    }
    switch (type) {
      case FrameType.data:
        return this.#receiver.data(flags, id, bytes, from, to)
      case FrameType.headers:
        return this.#receiver.headers(flags, id, bytes, from, to)
      case FrameType.continuation:
        return this.#receiver.continuation(flags, bytes, from, to)
      case FrameType.windowUpdate:
        return this.#receiver.windowUpdate(id, bytes, from, to)
      case FrameType.priority:
        return this.#receiver.priority(id, bytes, from, to)
      case FrameType.resetStream:
        return this.#resetStream(id, bytes, from, to)
      case FrameType.settings:
        return this.#settings(flags, id, bytes.subarray(from, to))
      case FrameType.pushPromise:
        return protocolError('PUSH_PROMISE was not allowed')
      case FrameType.ping:
        return this.#ping(flags, id, bytes, from, to)
      case FrameType.goAway:
        return this.#goAway(id, bytes, from, to)
      default:
        // RFC 9113, section 5.5: unknown ones are ignored, though not in any number.
        return this.#misuse.control()
    }
  }

  #resetStream(id: number, bytes: Buffer, from: number, to: number): Fault | null {
    if (id === 0 || this.#streams.isIdle(id)) return protocolError('RST_STREAM for no stream')
    if (to - from !== 4) return fault(ErrorCode.frameSizeError, 'a RST_STREAM of another length')
    const stream = this.#streams.get(id)
    if (stream === undefined) return this.#misuse.control()
    this.#streams.delete(id)
    stream.drop()
    stream.remoteEnded = true
    stream.events?.reset(readUint32(bytes, from) as ErrorCode, 'the peer gave it up')
    return this.#role === 'server' ? this.#misuse.cut() : null
  }

  #settings(flags: number, id: number, payload: Buffer): Fault | null {
    if (id !== 0) return protocolError('SETTINGS for a stream')
    if ((flags & Flag.ack) !== 0) {
      if (payload.length > 0) return fault(ErrorCode.frameSizeError, 'an acknowledgement says more')
      return this.#misuse.control()
    }
    const wrong = this.#sender.settings(payload)
    if (wrong !== null) return wrong
    this.#events.settings?.(this.#sender.peer.maxStreams)
    return this.#misuse.control()
  }

  #ping(flags: number, id: number, bytes: Buffer, from: number, to: number): Fault | null {
    if (id !== 0) return protocolError('PING for a stream')
    if (to - from !== 8) return fault(ErrorCode.frameSizeError, 'a PING of another length')
    if ((flags & Flag.ack) === 0) this.#output.frame(FrameType.ping, Flag.ack, 0, bytes, from, to)
    else this.#pings.shift()?.()
    return this.#misuse.control()
  }

  #goAway(id: number, bytes: Buffer, from: number, to: number): Fault | null {
    if (id !== 0) return protocolError('GOAWAY for a stream')
    if (to - from < 8) return fault(ErrorCode.frameSizeError, 'a GOAWAY is cut off')
    this.#peerGoingAway = true
    const last = readUint32(bytes, from) & 0x7fff_ffff
    this.#events.goingAway(readUint32(bytes, from + 4))
    if (this.#role === 'client') {
      // The peer has not read these and will not: whoever asked may ask another.
      for (const stream of this.#streams.all().filter((one) => one.id > last)) {
        this.#streams.delete(stream.id)
        stream.drop()
        stream.events?.reset(ErrorCode.refusedStream, 'the peer is going away')
      }
    }
    return this.#misuse.control()
  }
}

const PING = new Uint8Array(8)
/** Unanswered ones of this side. */
const MOST_PINGS = 8
