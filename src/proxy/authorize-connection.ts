import type { CheckOutcome } from '../extauthz/check.ts'
import type { Provider } from '../mesh/provider.ts'
import type { Decision } from '../policy/decision.ts'
import { Facts } from '../policy/facts.ts'
import type { AuthorizedConnection, Policies } from './authorize.ts'
import { allowedDecision, deniedConnection, matchedPolicy, watch } from './decisions.ts'
import { failsOpen } from './provider-reply.ts'

/**
 * Envoy's network filter chain as Istio builds it: CUSTOM, AUDIT, DENY, ALLOW. No answer is given on a refusal, so a
 * decision is all there is. An HTTP provider is never asked about a TCP connection, as in Istio.
 */
export async function authorizeConnection(
  connection: AuthorizedConnection,
  policies: Policies,
  time: number,
  signal: AbortSignal,
  asked: (provider: Provider, outcome: CheckOutcome) => void,
): Promise<Decision> {
  const facts = Facts.ofConnection(connection.facts)
  const { decider, providers } = policies
  let provider: string | null = null
  const verdict = decider.custom(facts)
  if (verdict.kind === 'deny') return deniedConnection('custom', verdict.policy, matchedPolicy(verdict.policy))
  if (verdict.kind === 'ask' && verdict.provider.kind === 'grpc') {
    provider = verdict.provider.name
    const client = providers.get(provider)
    const { source } = connection
    const destination = { ...connection.destination, service: connection.facts.sni }
    const outcome: CheckOutcome =
      client === undefined
        ? { kind: 'error', reason: 'unavailable', message: 'the provider has no client' }
        : await client.check({ source, destination, time, http: null }, signal)
    asked(verdict.provider, outcome)
    if (outcome.kind === 'allow' && outcome.metadata !== undefined) {
      facts.metadata = { 'envoy.filters.network.ext_authz': outcome.metadata }
    }
    const failedOpen = outcome.kind === 'error' && failsOpen(verdict.provider, outcome.reason)
    if (outcome.kind !== 'allow' && !failedOpen) {
      const details = outcome.kind === 'deny' ? 'ext_authz_denied' : 'ext_authz_error'
      return { ...deniedConnection('custom', null, details), provider }
    }
  }
  const watched = watch(decider, facts)
  const decided = decider.decide(facts)
  const extra = { ...(provider === null ? {} : { provider }), ...watched }
  return decided.kind === 'deny'
    ? { ...deniedConnection(decided.phase, decided.policy, matchedPolicy(decided.policy)), ...extra }
    : allowedDecision(null, provider, watched)
}
