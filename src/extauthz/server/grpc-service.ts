import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { HeaderValueOptionSchema } from '../../proto/gen/envoy/config/core/v3/base_pb.js'
import { CheckRequestSchema, CheckResponseSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from '../../proto/gen/grpc/health/v1/health_pb.js'
import { grpcStatus } from '../grpc-framing.ts'
import type { Line, Verdict } from './answer.ts'
import type { GrpcCall, GrpcHandler, GrpcReply } from './grpc-transport.ts'
import type { Judge } from './judge.ts'
import { readCheckRequest } from './request.ts'

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
  let asked: ReturnType<typeof readCheckRequest>
  try {
    asked = readCheckRequest(fromBinary(CheckRequestSchema, call.message, { readUnknownFields: false }), call.signal)
  } catch {
    return { kind: 'status', status: grpcStatus.internal, text: 'the message is no CheckRequest' }
  }
  if (asked === null) return { kind: 'status', status: grpcStatus.invalidArgument, text: 'nothing is asked' }
  const verdict = judge(asked)
  return verdict instanceof Promise ? verdict.then(encodeVerdict) : encodeVerdict(verdict)
}

function encodeVerdict(verdict: Verdict): GrpcReply {
  if (verdict.kind === 'error') return { kind: 'status', status: grpcStatus.unavailable, text: 'no answer now' }
  const { metadata } = verdict
  const response = create(
    CheckResponseSchema,
    verdict.kind === 'allow'
      ? {
          status: { code: 0 },
          ...(Object.keys(metadata).length === 0 ? {} : { dynamicMetadata: metadata }),
          httpResponse: {
            case: 'okResponse',
            value: {
              headers: verdict.set.map((line) => option(line, false)),
              headersToRemove: [...verdict.remove],
              responseHeadersToAdd: [
                ...verdict.responseSet.map((line) => option(line, false)),
                ...verdict.responseAdd.map((line) => option(line, true)),
              ],
              queryParametersToSet: verdict.query.map(([key, value]) => ({ key, value })),
              queryParametersToRemove: [...verdict.removeQuery],
            },
          },
        }
      : {
          status: { code: rpcCode(verdict.status) },
          ...(Object.keys(metadata).length === 0 ? {} : { dynamicMetadata: metadata }),
          httpResponse: {
            case: 'deniedResponse',
            value: {
              status: { code: verdict.status },
              headers: verdict.headers.map((line) => option(line, false)),
              body: verdict.body,
            },
          },
        },
  )
  return { kind: 'message', message: toBinary(CheckResponseSchema, response) }
}

/** `append` is always said: what happens without it differs between versions of Envoy. */
function option([key, value]: Line, append: boolean): MessageInitShape<typeof HeaderValueOptionSchema> {
  return { header: { key, value }, append, keepEmptyValue: true }
}

/** The `google.rpc.Code` of a denial; anything but 0 denies. */
function rpcCode(status: number): number {
  switch (status) {
    case 400:
      return 3
    case 401:
      return 16
    case 404:
      return 5
    case 429:
      return 8
    case 500:
      return 13
    case 503:
      return 14
    default:
      return 7
  }
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
