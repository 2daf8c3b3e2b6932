import type { Readable } from 'node:stream'
import type { Pool } from 'undici'
import { isIdempotent } from '../match/idempotent.ts'
import type { UpstreamExchange, UpstreamRequest, UpstreamSink } from './upstream.ts'
import { failureOf } from './upstream-failure.ts'

/** An answer that never began on a connection that the server had just closed may be asked for again. */
const MOST_ATTEMPTS = 3

/**
 * One request through undici. Its older handler form is used on purpose: it alone tells headers as they came, with
 * their order and duplicates, and without building an object for each answer.
 */
export class UndiciExchange implements UpstreamExchange {
  readonly #pool: Pool
  readonly #request: UpstreamRequest
  readonly #sink: UpstreamSink
  readonly #finished: () => void
  #attempts = 0
  #abort: ((error?: Error) => void) | null = null
  #resume: (() => void) | null = null
  #begun = false
  #over = false

  constructor(pool: Pool, request: UpstreamRequest, sink: UpstreamSink, finished: () => void) {
    this.#pool = pool
    this.#request = request
    this.#sink = sink
    this.#finished = finished
  }

  dispatch(): void {
    this.#attempts++
    const { method, path, host, headers, body, contentLength } = this.#request
    const lines = ['host', host, ...headers]
    if (contentLength !== null && (contentLength > 0 || body !== null)) {
      lines.push('content-length', String(contentLength))
    }
    try {
      // undici takes any async iterable as a body, though its types do not say so.
      this.#pool.dispatch({ method, path, headers: lines, body: body as Readable | null }, this)
    } catch (error) {
      this.onError(error as Error)
    }
  }

  resume(): void {
    this.#resume?.()
  }

  cancel(): void {
    if (!this.#end()) return
    this.#abort?.(new Error('the client went away'))
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    if (this.#over) abort(new Error('the client went away'))
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, reason: string): boolean {
    if (this.#over) return false
    this.#resume = resume
    // Interim answers (RFC 9110, 15.2) are dropped: no expectation is ever forwarded that would need one.
    if (status < 200) return true
    this.#begun = true
    this.#sink.onHead(status, reason, latin1(headers))
    return true
  }

  onData(chunk: Buffer): boolean {
    return this.#over ? false : this.#sink.onData(chunk)
  }

  onComplete(trailers: string[] | null): void {
    if (this.#end()) this.#sink.onEnd(trailers === null ? [] : latin1(trailers as unknown as Buffer[]))
  }

  onError(error: Error): void {
    if (this.#over) return
    const failure = failureOf(error)
    const again = !this.#begun && failure.reason === 'reset' && this.#attempts < MOST_ATTEMPTS
    if (again && this.#request.body === null && isIdempotent(this.#request.method)) {
      this.dispatch()
      return
    }
    this.#end()
    this.#sink.onFailure(failure)
  }

  /** True the first time. */
  #end(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#finished()
    return true
  }
}

function latin1(raw: readonly (Buffer | string)[]): string[] {
  const lines: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    lines.push((raw[i] as Buffer).toString('latin1').toLowerCase(), (raw[i + 1] as Buffer).toString('latin1'))
  }
  return lines
}
