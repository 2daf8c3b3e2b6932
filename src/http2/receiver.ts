import { type Fault, fault, protocolError } from './fault.ts'
import { FieldBlocks, type FieldList } from './field-blocks.ts'
import { DEFAULT_WINDOW, ErrorCode, Flag, FrameType, LARGEST_WINDOW, paddingStart, readUint32 } from './frames.ts'
import type { HeaderBlock } from './hpack/decoder.ts'
import type { ConnectionLimits } from './limits.ts'
import { checkRequest, checkResponse, checkTrailers } from './message-fields.ts'
import type { Misuse } from './misuse.ts'
import type { Output } from './output.ts'
import type { Sender } from './sender.ts'
import { Http2Stream } from './stream.ts'
import type { Streams } from './streams.ts'

/** A request has come whose fields are well formed: `stream.events` is to be set now. */
export type TakeRequest = (stream: Http2Stream, fields: readonly string[], ended: boolean) => void

export interface ReceiverParts {
  readonly role: 'server' | 'client'
  readonly limits: ConnectionLimits
  readonly output: Output
  readonly sender: Sender
  readonly streams: Streams
  readonly misuse: Misuse
  readonly request: TakeRequest
}

/**
 * Messages from the peer: lists of fields and bodies, in the order that RFC 9113, section 8.1, gives them, and the windows
 * for those of this side.
 */
export class Receiver {
  readonly #role: 'server' | 'client'
  readonly #limits: ConnectionLimits
  readonly #output: Output
  readonly #sender: Sender
  readonly #streams: Streams
  readonly #misuse: Misuse
  readonly #request: TakeRequest
  readonly #blocks: FieldBlocks
  #window: number
  /** The last lists that were found well formed: most callers send the same again. */
  #knownRequest: readonly string[] = []
  #knownResponse: readonly string[] = []
  #knownTrailers: readonly string[] = []
  /** No request is taken any more. */
  #refusing = false

  constructor({ role, limits, output, sender, streams, misuse, request }: ReceiverParts) {
    this.#role = role
    this.#limits = limits
    this.#output = output
    this.#sender = sender
    this.#streams = streams
    this.#misuse = misuse
    this.#request = request
    this.#blocks = new FieldBlocks(limits)
    this.#window = limits.connectionWindow
  }

  /** Gives the peer the windows of this side. */
  announce(): void {
    this.#output.numbers(FrameType.windowUpdate, 0, this.#limits.connectionWindow - DEFAULT_WINDOW)
  }

  get unfinished(): number | null {
    return this.#blocks.unfinished
  }

  refuse(): void {
    this.#refusing = true
  }

