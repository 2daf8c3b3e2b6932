import type { CheckOutcome, HeaderChange } from '../extauthz/check.ts'
import type { HeaderList } from '../extauthz/client/header-list.ts'
import type { HeaderMap } from '../match/header-map.ts'
import type { Provider } from '../mesh/provider.ts'
import type { Decision } from '../policy/decision.ts'
import { Facts } from '../policy/facts.ts'
import { askProvider, questionOf, readBody, settle } from './ask-provider.ts'
import type { Chain, ChainRequest, Policies } from './chain.ts'
import { allowedDecision, watch } from './decisions.ts'
import { type DelegationEvents, type DelegationStage, delegate, NO_DELEGATION_EVENTS, tellShadows } from './delegate.ts'
import type { BoundDelegation } from './delegations.ts'
import { isGrpcRequest, textReply } from './local-reply.ts'
import { type Refused, refuse, refuseByPolicy } from './refusal.ts'

export type Outcome = { readonly kind: 'permitted'; readonly permit: Permit; readonly decision: Decision } | Refused

// Filled by the class below, whose constructor nobody else can reach.
let grant: (request: PermittedRequest, responseChanges: readonly HeaderChange[], grpc: boolean) => Permit

/** What the forwarder demands. Nothing outside this module can make one. */
export class Permit {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly headers: HeaderMap
  readonly responseChanges: readonly HeaderChange[]
  /** Whether the client speaks gRPC: an answer of the proxy's own is then one of gRPC. */
  readonly grpc: boolean

  private constructor(request: PermittedRequest, responseChanges: readonly HeaderChange[], grpc: boolean) {
    this.method = request.method
    this.path = request.path
    this.host = request.host
    this.headers = request.headers
    this.responseChanges = responseChanges
    this.grpc = grpc
  }

  static {
    grant = (request, responseChanges, grpc) => new Permit(request, responseChanges, grpc)
  }
}

type PermittedRequest = Pick<ChainRequest, 'method' | 'path' | 'host' | 'headers'>

/** The way out of an application, which Istio never authorizes: the peer's sidecar does. */
export function permitEgress(request: PermittedRequest): Permit {
  return grant(request, NO_CHANGES, isGrpcRequest(request.headers))
}

/**
 * Envoy's HTTP filter chain as Istio builds it. Synchronous unless a provider, a key or an unknown token's signature has to
 * be waited for. `asked` hears of each provider's answer, for metrics, and `events` of what Delegations do besides.
 */
export function authorize(
  request: ChainRequest,
  policies: Policies,
  asked: (provider: Provider, outcome: CheckOutcome) => void,
  events: DelegationEvents = NO_DELEGATION_EVENTS,
): Outcome | Promise<Outcome> {
  if (policies.providerHeaders !== undefined) removeListed(request.headers, policies.providerHeaders)
  const chain: Chain = {
    request,
    policies,
    asked,
    events,
    facts: Facts.ofRequest(request.connection.facts, request),
    responseChanges: NO_CHANGES,
    provider: null,
    delegation: null,
    grpc: isGrpcRequest(request.headers),
  }
  return next(
    custom(chain),
    (refusal) => refusal ?? next(authenticate(chain), (late) => late ?? afterAuthentication(chain)),
  )
}

function removeListed(headers: HeaderMap, list: HeaderList): void {
  for (let i = headers.size - 1; i >= 0; i--) {
    // Several lines of one name go at once.
    if (i < headers.size && list(headers.nameAt(i))) headers.delete(headers.nameAt(i))
  }
}

const NO_CHANGES: readonly HeaderChange[] = []

function next<T, R>(value: T | Promise<T>, then: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(then) : then(value)
}

/** 1. CUSTOM rules, and the provider that they name. */
function custom(chain: Chain): Refused | null | Promise<Refused | null> {
  const verdict = chain.policies.decider.custom(chain.facts)
  switch (verdict.kind) {
    case 'pass':
      return null
    case 'deny':
      return refuseByPolicy(chain, 'custom', verdict.policy)
    case 'ask':
      return chain.request.routed ? askProvider(chain, verdict.provider) : null
    default:
      return unreachable(verdict)
  }
}

/** 2. The token, which leaves the request unless its rule forwards it. */
function authenticate(chain: Chain): Refused | null | Promise<Refused | null> {
  const { request, policies } = chain
  if (policies.authenticator === null) return null
  const { method, scheme, host, path, headers } = request
  return next(
    policies.authenticator.authenticate({ method, scheme, host, path, headers }, request.time),
    (authentication) => {
      switch (authentication.kind) {
        case 'accepted':
          request.path = authentication.path
          chain.facts.authenticated(authentication.path, authentication.claims)
          return null
        case 'rejected': {
          const { status, body, wwwAuthenticate, details } = authentication
          const reply = textReply(status, body)
          if (wwwAuthenticate === null) return refuse(chain, 'authn', reply, details)
          const headers = [...reply.headers, ['www-authenticate', wwwAuthenticate] as const]
          return refuse(chain, 'authn', { ...reply, headers }, details)
        }
        default:
          return unreachable(authentication)
      }
    },
  )
}

function afterAuthentication(chain: Chain): Outcome | Promise<Outcome> {
  const { delegations } = chain.policies
  return delegations === undefined ? decide(chain) : delegated(chain, delegations)
}

/** 3. Delegations, which see whom the token names. Shadows are told of once all is decided. */
async function delegated(chain: Chain, delegations: readonly BoundDelegation[]): Promise<Outcome> {
  const { request, events } = chain
  const { refusal: refused, shadows } = await delegate(delegations, stageOf(chain))
  const outcome = refused ?? decide(chain)
  tellShadows(shadows, request.id, outcome.decision, events)
  return outcome
}

function stageOf(chain: Chain): DelegationStage<Refused> {
  const { request, asked, events } = chain
  const name = (delegation: string, provider: Provider) => {
    chain.delegation = delegation
    chain.provider = provider.name
  }
  return {
    claims: chain.facts.claims,
    now: Date.now,
    facts: () => chain.facts,
    question: (body) => questionOf(chain, body),
    readBody: (delegation, provider, limit) => {
      name(delegation, provider)
      return readBody(chain, limit)
    },
    settle: (delegation, provider, outcome) => {
      name(delegation, provider)
      return settle(chain, provider, outcome)
    },
    asked,
    signal: () => request.signal(),
    events,
  }
}

/** 4. AUDIT and dry-run rules look on; 5. DENY and ALLOW decide. */
function decide(chain: Chain): Outcome {
  const { decider } = chain.policies
  const watched = watch(decider, chain.facts)
  const verdict = decider.decide(chain.facts)
  switch (verdict.kind) {
    case 'deny':
      return refuseByPolicy(chain, verdict.phase, verdict.policy, watched)
    case 'allow':
      return {
        kind: 'permitted',
        permit: grant(chain.request, chain.responseChanges, chain.grpc),
        decision: allowedDecision(200, chain.provider, watched),
      }
    default:
      return unreachable(verdict)
  }
}

function unreachable(value: never): never {
  throw new Error(`unknown kind in ${JSON.stringify(value)}`)
}
