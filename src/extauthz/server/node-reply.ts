import { constants, type ServerHttp2Stream } from 'node:http2'
import { encodeGrpcMessage, frameMessage, grpcStatus } from '../grpc-framing.ts'
import type { GrpcReply } from './grpc-transport.ts'

export const replyHeaders = { ':status': 200, 'content-type': 'application/grpc' } as const

export function reply(stream: ServerHttp2Stream, answer: GrpcReply): void {
  if (stream.closed || stream.headersSent) return
  if (answer.kind === 'status') {
    refuse(stream, answer.status, answer.text)
    return
  }
  stream.respond(replyHeaders, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(frameMessage(answer.message))
}

/** A status without a message: trailers only. What the caller still sends is not wanted. */
export function refuse(stream: ServerHttp2Stream, status: number, text: string): void {
  if (stream.closed || stream.headersSent) return
  stream.respond(
    {
      ...replyHeaders,
      ...statusFields(status, text),
      ...(status === grpcStatus.unimplemented ? { 'grpc-accept-encoding': 'identity' } : {}),
    },
    { endStream: true },
  )
  discard(stream)
}

export function statusFields(status: number, text: string): Record<string, string> {
  return {
    'grpc-status': String(status),
    ...(text === '' ? {} : { 'grpc-message': encodeGrpcMessage(text) }),
  }
}

export function respondHttp(stream: ServerHttp2Stream, status: number): void {
  stream.respond({ ':status': status }, { endStream: true })
  discard(stream)
}

/** RFC 9113, section 8.1: a complete response before the request's end is followed by RST_STREAM(NO_ERROR). */
export function discard(stream: ServerHttp2Stream): void {
  stream.resume()
  if (stream.readableEnded) return
  // Node 22 drops the response when the stream is reset in the same turn, before its headers are on the wire.
  setImmediate(() => {
    if (!stream.closed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
  })
}
