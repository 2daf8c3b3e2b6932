import type { ErrorCode } from './frames.ts'

/** What becomes of a stream. After `reset`, or when both sides have ended, nothing more comes. */
export interface StreamEvents {
  /** A response's fields (a request's are there when the stream is). `ended`: nothing follows. */
  fields(fields: readonly string[], ended: boolean): void
  /** A part of the body, between `from` and `to`; may be empty when it is the last. */
  data(bytes: Buffer, from: number, to: number, ended: boolean): void
  trailers(fields: readonly string[]): void
  /** Ended by the peer, by a fault, or with the connection. */
  reset(code: ErrorCode, reason: string): void
}

/** What waits for the peer's windows. */
interface Waiting {
  data: Buffer
  /** What follows it: nothing yet, the end, or these fields and the end. */
  readonly after: 'more' | 'end' | readonly string[]
}

/** What a stream asks of its connection. */
export interface StreamOutput {
  /** How much the peer takes now, over all streams. */
  readonly window: number
  sendFields(stream: Http2Stream, fields: readonly string[], end: boolean): void
  /** Sends as much as the windows let through, and says how much. */
  sendData(stream: Http2Stream, data: Buffer, end: boolean): number
  sendReset(stream: Http2Stream, code: ErrorCode): void
  /** This side has ended too, or was reset. */
  forget(stream: Http2Stream): void
}

/** A request with its response. */
export class Http2Stream {
  readonly id: number
  /** Of the peer's window: may be negative (RFC 9113, section 6.9.2). */
  sendWindow: number
  receiveWindow: number
  events: StreamEvents | null = null
  remoteEnded = false
  localEnded = false
  /** Whether a response's first fields, or a request's, have come. */
  begun = false
  /** Octets of DATA that `content-length` still promises; -1 when it promises nothing. */
  promised = -1
  #waiting: Waiting[] = []
  #waitingSize = 0
  readonly #output: StreamOutput

  constructor(id: number, sendWindow: number, receiveWindow: number, output: StreamOutput) {
    this.id = id
    this.sendWindow = sendWindow
    this.receiveWindow = receiveWindow
    this.#output = output
  }

  /** Octets that wait for the peer's windows: whoever sends more is to look at it. */
  get waiting(): number {
    return this.#waitingSize
  }

  sendFields(fields: readonly string[], end = false): void {
    if (this.localEnded) return
    if (end) this.localEnded = true
    this.#output.sendFields(this, fields, end)
    if (end) this.#output.forget(this)
  }

  /** `data` is kept until it is sent. `after` it comes more, nothing, or these trailers. */
  send(data: Buffer, after: Waiting['after'] = 'more'): void {
    if (this.localEnded) return
    if (after !== 'more') this.localEnded = true
    if (this.#waiting.length === 0 && this.#sendAtOnce(data, after)) return
    this.#waiting.push({ data, after })
    this.#waitingSize += data.length
    this.flush()
  }

  /** Without waiting, which needs windows for all of it. */
  #sendAtOnce(data: Buffer, after: Waiting['after']): boolean {
    if (data.length > this.sendWindow || data.length > this.#output.window) return false
    this.#output.sendData(this, data, after === 'end')
    this.#follow(after)
    return true
  }

  #follow(after: Waiting['after']): void {
    if (typeof after !== 'string') this.#output.sendFields(this, after, true)
    if (after !== 'more') this.#output.forget(this)
  }

  /** Sends what the windows let through. */
  flush(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const sent = this.#output.sendData(this, first.data, first.after === 'end')
      this.#waitingSize -= sent
      if (sent < first.data.length) {
        first.data = first.data.subarray(sent)
        return
      }
      this.#waiting.shift()
      this.#follow(first.after)
    }
  }

  reset(code: ErrorCode): void {
    this.drop()
    this.#output.sendReset(this, code)
    this.#output.forget(this)
  }

  /** Nothing more is sent. */
  drop(): void {
    this.localEnded = true
    this.#waiting = []
    this.#waitingSize = 0
  }

  /** Whether all that was to be sent has been. */
  get flushed(): boolean {
    return this.#waiting.length === 0
  }
}
