import type { HeaderMap } from '../match/header-map.ts'

/** An answer that the proxy gives itself. Header names are lower-case; framing is the writer's. */
export interface LocalReply {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string | Uint8Array
}

export function textReply(status: number, body: string): LocalReply {
  return { status, headers: body === '' ? [] : [['content-type', 'text/plain']], body }
}

/** Envoy's test for a gRPC request: the media type itself or with a `+` suffix; grpc-web is none. */
export function isGrpcRequest(headers: HeaderMap): boolean {
  const type = headers.get('content-type')
  if (type === undefined || !type.startsWith('application/grpc')) return false
  return type.length === 16 || type.charCodeAt(16) === 0x2b
}

/** The gRPC status that Envoy gives to an HTTP status of its own. */
export function grpcStatusOf(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return 13
    case 401:
      return 16
    case 403:
      return 7
    case 404:
      return 12
    case 429:
    case 502:
    case 503:
    case 504:
      return 14
    default:
      return 2
  }
}

/** A refusal for a gRPC client: trailers-only, HTTP 200, the body as the message. */
export function grpcReply(status: number, message: string, headers: LocalReply['headers'] = []): LocalReply {
  const kept = headers.filter(([name]) => !REPLACED.has(name))
  const lines: [string, string][] = [
    ['content-type', 'application/grpc'],
    ['grpc-status', String(status)],
  ]
  if (message !== '') lines.push(['grpc-message', encodeGrpcMessage(message)])
  return { status: 200, headers: [...kept.map(([n, v]): [string, string] => [n, v]), ...lines], body: '' }
}

const REPLACED = new Set(['content-type', 'grpc-status', 'grpc-message'])

/** gRPC's percent-encoding: `%` and what is not printable ASCII. `message` holds bytes as Latin-1. */
function encodeGrpcMessage(message: string): string {
  return message.replace(
    /[^\x20-\x24\x26-\x7e]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}
