import type { CheckOutcome } from '../extauthz/check.ts'
import type { Facts } from '../policy/facts.ts'

/** Under which names Envoy's filters keep what authorizers answer for later policies. */
export const HTTP_FILTER = 'envoy.filters.http.ext_authz'
export const NETWORK_FILTER = 'envoy.filters.network.ext_authz'

/** Of several answers the later ones' keys hold, as where several filters of one kind stand in a chain. */
export function addMetadata(facts: Facts, filter: string, outcome: CheckOutcome): void {
  if (outcome.kind !== 'allow' || outcome.metadata === undefined) return
  facts.metadata = { [filter]: Object.assign(Object.create(null), facts.metadata?.[filter], outcome.metadata) }
}