  open(id: number): Http2Stream {
    const stream = new Http2Stream(id, this.#sender.peer.initialWindow, this.#limits.streamWindow, this.#sender)
    this.#streams.add(stream)
    return stream
  }

  data(flags: number, id: number, bytes: Buffer, start: number, end: number): Fault | null {
    if (id === 0 || this.#streams.isIdle(id)) return protocolError('DATA for no stream')
    this.#window -= end - start
    if (this.#window < 0) return fault(ErrorCode.flowControlError, 'DATA beyond the window')
    let from = start
    let to = end
    if ((flags & Flag.padded) !== 0) {
      to = paddingStart(bytes, from, to)
      from++
      if (to < from) return protocolError('padding is longer than its frame')
    }
    const ended = (flags & Flag.endStream) !== 0
    if (from === to && !ended) {
      const flood = this.#misuse.control()
      if (flood !== null) return flood
    }
    this.#refillConnection()
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      // What was on its way when this side gave the stream up is nobody's fault.
      if (!this.#streams.wasGivenUp(id)) this.#output.numbers(FrameType.resetStream, id, ErrorCode.streamClosed)
      return this.#misuse.control()
    }
    if (stream.remoteEnded) return this.streamError(stream, ErrorCode.streamClosed, 'DATA behind the end')
    if (!stream.begun) return this.streamError(stream, ErrorCode.protocolError, 'DATA before the fields')
    stream.receiveWindow -= end - start
    if (stream.receiveWindow < 0) return this.streamError(stream, ErrorCode.flowControlError, 'DATA beyond the window')
    if (stream.promised >= 0) {
      stream.promised -= to - from
      if (stream.promised < 0 || (ended && stream.promised > 0)) return this.streamError(stream, ...WRONG_LENGTH)
    }
    if (ended) stream.remoteEnded = true
    else this.#refill(stream)
    stream.events?.data(bytes, from, to, ended)
    if (ended) this.#sender.forget(stream)
    return null
  }

  headers(flags: number, id: number, bytes: Buffer, from: number, to: number): Fault | null {
    if (id === 0) return protocolError('HEADERS for no stream')
    return this.#taken(this.#blocks.headers(id, flags, bytes, from, to))
  }

  continuation(flags: number, bytes: Buffer, from: number, to: number): Fault | null {
    return this.#taken(this.#blocks.continuation(flags, bytes, from, to))
  }

  priority(id: number, bytes: Buffer, from: number, to: number): Fault | null {
    if (id === 0) return protocolError('PRIORITY for no stream')
    if (to - from !== 5) return fault(ErrorCode.frameSizeError, 'a PRIORITY of another length')
    if ((readUint32(bytes, from) & 0x7fff_ffff) === id) return protocolError('a stream depends on itself')
    return this.#misuse.control()
  }

  windowUpdate(id: number, bytes: Buffer, from: number, to: number): Fault | null {
    if (to - from !== 4) return fault(ErrorCode.frameSizeError, 'a WINDOW_UPDATE of another length')
    if (id !== 0 && this.#streams.isIdle(id)) return protocolError('WINDOW_UPDATE for no stream')
    const more = readUint32(bytes, from) & 0x7fff_ffff
    if (id === 0) {
      if (more === 0) return protocolError('a window is raised by nothing')
      return this.#sender.widen(more) ?? this.#misuse.control()
    }
    const stream = this.#streams.get(id)
    if (stream === undefined) return this.#misuse.control()
    if (more === 0) return this.streamError(stream, ErrorCode.protocolError, 'a window is raised by nothing')
    stream.sendWindow += more
    if (stream.sendWindow > LARGEST_WINDOW) {
      return this.streamError(stream, ErrorCode.flowControlError, 'a window is too large')
    }
    stream.flush()
    return this.#misuse.control()
  }

  /** A stream's fault is its own (RFC 9113, section 5.4.2). */
  streamError(stream: Http2Stream, code: ErrorCode, reason: string): Fault | null {
    const { events } = stream
    stream.drop()
    this.#sender.sendReset(stream, code)
    events?.reset(code, reason)
    const cut = stream.begun && this.#role === 'server' ? this.#misuse.cut() : null
    return cut ?? this.#misuse.control()
  }

  /** Half of a window is given back at once. What is read goes to whoever bounds it; what is answered already, nowhere. */
  #refill(stream: Http2Stream): void {
    if (stream.localEnded && this.#role === 'server') return
    const whole = this.#limits.streamWindow
    if (stream.receiveWindow > whole / 2) return
    this.#output.numbers(FrameType.windowUpdate, stream.id, whole - stream.receiveWindow)
    stream.receiveWindow = whole
  }

  #refillConnection(): void {
    const whole = this.#limits.connectionWindow
    if (this.#window > whole / 2) return
    this.#output.numbers(FrameType.windowUpdate, 0, whole - this.#window)
    this.#window = whole
  }

  #taken(taken: Fault | FieldList | null): Fault | null {
    if (taken === null || 'code' in taken) return taken
    const { stream: id, decoded, ended } = taken
    const known = this.#streams.get(id)
    if (known === undefined && this.#role === 'server' && this.#streams.isIdle(id)) {
      return this.#begin(id, decoded, ended)
    }
    if (known === undefined) {
      if (this.#streams.isIdle(id) || this.#role === 'server') {
        return fault(ErrorCode.streamClosed, 'HEADERS for a stream that is over or none')
      }
      // An answer to what was reset.
      return this.#misuse.control()
    }
    if (known.remoteEnded) return this.streamError(known, ErrorCode.streamClosed, 'HEADERS behind the end')
    if (decoded.kind !== 'fields') return this.streamError(known, ErrorCode.enhanceYourCalm, 'too many fields')
    return known.begun ? this.#trailers(known, decoded.fields, ended) : this.#response(known, decoded.fields, ended)
  }

  #begin(id: number, decoded: HeaderBlock, ended: boolean): Fault | null {
    if (id % 2 === 0) return protocolError('a client began a stream of the server')
    this.#streams.lastPeer = id
    if (this.#refusing) {
      this.#streams.giveUp(id)
      return this.#misuse.control()
    }
    this.#streams.lastServed = id
    this.#misuse.begun()
    const stream = this.open(id)
    if (this.#streams.size > this.#limits.streams) {
      return this.streamError(stream, ErrorCode.refusedStream, 'too many streams')
    }
    if (decoded.kind !== 'fields') return this.streamError(stream, ErrorCode.enhanceYourCalm, 'too many fields')
    const { fields } = decoded
    if (fields !== this.#knownRequest) {
      const malformed = checkRequest(fields)
      if (malformed !== null) return this.streamError(stream, ErrorCode.protocolError, malformed)
      this.#knownRequest = fields
    }
    const malformed = this.#expect(stream, fields, ended)
    if (malformed !== null) return this.streamError(stream, ErrorCode.protocolError, malformed)
    stream.begun = true
    stream.remoteEnded = ended
    this.#request(stream, fields, ended)
    if (ended) this.#sender.forget(stream)
    return null
  }

  #response(stream: Http2Stream, fields: readonly string[], ended: boolean): Fault | null {
    if (fields !== this.#knownResponse) {
      const malformed = checkResponse(fields)
      if (malformed !== null) return this.streamError(stream, ErrorCode.protocolError, malformed)
      this.#knownResponse = fields
    }
    // Those are not the response yet (RFC 9110, section 15.2).
    if (fields[1]?.startsWith('1')) {
      if (ended) return this.streamError(stream, ErrorCode.protocolError, 'an interim response is the last')
      return this.#misuse.control()
    }
    const wrong = this.#expect(stream, fields, ended)
    if (wrong !== null) return this.streamError(stream, ErrorCode.protocolError, wrong)
    stream.begun = true
    stream.remoteEnded = ended
    stream.events?.fields(fields, ended)
    if (ended) this.#sender.forget(stream)
    return null
  }

  #trailers(stream: Http2Stream, fields: readonly string[], ended: boolean): Fault | null {
    if (!ended) return this.streamError(stream, ErrorCode.protocolError, 'fields in the middle of a body')
    if (fields !== this.#knownTrailers) {
      const malformed = checkTrailers(fields)
      if (malformed !== null) return this.streamError(stream, ErrorCode.protocolError, malformed)
      this.#knownTrailers = fields
    }
    if (stream.promised > 0) return this.streamError(stream, ...WRONG_LENGTH)
    stream.remoteEnded = true
    stream.events?.trailers(fields)
    this.#sender.forget(stream)
    return null
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
}

const WRONG_LENGTH = [ErrorCode.protocolError, 'the body is not as long as content-length says'] as const
