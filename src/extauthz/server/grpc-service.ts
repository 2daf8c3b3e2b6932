import { Buffer } from 'node:buffer'
import { grpcStatus } from '../grpc-framing.ts'
import { encodeVerdict } from './encode-verdict.ts'
import type { GrpcCall, GrpcHandler, GrpcReply } from './grpc-transport.ts'
import type { Judge } from './judge.ts'
import { readCheckRequest } from './message-request.ts'
import type { Verdict } from './verdict.ts'

export const checkPath = '/envoy.service.auth.v3.Authorization/Check'

/** Envoy's authorization service. */
export function createCheckService(judge: Judge): GrpcHandler {
  return {
    has: (path) => path === checkPath,
    handle: (call) => check(call, judge),
  }
}

function check(call: GrpcCall, judge: Judge): GrpcReply | Promise<GrpcReply> {
  const asked = readCheckRequest(asBuffer(call.message), call)
  if (asked.kind === 'malformed') return malformed
  if (asked.kind === 'nothing') return nothing
  const verdict = judge(asked)
  return verdict instanceof Promise ? verdict.then(reply) : reply(verdict)
}

const malformed: GrpcReply = { kind: 'status', status: grpcStatus.internal, text: 'the message is no CheckRequest' }
const nothing: GrpcReply = { kind: 'status', status: grpcStatus.invalidArgument, text: 'nothing is asked' }
const noAnswer: GrpcReply = { kind: 'status', status: grpcStatus.unavailable, text: 'there is no answer now' }

/** An error is not an answer with another code, which would deny: only a failed call lets the proxy's own rules decide. */
function reply(verdict: Verdict): GrpcReply {
  return verdict.kind === 'error' ? noAnswer : { kind: 'message', message: encodeVerdict(verdict) }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
