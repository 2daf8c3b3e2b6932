import type { Decider } from '../policy/decider.ts'
import type { Decision, Phase } from '../policy/decision.ts'
import type { Facts } from '../policy/facts.ts'

/** What AUDIT and dry-run rules add to a decision. */
export type Watched = Pick<Decision, 'dryRun' | 'audit'>

export const NOTHING_WATCHED: Watched = {}

export function watch(decider: Decider, facts: Facts): Watched {
  const audit = decider.audit(facts)
  const dryRun = decider.dryRun(facts)
  if (!audit && dryRun === null) return NOTHING_WATCHED
  return { ...(dryRun === null ? {} : { dryRun }), ...(audit ? { audit } : {}) }
}

/** Envoy's response code details for an RBAC refusal. */
export function matchedPolicy(policy: string): string {
  return `rbac_access_denied_matched_policy[${policy.replace(/\s/g, '_')}]`
}

/** `status` is null for a connection. */
export function allowedDecision(status: number | null, provider: string | null, watched: Watched): Decision {
  return {
    decision: 'allow',
    status,
    body: null,
    phase: 'none',
    policy: null,
    details: null,
    ...(provider === null ? {} : { provider }),
    ...watched,
  }
}

/** A refusal without an answer. */
export function deniedConnection(phase: Phase, policy: string | null, details: string | null): Decision {
  return { decision: 'deny', status: null, body: null, phase, policy, details }
}
