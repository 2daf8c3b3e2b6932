import type { HeaderChange } from '../extauthz/check.ts'
import { ACCESS_DENIED, type Decision, type Phase } from '../policy/decision.ts'
import { matchedPolicy, NOTHING_WATCHED } from './decisions.ts'
import { grpcReply, grpcStatusOf, type LocalReply, textReply } from './local-reply.ts'

export interface Refused {
  readonly kind: 'refused'
  readonly reply: LocalReply
  /** A provider that allowed before a later stage refused may have set answer headers: Envoy applies them. */
  readonly responseChanges: readonly HeaderChange[]
  readonly decision: Decision
}

/** What of a request's way so far shows in its refusal. */
export interface RefusedChain {
  readonly responseChanges: readonly HeaderChange[]
  /** The provider that was asked last. */
  readonly provider: string | null
  /** The Delegation that asked last. */
  readonly delegation: string | null
  readonly grpc: boolean
}

export function refuseByPolicy(chain: RefusedChain, phase: Phase, policy: string, watched = NOTHING_WATCHED): Refused {
  return refuse(chain, phase, textReply(403, ACCESS_DENIED), matchedPolicy(policy), policy, watched)
}

/** A client that speaks gRPC is refused in gRPC. `details` as Envoy's response code details. */
export function refuse(
  { responseChanges, provider, delegation, grpc }: RefusedChain,
  phase: Phase,
  reply: LocalReply,
  details: string,
  policy: string | null = null,
  watched = NOTHING_WATCHED,
): Refused {
  const text = typeof reply.body === 'string' ? reply.body : Buffer.from(reply.body).toString('latin1')
  const decision: Decision = {
    decision: 'deny',
    status: grpc ? 200 : reply.status,
    body: grpc ? '' : text,
    phase,
    policy,
    details,
    ...(provider === null ? {} : { provider }),
    ...(delegation === null || phase !== 'custom' ? {} : { delegation }),
    ...watched,
  }
  if (!grpc) return { kind: 'refused', reply, responseChanges, decision }
  const grpcStatus = grpcStatusOf(reply.status)
  const message = text === '' ? {} : { grpcMessage: text }
  return {
    kind: 'refused',
    reply: grpcReply(grpcStatus, text, reply.headers),
    responseChanges,
    decision: { ...decision, grpcStatus, ...message },
  }
}
