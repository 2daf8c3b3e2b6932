import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { HeaderValueOptionSchema } from '../../proto/gen/envoy/config/core/v3/base_pb.js'
import { CheckRequestSchema, CheckResponseSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { grpcStatus } from '../grpc-framing.ts'
import type { Line, Verdict } from './answer.ts'
import type { GrpcCall, GrpcHandler, GrpcReply } from './grpc-transport.ts'
import type { Judge } from './judge.ts'
import { readCheckRequest } from './request.ts'

export const checkPath = '/envoy.service.auth.v3.Authorization/Check'

/** Envoy's authorization service. */
export function createCheckService(judge: Judge): GrpcHandler {
  return {
    has: (path) => path === checkPath,
    handle: (call) => check(call, judge),
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
  const response = create(
    CheckResponseSchema,
    verdict.kind === 'allow'
      ? {
          status: { code: 0 },
          httpResponse: {
            case: 'okResponse',
            value: {
              headers: verdict.set.map((line) => option(line, false)),
              headersToRemove: [...verdict.remove],
              responseHeadersToAdd: [
                ...verdict.responseSet.map((line) => option(line, false)),
                ...verdict.responseAdd.map((line) => option(line, true)),
              ],
            },
          },
        }
      : {
          status: { code: rpcCode(verdict.status) },
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
