import type { IncomingMessage, ServerResponse } from 'node:http'
import { Gathered } from '../extauthz/gathered.ts'
import { discardRest } from '../extauthz/last-bytes.ts'
import type { RequestBodyLimit } from '../mesh/provider.ts'
import type { BufferedBody, ChainBody } from './chain.ts'

/** A request's body: parts of it may be shown to a provider before all of it is forwarded. */
export class RequestBody implements ChainBody {
  readonly present: boolean
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #contentLength: number | null
  #expectsContinue: boolean
  /** The whole body, when buffering came to its end. */
  #whole: Buffer | null = null
  #chunks: Chunks | null = null

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    contentLength: number | null,
    expectsContinue: boolean,
  ) {
    this.#request = request
    this.#response = response
    this.#contentLength = contentLength
    this.#expectsContinue = expectsContinue
    this.present = contentLength !== 0
  }

  /** Whether the client still waits to be told to send its body. */
  get awaitsContinue(): boolean {
    return this.#expectsContinue
  }

  async buffer(limit: RequestBodyLimit): Promise<BufferedBody> {
    const most = limit.maxRequestBytes
    const known = this.#contentLength
    if (!limit.allowPartialMessage && known !== null && known > most) return { kind: 'tooLarge' }
    // Another provider was shown it, and the stream has nothing more to give.
    if (this.#whole !== null) return shown(this.#whole, limit)
    this.#begin()
    const { bytes, ended, aborted } = await this.#read(limit.allowPartialMessage ? most : most + 1)
    if (aborted) return { kind: 'aborted' }
    if (ended) this.#whole = bytes
    else this.#request.unshift(bytes)
    if (bytes.length > most && !limit.allowPartialMessage) return { kind: 'tooLarge' }
    const partial = known === null ? !ended || bytes.length > most : known > most
    return { kind: 'read', body: { bytes: bytes.subarray(0, most), partial, received: bytes.length } }
  }

  /** What goes to the endpoint; null when there is no body. To be called once. */
  forward(): { readonly body: Uint8Array | AsyncIterable<Uint8Array> | null; readonly contentLength: number | null } {
    if (!this.present) return { body: null, contentLength: this.#contentLength }
    if (this.#whole !== null) return { body: this.#whole, contentLength: this.#whole.length }
    this.#begin()
    this.#chunks = new Chunks(this.#request)
    return { body: this.#chunks, contentLength: this.#contentLength }
  }

  /** After an answer that came before the body's end. */
  discard(): void {
    this.#chunks?.release()
    discardRest(this.#request)
  }

  #begin(): void {
    if (!this.#expectsContinue) return
    this.#expectsContinue = false
    this.#response.writeContinue()
  }

  #read(enough: number): Promise<{ bytes: Buffer; ended: boolean; aborted: boolean }> {
    const request = this.#request
    return new Promise((resolve) => {
      const gathered = new Gathered()
      let checking = false
      const done = (ended: boolean, aborted: boolean) => {
        request.off('data', data).off('end', end).off('close', close).off('error', close)
        request.pause()
        resolve({ bytes: gathered.octets, ended, aborted })
      }
      const data = (chunk: Buffer) => {
        gathered.add(chunk)
        if (gathered.length < enough || checking) return
        checking = true
        // Whether this was all is known when the parser is through with what it has.
        setImmediate(() => done(request.complete && request.readableLength === 0, false))
      }
      const end = () => done(true, false)
      const close = () => done(false, true)
      request.on('data', data).on('end', end).on('close', close).on('error', close)
    })
  }
}

function shown(whole: Buffer, { maxRequestBytes, allowPartialMessage }: RequestBodyLimit): BufferedBody {
  const partial = whole.length > maxRequestBytes
  if (partial && !allowPartialMessage) return { kind: 'tooLarge' }
  return { kind: 'read', body: { bytes: whole.subarray(0, maxRequestBytes), partial } }
}

/**
 * A body's chunks, each asked for when the one before has been taken. Node's own iterator would close the client's
 * connection, or hold the stream back for good, when an endpoint answers before the body's end.
 */
class Chunks implements AsyncIterableIterator<Uint8Array> {
  readonly #request: IncomingMessage
  readonly #read: Buffer[] = []
  #waiting: { resolve(result: IteratorResult<Uint8Array>): void; reject(error: Error): void } | null = null
  #failure: Error | null = null
  #ended = false

  constructor(request: IncomingMessage) {
    this.#request = request
    request.on('data', this.#data).on('end', this.#end).on('close', this.#closed).on('error', this.#failed)
    request.pause()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = this.#read.shift()
    if (chunk !== undefined) return Promise.resolve({ done: false, value: chunk })
    if (this.#failure !== null) return Promise.reject(this.#failure)
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#request.resume()
    })
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.release()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** Lets go of the stream, which stays as it is. */
  release(): void {
    this.#request.off('data', this.#data).off('end', this.#end).off('close', this.#closed).off('error', this.#failed)
    // Not an end: whoever still reads must not take what it has for the whole body.
    this.#failed(new Error('the body is no longer wanted'))
  }

  readonly #data = (chunk: Buffer): void => {
    if (this.#waiting === null) {
      this.#read.push(chunk)
      this.#request.pause()
      return
    }
    const { resolve } = this.#waiting
    this.#waiting = null
    this.#request.pause()
    resolve({ done: false, value: chunk })
  }

  readonly #end = (): void => {
    this.#ended = true
    this.#waiting?.resolve({ done: true, value: undefined })
    this.#waiting = null
  }

  readonly #failed = (error: Error): void => {
    if (this.#ended) return
    this.#failure = error
    this.#waiting?.reject(error)
    this.#waiting = null
  }

  readonly #closed = (): void => this.#failed(new Error('the client went away'))
}
