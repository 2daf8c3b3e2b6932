import { setMaxListeners } from 'node:events'
import type { CheckBody, CheckOutcome, CheckRequest } from '../extauthz/check.ts'
import { cacheKey } from '../extauthz/delegation/cache-key.ts'
import type { CacheEvent } from '../extauthz/delegation/decision-cache.ts'
import type { Provider, RequestBodyLimit } from '../mesh/provider.ts'
import type { Decision } from '../policy/decision.ts'
import type { Claims, Facts } from '../policy/facts.ts'
import type { BoundDelegation, Delegate } from './delegations.ts'
import { failsOpen } from './fails-open.ts'

/** What Delegations tell of themselves, for metrics and logs. `delegation` is `NAMESPACE/NAME`. */
export interface DelegationEvents {
  cache(delegation: string, provider: Provider, event: CacheEvent): void
  /** `outcome` is null when the shadow was not asked, because too many questions were under way. */
  shadow(delegation: string, provider: Provider, outcome: CheckOutcome | null, id: string, decision: Decision): void
}

export const NO_DELEGATION_EVENTS: DelegationEvents = { cache() {}, shadow() {} }

/** The request or connection that Delegations ask about, and what becomes of it; `R` is a refusal. */
export interface DelegationStage<R> {
  readonly claims: Claims | null
  /** Milliseconds since the epoch. */
  now(): number
  /** As the request is now. */
  facts(): Facts
  /** What a provider would be asked with nothing withheld, as the request is now. */
  question(body: CheckBody | null): CheckRequest
  readBody(delegation: string, provider: Provider, limit: RequestBodyLimit): Promise<ReadBody<R>>
  /** Acts on an answer; null when the request may go on. */
  settle(delegation: string, provider: Provider, outcome: CheckOutcome): R | null
  asked(provider: Provider, outcome: CheckOutcome): void
  signal(): AbortSignal
  readonly events: DelegationEvents
}

export type ReadBody<R> =
  | { readonly kind: 'read'; readonly body: CheckBody | null }
  | { readonly kind: 'refused'; readonly refusal: R }

/** A shadow that was asked, or dropped (null). */
export interface ShadowAnswer {
  readonly delegation: string
  readonly provider: Provider
  readonly outcome: Promise<CheckOutcome> | null
}

export interface Delegated<R> {
  /** Null: all have allowed. */
  readonly refusal: R | null
  readonly shadows: readonly ShadowAnswer[]
}

/** Asks all Delegations that a request concerns, one after the other, until one refuses. */
export async function delegate<R>(
  delegations: readonly BoundDelegation[],
  stage: DelegationStage<R>,
): Promise<Delegated<R>> {
  const shadows: ShadowAnswer[] = []
  for (const delegation of delegations) {
    if (!delegation.matches(stage.facts())) continue
    for (const { provider, shadow, show } of delegation.shadows) {
      const outcome = shadow.ask(show(stage.question(null), stage.claims))
      shadows.push({ delegation: delegation.name, provider, outcome })
    }
    const asking = new Asking(delegation, stage)
    const refusal = await (delegation.order === 'inOrder' ? asking.inOrder() : asking.atOnce())
    if (refusal !== null) return { refusal, shadows }
  }
  return { refusal: null, shadows }
}

/** Tells of shadows beside what was decided, as their answers come. */
export function tellShadows(
  shadows: readonly ShadowAnswer[],
  id: string,
  decision: Decision,
  events: DelegationEvents,
): void {
  for (const { delegation, provider, outcome } of shadows) {
    if (outcome === null) events.shadow(delegation, provider, null, id, decision)
    else void outcome.then((answer) => events.shadow(delegation, provider, answer, id, decision))
  }
}

function isRefusal(provider: Provider, outcome: CheckOutcome): boolean {
  switch (outcome.kind) {
    case 'allow':
      return false
    case 'deny':
      return true
    case 'error':
      return !failsOpen(provider, outcome.reason)
    default:
      return outcome satisfies never
  }
}

/** One Delegation about one request. */
class Asking<R> {
  readonly #delegation: BoundDelegation
  readonly #stage: DelegationStage<R>

  constructor(delegation: BoundDelegation, stage: DelegationStage<R>) {
    this.#delegation = delegation
    this.#stage = stage
  }

  async inOrder(): Promise<R | null> {
    for (const one of this.#delegation.delegates) {
      const read = await this.#readBody(one)
      if (read.kind === 'refused') return read.refusal
      const outcome = await this.#ask(one, this.#stage.question(read.body), this.#stage.signal())
      const refusal = this.#stage.settle(this.#delegation.name, one.provider, outcome)
      if (refusal !== null) return refusal
    }
    return null
  }

  /** Answers are looked at as they are listed, so that the same answers give the same decision whoever is faster. */
  async atOnce(): Promise<R | null> {
    const { delegates, name } = this.#delegation
    const bodies: (CheckBody | null)[] = []
    for (const one of delegates) {
      const read = await this.#readBody(one)
      if (read.kind === 'refused') return read.refusal
      bodies.push(read.body)
    }
    const others = new AbortController()
    const signal = AbortSignal.any([this.#stage.signal(), others.signal])
    // Each question listens to it; Node takes more than ten for a leak.
    setMaxListeners(0, signal)
    const answers = delegates.map(async (one, i) =>
      this.#ask(one, this.#stage.question(bodies[i] as CheckBody | null), signal),
    )
    // Behind a refusal nobody waits for the others: an exception of theirs must not end the process.
    for (const answer of answers) answer.catch(() => {})
    const outcomes: CheckOutcome[] = []
    for (const [i, { provider }] of delegates.entries()) {
      const outcome = await (answers[i] as Promise<CheckOutcome>)
      if (isRefusal(provider, outcome)) {
        others.abort()
        return this.#stage.settle(name, provider, outcome)
      }
      outcomes.push(outcome)
    }
    for (const [i, { provider }] of delegates.entries()) {
      const refusal = this.#stage.settle(name, provider, outcomes[i] as CheckOutcome)
      if (refusal !== null) return refusal
    }
    return null
  }

  #readBody({ provider, body }: Delegate): Promise<ReadBody<R>> | ReadBody<R> {
    return body === null ? NO_BODY : this.#stage.readBody(this.#delegation.name, provider, body)
  }

  #ask(
    { provider, client, show, cache }: Delegate,
    question: CheckRequest,
    signal: AbortSignal,
  ): CheckOutcome | Promise<CheckOutcome> {
    const { claims, events } = this.#stage
    const shown = show(question, claims)
    const ask = async (until: AbortSignal) => {
      const outcome = await client.check(shown, until)
      this.#stage.asked(provider, outcome)
      return outcome
    }
    if (cache === null) return ask(signal)
    const told = (event: CacheEvent) => events.cache(this.#delegation.name, provider, event)
    // As of now: the request may have begun long ago, and waited for its body or for other providers.
    return cache.check({ key: cacheKey(shown), life: lifeOf(claims, this.#stage.now()), ask, told }, signal)
  }
}

const NO_BODY = { kind: 'read', body: null } as const

/** Milliseconds that a token is still good for: what it says is not used beyond (RFC 7519, section 4.1.4). */
function lifeOf(claims: Claims | null, now: number): number {
  const exp = claims?.exp
  return typeof exp === 'number' ? exp * 1000 - now : Number.POSITIVE_INFINITY
}
