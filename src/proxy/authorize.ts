import type { RequestAuthenticator } from '../authn/authentication.ts'
import type { CheckBody, CheckClient, CheckOutcome, CheckPeer, CheckRequest, HeaderChange } from '../extauthz/check.ts'
import type { HeaderList } from '../extauthz/client/header-list.ts'
import { applyChanges } from '../extauthz/header-changes.ts'
import type { HeaderMap } from '../match/header-map.ts'
import type { IpAddress } from '../match/ip.ts'
import type { Provider, RequestBodyLimit } from '../mesh/provider.ts'
import type { Decider } from '../policy/decider.ts'
import type { Decision, Phase } from '../policy/decision.ts'
import { ACCESS_DENIED } from '../policy/decision.ts'
import type { ConnectionFacts } from '../policy/facts.ts'
import { Facts } from '../policy/facts.ts'
import { allowedDecision, matchedPolicy, NOTHING_WATCHED, watch } from './decisions.ts'
import {
  type DelegationEvents,
  type DelegationStage,
  delegate,
  NO_DELEGATION_EVENTS,
  type ReadBody,
  tellShadows,
} from './delegate.ts'
import type { BoundDelegation } from './delegations.ts'
import { failsOpen } from './fails-open.ts'
import type { LocalReply } from './local-reply.ts'
import { isGrpcRequest, textReply } from './local-reply.ts'
import { addMetadata, HTTP_FILTER } from './provider-metadata.ts'
import { denial, failure } from './provider-reply.ts'
import { refusal } from './refusal.ts'
import { changeRequestLine } from './request-line.ts'
import { nextStreamId } from './stream-id.ts'

/** What enforces one workload at one moment. A reload makes new ones; a request keeps those it began with. */
export interface Policies {
  readonly decider: Decider
  /** Null without RequestAuthentication. */
  readonly authenticator: RequestAuthenticator | null
  /** By provider name. A provider without a client counts as unavailable. */
  readonly providers: ReadonlyMap<string, CheckClient>
  /** Absent without any. */
  readonly delegations?: readonly BoundDelegation[] | undefined
  /** Headers that only a provider sets: a client's own are removed before anything looks at them. Absent: none. */
  readonly providerHeaders?: HeaderList
}

/** A connection as policies and providers see it. */
export interface AuthorizedConnection {
  readonly facts: ConnectionFacts
  readonly source: CheckPeer
  readonly destination: CheckPeer
}

/** A request on its way through the chain. Stages change it in place: headers, and at times target and host. */
export interface ChainRequest {
  readonly connection: AuthorizedConnection
  readonly id: string
  /** When it began, in milliseconds since the epoch. */
  readonly time: number
  method: string
  /** The normalized target with its query. */
  path: string
  host: string
  readonly scheme: string
  readonly protocol: string
  readonly headers: HeaderMap
  readonly remoteIp: IpAddress
  readonly body: ChainBody
  /** Whether it will be answered with anything but 404: no provider is asked about what leads nowhere. */
  readonly routed: boolean
  /** Aborts when the client goes away. Asked for only when somebody waits. */
  signal(): AbortSignal
}

export interface ChainBody {
  /** False when the request has none by its framing. */
  readonly present: boolean
  /** Reads what a provider is shown; what was read is still forwarded. */
  buffer(limit: RequestBodyLimit): Promise<BufferedBody>
}

export type BufferedBody =
  | { readonly kind: 'read'; readonly body: CheckBody }
  | { readonly kind: 'tooLarge' }
  | { readonly kind: 'aborted' }

export type Outcome =
  | { readonly kind: 'permitted'; readonly permit: Permit; readonly decision: Decision }
  | {
      readonly kind: 'refused'
      readonly reply: LocalReply
      /** A provider that allowed before a later stage refused may have set answer headers: Envoy applies them. */
      readonly responseChanges: readonly HeaderChange[]
      readonly decision: Decision
    }

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
 * Envoy's HTTP filter chain as Istio builds it. Synchronous unless a provider, a key or an unknown token's
 * signature has to be waited for. `asked`
 * hears of each provider's answer, for metrics, and `events` of what Delegations do besides.
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

interface Chain {
  readonly request: ChainRequest
  readonly policies: Policies
  readonly asked: (provider: Provider, outcome: CheckOutcome) => void
  readonly events: DelegationEvents
  facts: Facts
  responseChanges: readonly HeaderChange[]
  provider: string | null
  /** The one at whose turn it is, or was last, as `NAMESPACE/NAME`. */
  delegation: string | null
  /** As the client sent it: what a provider changes does not count (Envoy decides it at the head). */
  readonly grpc: boolean
}

const NO_CHANGES: readonly HeaderChange[] = []

