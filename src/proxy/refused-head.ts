import { HeaderMap } from '../match/header-map.ts'
import type { Decision } from '../policy/decision.ts'
import { deniedConnection } from './decisions.ts'
import { grpcReply, grpcStatusOf, isGrpcRequest, type LocalReply, textReply } from './local-reply.ts'
import type { RefusedHead } from './request-head.ts'

/** What Envoy's parser refuses is answered before anybody has asked whether the client speaks gRPC. */
function isParsers({ details }: RefusedHead): boolean {
  return details.startsWith('http1.') || details.startsWith('http.') || details === 'low_version'
}

/** Whether the answer to such a head is told in gRPC's way. */
export function refusesGrpc(head: RefusedHead, headers: HeaderMap): boolean {
  return !isParsers(head) && isGrpcRequest(headers)
}

/** As Node's parser tells headers. */
export function refusesRawGrpc(head: RefusedHead, rawHeaders: readonly string[]): boolean {
  return refusesGrpc(head, HeaderMap.fromRaw(rawHeaders))
}

export function refusedReply({ status, body }: RefusedHead, grpc: boolean): LocalReply {
  return grpc ? grpcReply(grpcStatusOf(status), body) : textReply(status, body)
}

export function refusedDecision({ status, body, details }: RefusedHead, grpc: boolean): Decision {
  const denied = deniedConnection('http', null, details)
  if (!grpc) return { ...denied, status, body }
  const grpcStatus = grpcStatusOf(status)
  return { ...denied, status: 200, body: '', grpcStatus, ...(body === '' ? {} : { grpcMessage: body }) }
}
