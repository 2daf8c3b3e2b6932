import type { CheckOutcome } from '../extauthz/check.ts'
import type { Provider } from '../mesh/provider.ts'
import type { Decision } from '../policy/decision.ts'
import { Facts } from '../policy/facts.ts'
import type { AuthorizedConnection, Policies } from './chain.ts'
import { allowedDecision, deniedConnection, matchedPolicy, watch } from './decisions.ts'
import { type DelegationEvents, delegate, NO_DELEGATION_EVENTS, type ShadowAnswer, tellShadows } from './delegate.ts'
import { failsOpen } from './fails-open.ts'
import { addMetadata, NETWORK_FILTER } from './provider-metadata.ts'

/**
 * Envoy's network filter chain as Istio builds it, with Delegations behind CUSTOM: then AUDIT, DENY, ALLOW. No answer is
 * given on a refusal, so a decision is all there is. A CUSTOM policy's HTTP provider is never asked about a TCP
 * connection, as in Istio; a Delegation's cannot be asked, and refuses.
 */
export async function authorizeConnection(
  connection: AuthorizedConnection,
  policies: Policies,
  time: number,
  signal: AbortSignal,
  asked: (provider: Provider, outcome: CheckOutcome) => void,
  events: DelegationEvents = NO_DELEGATION_EVENTS,
): Promise<Decision> {
  const facts = Facts.ofConnection(connection.facts)
  const { decider, providers } = policies
  // Where Envoy has the server name of a TCP connection.
  const destination = { ...connection.destination, service: connection.facts.sni }
  let provider: string | null = null
  const verdict = decider.custom(facts)
  if (verdict.kind === 'deny') return deniedConnection('custom', verdict.policy, matchedPolicy(verdict.policy))
  if (verdict.kind === 'ask' && verdict.provider.kind === 'grpc') {
    provider = verdict.provider.name
    const client = providers.get(provider)
    const { source } = connection
    const outcome: CheckOutcome =
      client === undefined
        ? { kind: 'error', reason: 'unavailable', message: 'the provider has no client' }
        : await client.check({ source, destination, time, http: null }, signal)
    asked(verdict.provider, outcome)
    const refusal = refusalOf(verdict.provider, outcome)
    if (refusal !== null) return refusal
    addMetadata(facts, NETWORK_FILTER, outcome)
  }
  let shadows: readonly ShadowAnswer[] = []
  const tell = (decision: Decision) => {
    tellShadows(shadows, '', decision, events)
    return decision
  }
  if (policies.delegations !== undefined) {
    const { source } = connection
    const delegated = await delegate<Decision>(policies.delegations, {
      claims: null,
      now: Date.now,
      facts: () => facts,
      question: () => ({ source, destination, time, http: null }),
      readBody: async () => ({ kind: 'read', body: null }),
      settle: (delegation, one, outcome) => {
        provider = one.name
        const refusal = refusalOf(one, outcome)
        addMetadata(facts, NETWORK_FILTER, outcome)
        return refusal === null ? null : { ...refusal, delegation }
      },
      asked,
      signal: () => signal,
      events,
    })
    shadows = delegated.shadows
    if (delegated.refusal !== null) return tell(delegated.refusal)
  }
  const watched = watch(decider, facts)
  const decided = decider.decide(facts)
  const extra = { ...(provider === null ? {} : { provider }), ...watched }
  return tell(
    decided.kind === 'deny'
      ? { ...deniedConnection(decided.phase, decided.policy, matchedPolicy(decided.policy)), ...extra }
      : allowedDecision(null, provider, watched),
  )
}

/** Null where the connection may go on. */
function refusalOf(provider: Provider, outcome: CheckOutcome): Decision | null {
  if (outcome.kind === 'allow') return null
  if (outcome.kind === 'error' && failsOpen(provider, outcome.reason)) return null
  const details = outcome.kind === 'deny' ? 'ext_authz_denied' : 'ext_authz_error'
  return { ...deniedConnection('custom', null, details), provider: provider.name }
}
