import type * as http from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { fromBinary, fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf'
import { CheckRequestSchema, CheckResponseSchema } from '#src/proto/gen/envoy/service/auth/v3/external_auth_pb.ts'
import { lines, type Slot } from './slot.ts'
import type { GrpcAnswer, Json } from './spec.ts'

/** Envoy's gRPC protocol, by the script of the slot. */
export function answerGrpcCheck(slot: Slot, stream: ServerHttp2Stream): void {
  const chunks: Buffer[] = []
  let timer: NodeJS.Timeout | undefined
  stream.on('error', () => {})
  stream.on('close', () => clearTimeout(timer))
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => {
    slot.checks.push(describeCheck(Buffer.concat(chunks).subarray(5)))
    const { script } = slot
    if (script?.kind !== 'grpc') {
      respond(stream, { kind: 'status', code: 12 })
      return
    }
    if (script.delay === 0) respond(stream, script.answer)
    else timer = setTimeout(() => respond(stream, script.answer), script.delay)
  })
}

function respond(stream: ServerHttp2Stream, answer: GrpcAnswer): void {
  if (stream.destroyed) return
  const headers = { ':status': 200, 'content-type': 'application/grpc' }
  switch (answer.kind) {
    case 'status':
      stream.respond({ ...headers, 'grpc-status': String(answer.code) }, { endStream: true })
      return
    case 'close':
      stream.session?.destroy()
      return
    case 'silence':
      return
    case 'garbage':
    case 'message': {
      const body = answer.kind === 'garbage' ? Buffer.from('garbage') : encoded(answer.message)
      const prefix = Buffer.alloc(5)
      prefix.writeUInt32BE(body.length, 1)
      stream.respond(headers, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(Buffer.concat([prefix, body]))
      return
    }
    default:
      answer satisfies never
  }
}

function encoded(message: Json): Uint8Array {
  return toBinary(CheckResponseSchema, fromJson(CheckResponseSchema, message as JsonValue))
}

/** What a check says of the request, without what differs from one run to the next. */
function describeCheck(bytes: Uint8Array): unknown {
  const { attributes } = fromBinary(CheckRequestSchema, bytes)
  const http = attributes?.request?.http
  const { principal = '' } = attributes?.source ?? {}
  if (http === undefined || http === null) return { principal }
  const headers = Object.entries(http.headers)
    .filter(([name]) => !UNSTABLE.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const { method, path, host, scheme, query, fragment, protocol, body } = http
  const rawBody = Buffer.from(http.rawBody).toString('latin1')
  return { principal, method, path, host, scheme, query, fragment, protocol, body, rawBody, headers }
}

/** Explain has no certificate whose hash it could tell. */
const UNSTABLE = new Set(['x-request-id', 'x-forwarded-client-cert', ':authority'])

/** And what frames the message. */
const FRAMING = new Set([...UNSTABLE, 'connection', 'transfer-encoding', 'content-length'])

/** The HTTP protocol: the request itself, with another target at times. */
export function answerHttpCheck(
  slot: Slot | undefined,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): void {
  const chunks: Buffer[] = []
  let timer: NodeJS.Timeout | undefined
  request.on('error', () => {})
  response.on('error', () => {})
  response.on('close', () => clearTimeout(timer))
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    if (slot === undefined) return
    const headers = lines(request.rawHeaders).filter(([name]) => !FRAMING.has(name))
    const body = Buffer.concat(chunks).toString('latin1')
    slot.checks.push({ method: request.method, target: request.url, headers: headers.sort(), body })
    const { script } = slot
    const send = () => {
      if (script?.kind !== 'http' || script.answer.kind === 'close') {
        response.socket?.destroy()
        return
      }
      if (script.answer.kind === 'silence' || response.destroyed) return
      const { status, headers: given, body: text } = script.answer
      const framed = given.some(([name]) => name.toLowerCase() === 'content-length')
      const length = framed || status === 204 ? [] : ['content-length', String(text.length)]
      response.sendDate = false
      response.writeHead(status, [...given.flat(), ...length])
      response.end(status === 204 ? '' : text, 'latin1')
    }
    if (script === null || script.delay === 0) send()
    else timer = setTimeout(send, script.delay)
  })
}
