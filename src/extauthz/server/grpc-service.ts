import { Buffer } from 'node:buffer'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from '../../proto/gen/grpc/health/v1/health_pb.js'
import { grpcStatus } from '../grpc-framing.ts'
import { encodeVerdict } from './encode-verdict.ts'
import type { GrpcCall, GrpcHandler, GrpcReply } from './grpc-transport.ts'
import type { Judge } from './judge.ts'
import { readCheckRequest } from './message-request.ts'
import type { Verdict } from './verdict.ts'

export const checkPath = '/envoy.service.auth.v3.Authorization/Check'
const healthPath = '/grpc.health.v1.Health/Check'

/** The services that the health protocol knows by name; the empty name is the whole server. */
const services: ReadonlySet<string> = new Set(['', 'envoy.service.auth.v3.Authorization', 'grpc.health.v1.Health'])

/** Envoy's authorization service and the health service. `isServing` turns false when the server drains. */
export function createGrpcService(judge: Judge, isServing: () => boolean): GrpcHandler {
  return {
    has: (path) => path === checkPath || path === healthPath,
    handle: (call) => (call.path === checkPath ? check(call, judge) : health(call.message, isServing())),
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

function health(bytes: Uint8Array, serving: boolean): GrpcReply {
  let service: string
  try {
    service = fromBinary(HealthCheckRequestSchema, bytes).service
  } catch {
    return { kind: 'status', status: grpcStatus.internal, text: 'the message is no HealthCheckRequest' }
  }
  if (!services.has(service)) return { kind: 'status', status: grpcStatus.notFound, text: 'unknown service' }
  const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus
  const response = create(HealthCheckResponseSchema, { status: serving ? SERVING : NOT_SERVING })
  return { kind: 'message', message: toBinary(HealthCheckResponseSchema, response) }
}
