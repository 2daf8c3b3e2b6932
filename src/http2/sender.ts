import { type Fault, fault } from './fault.ts'
import { DEFAULT_WINDOW, ErrorCode, Flag, FrameType, LARGEST_WINDOW } from './frames.ts'
import { HpackEncoder } from './hpack/encoder.ts'
import type { Misuse } from './misuse.ts'
import type { Output } from './output.ts'
import { defaultSettings, readSettings, type Settings } from './settings.ts'
import type { Http2Stream, StreamOutput } from './stream.ts'
import type { Streams } from './streams.ts'

/** Messages on their way to the peer, as its settings and windows let them through. */
export class Sender implements StreamOutput {
  readonly #output: Output
  readonly #streams: Streams
  readonly #misuse: Misuse
  readonly #encoder = new HpackEncoder()
  #peer: Settings = defaultSettings
  #window = DEFAULT_WINDOW
  #stopped = false

  constructor(output: Output, streams: Streams, misuse: Misuse) {
    this.#output = output
    this.#streams = streams
    this.#misuse = misuse
  }

  /** What the peer allows. */
  get peer(): Settings {
    return this.#peer
  }

  get window(): number {
    return this.#window
  }

  /** Nothing is sent any more. */
  stop(): void {
    this.#stopped = true
    this.#output.stop()
  }

  sendFields(stream: Http2Stream, fields: readonly string[], end: boolean): void {
    if (this.#stopped) return
    const block = this.#encoder.encode(fields)
    const most = this.#peer.maxFrameSize
    const ended = end ? Flag.endStream : 0
    if (block.length <= most) {
      this.#output.frame(FrameType.headers, ended | Flag.endHeaders, stream.id, block)
      return
    }
    this.#output.frame(FrameType.headers, ended, stream.id, block, 0, most)
    for (let at = most; at < block.length; at += most) {
      const to = Math.min(block.length, at + most)
      const flags = to === block.length ? Flag.endHeaders : 0
      this.#output.frame(FrameType.continuation, flags, stream.id, block, at, to)
    }
  }

  sendData(stream: Http2Stream, data: Buffer, end: boolean): number {
    if (this.#stopped) return 0
    let sent = 0
    for (;;) {
      const left = data.length - sent
      const size = Math.max(0, Math.min(left, this.#window, stream.sendWindow, this.#peer.maxFrameSize))
      const last = size === left
      if (size === 0 && !(last && end)) return sent
      this.#window -= size
      stream.sendWindow -= size
      this.#output.frame(FrameType.data, last && end ? Flag.endStream : 0, stream.id, data, sent, sent + size)
      sent += size
      this.#misuse.sent()
      if (last) return sent
    }
  }

  sendReset(stream: Http2Stream, code: ErrorCode): void {
    if (!this.#stopped) this.#output.numbers(FrameType.resetStream, stream.id, code)
    this.#streams.giveUp(stream.id)
  }

  forget(stream: Http2Stream): void {
    if (stream.remoteEnded && stream.localEnded && stream.flushed) this.#streams.delete(stream.id)
  }

  settings(payload: Buffer): Fault | null {
    const before = this.#peer
    const next = readSettings(before, payload)
    if (typeof next === 'number') return fault(next, 'SETTINGS that cannot be')
    this.#peer = next
    this.#encoder.resize(next.tableSize)
    const change = next.initialWindow - before.initialWindow
    const streams = this.#streams.all()
    for (const stream of streams) {
      stream.sendWindow += change
      if (stream.sendWindow > LARGEST_WINDOW) return tooLarge
    }
    this.#output.frame(FrameType.settings, Flag.ack, 0, NOTHING)
    if (change > 0) for (const stream of streams) stream.flush()
    return null
  }

  /** The peer takes so much more, over all streams. */
  widen(more: number): Fault | null {
    this.#window += more
    if (this.#window > LARGEST_WINDOW) return tooLarge
    for (const stream of this.#streams.all()) {
      if (this.#window <= 0) return null
      stream.flush()
    }
    return null
  }
}

const NOTHING = new Uint8Array(0)
const tooLarge = fault(ErrorCode.flowControlError, 'a window is too large')