function next<T, R>(value: T | Promise<T>, then: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(then) : then(value)
}

/** 1. CUSTOM rules, and the provider that they name. */
function custom(chain: Chain): Outcome | null | Promise<Outcome | null> {
  const verdict = chain.policies.decider.custom(chain.facts)
  switch (verdict.kind) {
    case 'pass':
      return null
    case 'deny':
      return refuseByPolicy(chain, 'custom', verdict.policy)
    case 'ask':
      return chain.request.routed ? ask(chain, verdict.provider) : null
    default:
      return unreachable(verdict)
  }
}

async function ask(chain: Chain, provider: Provider): Promise<Outcome | null> {
  chain.provider = provider.name
  const { includeRequestBody } = provider
  const read = includeRequestBody === null ? NOTHING_READ : await readBody(chain, includeRequestBody)
  if (read.kind === 'refused') return read.refusal
  const outcome = await check(chain, provider, read.body)
  chain.asked(provider, outcome)
  return settle(chain, provider, outcome)
}

const NOTHING_READ = { kind: 'read', body: null } as const

async function readBody(chain: Chain, limit: RequestBodyLimit): Promise<ReadBody<Outcome>> {
  const { body } = chain.request
  if (!body.present) return NOTHING_READ
  const buffered = await body.buffer(limit)
  switch (buffered.kind) {
    case 'read':
      return buffered
    case 'tooLarge': {
      const reply = textReply(413, 'Payload Too Large')
      return { kind: 'refused', refusal: refuse(chain, 'custom', reply, 'request_payload_too_large') }
    }
    case 'aborted':
      return {
        kind: 'refused',
        refusal: refuse(chain, 'custom', textReply(400, ''), 'downstream_remote_disconnect'),
      }
    default:
      return unreachable(buffered)
  }
}

/** Acts on a provider's answer; null when the request may go on. */
function settle(chain: Chain, provider: Provider, outcome: CheckOutcome): Outcome | null {
  const { request } = chain
  switch (outcome.kind) {
    case 'allow': {
      if (
        !applyChanges(request.headers, outcome.changes) ||
        !changeRequestLine(request, outcome.rewrite, outcome.queryChanges)
      ) {
        return refuse(chain, 'custom', textReply(500, ''), 'ext_authz_invalid')
      }
      // Envoy's filters see an answer in the opposite order: the changes of the first are made last.
      chain.responseChanges = [...outcome.responseChanges, ...chain.responseChanges]
      const { claims, metadata } = chain.facts
      chain.facts = Facts.ofRequest(request.connection.facts, request)
      chain.facts.claims = claims
      chain.facts.metadata = metadata
      addMetadata(chain.facts, HTTP_FILTER, outcome)
      return null
    }
    case 'deny': {
      const reply = denial(outcome)
      return reply === null
        ? refuse(chain, 'custom', textReply(500, ''), 'ext_authz_invalid')
        : refuse(chain, 'custom', reply, 'ext_authz_denied')
    }
    case 'error': {
      if (failsOpen(provider, outcome.reason)) return null
      const { reply, details } = failure(outcome, provider)
      return refuse(chain, 'custom', reply, details)
    }
    default:
      return unreachable(outcome)
  }
}

function check(chain: Chain, provider: Provider, body: CheckBody | null): CheckOutcome | Promise<CheckOutcome> {
  const client = chain.policies.providers.get(provider.name)
  if (client === undefined) return { kind: 'error', reason: 'unavailable', message: 'the provider has no client' }
  return client.check(questionOf(chain, body), chain.request.signal())
}

function questionOf({ request }: Chain, body: CheckBody | null): CheckRequest {
  const { method, path, host, scheme, protocol, headers, remoteIp, connection, time } = request
  const { source, destination } = connection
  const id = nextStreamId()
  return { source, destination, time, http: { id, method, path, host, scheme, protocol, headers, remoteIp, body } }
}

/** 2. The token, which leaves the request unless its rule forwards it. */
function authenticate(chain: Chain): Outcome | null | Promise<Outcome | null> {
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

function stageOf(chain: Chain): DelegationStage<Outcome> {
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

function refuseByPolicy(chain: Chain, phase: Phase, policy: string, watched = NOTHING_WATCHED): Outcome {
  return refuse(chain, phase, textReply(403, ACCESS_DENIED), matchedPolicy(policy), policy, watched)
}

function refuse(
  chain: Chain,
  phase: Phase,
  reply: LocalReply,
  details: string,
  policy: string | null = null,
  watched = NOTHING_WATCHED,
): Outcome {
  return refusal(chain, { phase, reply, details, policy, watched })
}

function unreachable(value: never): never {
  throw new Error(`unknown kind in ${JSON.stringify(value)}`)
}
