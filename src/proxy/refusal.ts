import type { HeaderChange } from '../extauthz/check.ts'
import type { Decision, Phase } from '../policy/decision.ts'
import type { Outcome } from './authorize.ts'
import type { Watched } from './decisions.ts'
import { grpcReply, grpcStatusOf, type LocalReply } from './local-reply.ts'

/** What of a request's way so far shows in its refusal. */
export interface RefusedChain {
  readonly responseChanges: readonly HeaderChange[]
  /** The provider that was asked last. */
  readonly provider: string | null
  /** The Delegation that asked last. */
  readonly delegation: string | null
  readonly grpc: boolean
}

export interface RefusalReason {
  readonly phase: Phase
  readonly reply: LocalReply
  readonly details: string
  readonly policy: string | null
  readonly watched: Watched
}

/** A client that speaks gRPC is refused in gRPC. */
export function refusal(
  { responseChanges, provider, delegation, grpc }: RefusedChain,
  { phase, reply, details, policy, watched }: RefusalReason,
): Outcome {
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
