import { type Framing, grpcStatus } from '../grpc-framing.ts'
import type { GrpcRefusal } from './grpc-transport.ts'
import type { SplitProblem } from './message-splitter.ts'

/** What a caller is told of a message that cannot be read. */
export interface Unreadable {
  readonly why: GrpcRefusal
  readonly status: number
  readonly text: string
}

type Problem = Exclude<Framing['kind'], 'message'> | SplitProblem

/** `encoding` as the caller's `grpc-encoding` says, `identity` when it says nothing; `limit` in octets of a message. */
export function unreadable(problem: Problem, encoding: string, limit: number): Unreadable {
  switch (problem) {
    case 'compressed':
      return encoding === 'identity'
        ? { why: 'malformed', status: grpcStatus.internal, text: 'compressed without grpc-encoding' }
        : { why: 'malformed', status: grpcStatus.unimplemented, text: 'no compression is supported' }
    case 'tooLarge':
      return { why: 'size', status: grpcStatus.resourceExhausted, text: `message above ${limit} bytes` }
    case 'malformed':
      return { why: 'malformed', status: grpcStatus.internal, text: 'not one complete message' }
    default:
      return problem satisfies never
  }
}
