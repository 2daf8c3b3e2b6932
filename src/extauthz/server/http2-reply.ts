import { Buffer } from 'node:buffer'
import { ErrorCode } from '../../http2/frames.ts'
import type { Http2Stream, StreamEvents } from '../../http2/stream.ts'
import { encodeGrpcMessage, grpcStatus } from '../grpc-framing.ts'
import type { GrpcTransportLimits } from './grpc-transport.ts'

/** Streams that whoever sweeps looks at. */
export interface Expiring extends StreamEvents {
  expire(now: number, limits: GrpcTransportLimits): void
}

export const REPLY: readonly string[] = [':status', '200', 'content-type', 'application/grpc']

export function statusFields(status: number, text: string): readonly string[] {
  const fields = ['grpc-status', String(status)]
  return text === '' ? fields : [...fields, 'grpc-message', encodeGrpcMessage(text)]
}

/** A status without a message: trailers only. */
export function refuseCall(stream: Http2Stream, status: number, text: string, now: number): void {
  const fields = [...REPLY, ...statusFields(status, text)]
  if (status === grpcStatus.unimplemented) fields.push('grpc-accept-encoding', 'identity')
  refuseStream(stream, fields, now)
}

export function refuseHttp(stream: Http2Stream, status: number, now: number): void {
  stream.events = new Answered(stream, now)
  stream.sendFields([':status', String(status), 'content-type', 'text/plain'])
  stream.send(ONLY_GRPC, 'end')
}

const ONLY_GRPC = Buffer.from('gRPC only: POST with content-type application/grpc\n')

/**
 * Answered before the request was whole, or beyond the caller's windows. What still comes of the request is thrown away,
 * and its window is not refilled; a caller that does not end it, or leaves no room for the answer, is cut off in time.
 */
export class Answered implements Expiring {
  readonly #stream: Http2Stream
  readonly #begunAt: number

  constructor(stream: Http2Stream, now: number) {
    this.#stream = stream
    this.#begunAt = now
  }

  fields(): void {}
  data(): void {}
  trailers(): void {}
  reset(): void {}

  expire(now: number, { readTimeout }: GrpcTransportLimits): void {
    if (now - this.#begunAt <= readTimeout) return
    // RFC 9113, section 8.1: with a whole answer nothing is wrong, but the rest of the request is not wanted.
    this.#stream.reset(this.#stream.flushed ? ErrorCode.noError : ErrorCode.cancel)
  }
}

function refuseStream(stream: Http2Stream, fields: readonly string[], now: number): void {
  stream.events = new Answered(stream, now)
  stream.sendFields(fields, true)
}
