import type { CheckClient, CheckRequest } from '../extauthz/check.ts'
import { failure } from '../extauthz/client/failure.ts'
import { DecisionCache } from '../extauthz/delegation/decision-cache.ts'
import { createProjection, type Projection } from '../extauthz/delegation/projection.ts'
import { Shadow } from '../extauthz/delegation/shadow.ts'
import type { DelegationOrder } from '../mesh/delegation.ts'
import type { Provider, RequestBodyLimit } from '../mesh/provider.ts'
import type { CompiledDelegation, DelegateIr } from '../policy/delegation.ts'
import type { Facts } from '../policy/facts.ts'

/** A Delegation with those whom it asks. */
export interface BoundDelegation {
  /** `NAMESPACE/NAME`. */
  readonly name: string
  readonly order: DelegationOrder
  readonly matches: (facts: Facts) => boolean
  readonly delegates: readonly Delegate[]
  readonly shadows: readonly ShadowDelegate[]
}

/** A provider that must allow. */
export interface Delegate {
  readonly provider: Provider
  readonly client: CheckClient
  readonly show: Projection
  /** Null: it is shown no body. */
  readonly body: RequestBodyLimit | null
  readonly cache: DecisionCache | null
}

export interface ShadowDelegate {
  readonly provider: Provider
  readonly shadow: Shadow
  readonly show: Projection
}

/**
 * Kept answers are the result's own, so that none outlives the configuration under which it was given. With `alone`
 * nothing is kept and no shadow is asked. Undefined without any Delegation.
 */
export function bindDelegations(
  delegations: readonly CompiledDelegation[],
  client: (provider: Provider) => CheckClient,
  { alone = false }: { readonly alone?: boolean } = {},
): readonly BoundDelegation[] | undefined {
  if (delegations.length === 0) return undefined
  return delegations.map(({ ir: { delegation, providers }, matches }) => ({
    name: `${delegation.meta.namespace}/${delegation.meta.name}`,
    order: delegation.order,
    matches,
    delegates: providers.filter(({ mode }) => mode === 'enforce').map((one) => delegateOf(one, client, alone)),
    shadows: alone ? [] : providers.flatMap((one) => (one.mode === 'shadow' ? shadowOf(one, client) : [])),
  }))
}

function delegateOf(
  { name, use, sees, cache }: DelegateIr,
  client: (provider: Provider) => CheckClient,
  alone: boolean,
): Delegate {
  if (use.kind === 'unusable') {
    return { provider: nobody(name), client: refusing(use.reason), show: whole, body: null, cache: null }
  }
  const { provider } = use
  return {
    provider,
    client: client(provider),
    show: sees === null ? whole : createProjection(sees),
    body: sees === null || sees.body ? provider.includeRequestBody : null,
    cache: cache === null || alone ? null : new DecisionCache(cache),
  }
}

/** One that cannot be asked is not: nothing depends on it. */
function shadowOf({ use, sees }: DelegateIr, client: (provider: Provider) => CheckClient): readonly ShadowDelegate[] {
  if (use.kind === 'unusable') return []
  const { provider } = use
  return [{ provider, shadow: new Shadow(client(provider)), show: sees === null ? snapshot : createProjection(sees) }]
}

/** What a CUSTOM policy would show. */
const whole: Projection = (request) => request

/** The same as it is now: the request's headers change as it goes on. */
const snapshot: Projection = ({ http, ...rest }): CheckRequest => ({
  ...rest,
  http: http === null ? null : { ...http, headers: http.headers.clone() },
})

/** In place of a provider that does not exist or cannot be used: it never fails open. */
function nobody(name: string): Provider {
  return {
    kind: 'grpc',
    name,
    service: '',
    port: 0,
    timeout: 0,
    failOpen: false,
    statusOnError: 403,
    includeRequestBody: null,
  }
}

function refusing(reason: string): CheckClient {
  return { check: async () => failure('unavailable', reason), close: async () => {} }
}
