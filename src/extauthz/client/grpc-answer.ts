import type { CheckOutcome } from '../check.ts'
import { parseCheckResponse } from '../check-response.ts'
import { grpcStatus, maxMessageBytes, readMessage } from '../grpc-framing.ts'
import { failure } from './failure.ts'
import type { UnaryAnswer } from './unary-connection.ts'

/** What an answer amounts to. */
export interface JudgedAnswer {
  readonly outcome: CheckOutcome
  /** Whether it says that the endpoint does not work, rather than what it thinks of the request. */
  readonly endpointFailed: boolean
}

/** RPC statuses that stand for a 4xx, so that they are no sign of an endpoint that is ill. */
const callersFault: ReadonlySet<string> = new Set(['1', '3', '5', '6', '7', '8', '9', '10', '11', '16'])

const contentType = /^application\/grpc(?:\+proto)?(?:;|$)/

/** Anything but a whole answer with status 0 is a failure of the check. */
export function judgeCheckAnswer(answer: UnaryAnswer): JudgedAnswer {
  const unary = readUnaryAnswer(answer)
  switch (unary.kind) {
    case 'message':
      return { outcome: parseCheckResponse(unary.message), endpointFailed: false }
    case 'status':
      if (unary.status === String(grpcStatus.deadlineExceeded)) {
        return { outcome: failure('timeout', 'the provider ran out of time'), endpointFailed: true }
      }
      return {
        outcome: failure('unavailable', `RPC status ${unary.status}`),
        endpointFailed: !callersFault.has(unary.status),
      }
    case 'broken':
      return { outcome: failure('unavailable', unary.message), endpointFailed: true }
    default:
      return unary satisfies never
  }
}

export type UnaryResponse =
  /** Status 0, and one message. */
  | { readonly kind: 'message'; readonly message: Uint8Array }
  /** Any other status; `malformed` for what is none. */
  | { readonly kind: 'status'; readonly status: string }
  /** No gRPC, cut short, or not one message. `message` is for logs. */
  | { readonly kind: 'broken'; readonly message: string }

export function readUnaryAnswer({ headers, trailers, body, tooLarge, code }: UnaryAnswer): UnaryResponse {
  if (tooLarge) return { kind: 'broken', message: 'the answer is too large' }
  const httpStatus = fieldOf(headers, ':status')
  if (httpStatus !== '200') return { kind: 'broken', message: `the provider answered with HTTP status ${httpStatus}` }
  if (!contentType.test(fieldOf(headers, 'content-type') ?? '')) {
    return { kind: 'broken', message: 'the answer is not gRPC' }
  }
  // A response without a message has its status among the headers.
  const status = fieldOf(trailers ?? headers, 'grpc-status')
  if (status === null || (status === '0' && trailers === null)) {
    return { kind: 'broken', message: `the answer was cut short (code ${code})` }
  }
  if (status !== '0') return { kind: 'status', status: /^[0-9]{1,4}$/.test(status) ? status : 'malformed' }
  const framing = readMessage(body, 0, body.length, maxMessageBytes)
  return framing.kind === 'message'
    ? framing
    : { kind: 'broken', message: `the answer is not one message: ${framing.kind}` }
}

/** Repeats are joined, so that a status that is told twice is none. */
function fieldOf(headers: readonly string[], name: string): string | null {
  let value: string | null = null
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue
    value = value === null ? (headers[i + 1] as string) : `${value}, ${headers[i + 1]}`
  }
  return value
}
