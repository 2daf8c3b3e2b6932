import type { Buffer } from 'node:buffer'
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { constants } from 'node:http2'
import type { CheckOutcome } from '../check.ts'
import { parseCheckResponse } from '../check-response.ts'
import { grpcStatus, MessageReader, printGrpcTimeout } from '../grpc-framing.ts'
import { failure } from './failure.ts'
import type { Opened } from './grpc-connection.ts'

const checkPath = '/envoy.service.auth.v3.Authorization/Check'

export interface Attempt {
  readonly authority: string
  /** Milliseconds. */
  readonly timeout: number
  /** The framed message. */
  readonly message: Buffer
}

/** `notProcessed`: the server says that it did nothing, or never saw the call, so that it can be made again. */
export type CallResult =
  | { readonly kind: 'answered'; readonly outcome: CheckOutcome }
  | { readonly kind: 'notProcessed' }

/** Where the call leaves its way to be cancelled. */
export interface Cancellable {
  cancel: (() => void) | null
}

/** Makes one call on an open connection. Resolves always: with the connection, the stream ends too. */
export function callCheck(
  opened: Extract<Opened, { kind: 'open' }>,
  attempt: Attempt,
  owner: Cancellable,
): Promise<CallResult> {
  let stream: ClientHttp2Stream
  try {
    stream = opened.session.request(callHeaders(opened.localAddress, attempt))
  } catch {
    // The connection has been closed since it was picked.
    return Promise.resolve({ kind: 'notProcessed' })
  }
  return new Promise((resolve) => {
    const response = new UnaryResponse()
    owner.cancel = () => {
      if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
    }
    stream.on('response', (headers) => response.headers(headers))
    stream.on('trailers', (headers) => response.trailers(headers))
    stream.on('data', (chunk: Buffer) => {
      if (!response.data(chunk)) stream.close(constants.NGHTTP2_CANCEL)
    })
    // What went wrong is told by the close that follows.
    stream.on('error', () => {})
    stream.once('close', () => {
      owner.cancel = null
      const neverSent = stream.id === undefined
      const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
      if (!response.begun && (neverSent || refused)) resolve({ kind: 'notProcessed' })
      else resolve({ kind: 'answered', outcome: response.outcome(stream.rstCode ?? 0) })
    })
    stream.end(attempt.message)
  })
}

function callHeaders(localAddress: string | undefined, { authority, timeout }: Attempt): Record<string, string> {
  return {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': checkPath,
    ':authority': authority,
    te: 'trailers',
    'content-type': 'application/grpc',
    'grpc-timeout': printGrpcTimeout(timeout),
    'x-envoy-internal': 'true',
    ...(localAddress === undefined ? {} : { 'x-forwarded-for': localAddress }),
    'x-envoy-expected-rq-timeout-ms': String(Math.ceil(timeout)),
  }
}

/** The parts of a unary response, and what they amount to. Anything but a whole answer with status 0 is a failure. */
class UnaryResponse {
  readonly #reader = new MessageReader()
  #headers: IncomingHttpHeaders | null = null
  #trailers: IncomingHttpHeaders | null = null
  #tooLarge = false

  get begun(): boolean {
    return this.#headers !== null
  }

  headers(headers: IncomingHttpHeaders): void {
    this.#headers = headers
  }

  trailers(headers: IncomingHttpHeaders): void {
    this.#trailers = headers
  }

  data(chunk: Buffer): boolean {
    if (!this.#tooLarge) this.#tooLarge = !this.#reader.push(chunk)
    return !this.#tooLarge
  }

  outcome(rstCode: number): CheckOutcome {
    const headers = this.#headers
    if (headers === null) return failure('unavailable', `the stream ended without an answer (code ${rstCode})`)
    if (this.#tooLarge) return failure('unavailable', 'the answer is too large')
    const httpStatus: unknown = headers[':status']
    if (httpStatus !== 200) return failure('unavailable', `the provider answered with HTTP status ${httpStatus}`)
    if (!/^application\/grpc(?:\+proto)?(?:;|$)/.test(headers['content-type'] ?? '')) {
      return failure('unavailable', 'the answer is not gRPC')
    }
    // A response without a message has its status among the headers.
    const status = (this.#trailers ?? headers)['grpc-status']
    if (status === undefined || (status === '0' && this.#trailers === null))
      return failure('unavailable', `the answer was cut short (code ${rstCode})`)
    if (status === String(grpcStatus.deadlineExceeded)) return failure('timeout', 'the provider ran out of time')
    if (status !== '0') return failure('unavailable', `RPC status ${printStatus(status)}`)
    const framing = this.#reader.finish()
    return framing.kind === 'message'
      ? parseCheckResponse(framing.message)
      : failure('unavailable', `the answer is not one message: ${framing.kind}`)
  }
}

function printStatus(status: string | string[]): string {
  return typeof status === 'string' && /^[0-9]{1,4}$/.test(status) ? status : 'malformed'
}
