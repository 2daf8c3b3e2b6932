import { grpcStatus, parseGrpcTimeout } from '../grpc-framing.ts'
import type { CallContext } from './call-context.ts'
import type { GrpcHandler, GrpcRefusal, GrpcStreamingMethod } from './grpc-transport.ts'

/** What the fields of a request say of a call, before its message is looked at. */
export type CallHead =
  | {
      readonly kind: 'call'
      readonly path: string
      /** Milliseconds, or null when the caller waits for ever. */
      readonly timeout: number | null
      /** How the message would be compressed: `identity` when nothing is said. */
      readonly encoding: string
      /** Null: it is unary. */
      readonly method: GrpcStreamingMethod | null
    }
  | { readonly kind: 'http'; readonly status: number }
  | { readonly kind: 'grpc'; readonly status: number; readonly text: string; readonly why: GrpcRefusal }

/** The head of a call to a method that there is. */
export type AcceptedHead = Extract<CallHead, { kind: 'call' }>

/** `fields` are names and values in turn. */
export function readHead(fields: readonly string[], handler: GrpcHandler): CallHead {
  let method = ''
  let path = ''
  let contentType = ''
  let encoding = 'identity'
  let timeout: number | null | 'malformed' = null
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const value = fields[i + 1] as string
    switch (fields[i]) {
      case ':method':
        method = value
        break
      case ':path':
        path = value
        break
      case 'content-type':
        contentType = value
        break
      case 'grpc-encoding':
        encoding = value
        break
      case 'grpc-timeout':
        timeout = timeout === null ? (parseGrpcTimeout(value) ?? 'malformed') : 'malformed'
        break
      default:
    }
  }
  if (method !== 'POST') return { kind: 'http', status: 405 }
  if (!/^application\/grpc(?:\+proto)?(?:;|$)/.test(contentType)) return { kind: 'http', status: 415 }
  const unary = handler.has(path)
  const streaming = unary ? null : (handler.streaming?.(path) ?? null)
  if (!unary && streaming === null) {
    return { kind: 'grpc', status: grpcStatus.unimplemented, text: 'there is no such method', why: 'unknown_method' }
  }
  if (timeout === 'malformed') {
    return { kind: 'grpc', status: grpcStatus.internal, text: 'malformed grpc-timeout', why: 'malformed' }
  }
  return { kind: 'call', path, timeout, encoding, method: streaming }
}

/** What becomes of a call now: as its head says, unless there are too many. */
export function admit(head: CallHead, { calls, streamingCalls, limits }: CallContext): CallHead {
  if (calls >= limits.maxCalls) return TOO_MANY
  const streams = head.kind === 'call' && head.method !== null
  return streams && streamingCalls >= limits.maxStreamingCalls ? TOO_MANY_STREAMING : head
}

const TOO_MANY = overload('too many calls at a time')
const TOO_MANY_STREAMING = overload('too many streaming calls at a time')

function overload(text: string): CallHead {
  return { kind: 'grpc', status: grpcStatus.resourceExhausted, text, why: 'calls' }
}
