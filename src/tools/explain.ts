import type { RequestAuthenticator } from '../authn/authentication.ts'
import { createGivenClaims } from '../authn/given-claims.ts'
import type { KeySource } from '../authn/key-source.ts'
import { createRequestAuthenticator } from '../authn/request-authenticator.ts'
import { findTokens, prepareLocations } from '../authn/token-locations.ts'
import type { CheckClient } from '../extauthz/check.ts'
import { authorizationPoliciesFor, delegationsFor, jwtRulesFor, mtlsModeFor } from '../mesh/attach.ts'
import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { Provider } from '../mesh/provider.ts'
import { usableProvider } from '../mesh/providers.ts'
import { serviceOfHost } from '../mesh/registry.ts'
import type { JwtRule } from '../mesh/request-authentication.ts'
import type { TargetService } from '../mesh/service.ts'
import type { Workload } from '../mesh/workload.ts'
import { compile } from '../policy/compile.ts'
import type { Decider } from '../policy/decider.ts'
import type { Decision } from '../policy/decision.ts'
import { type CompiledDelegation, compileDelegation, lowerDelegation } from '../policy/delegation.ts'
import type { PolicyIr } from '../policy/ir.ts'
import { lower } from '../policy/lower.ts'
import { authorize } from '../proxy/authorize.ts'
import { authorizeConnection } from '../proxy/authorize-connection.ts'
import type { ChainRequest } from '../proxy/chain.ts'
import { deniedConnection } from '../proxy/decisions.ts'
import { bindDelegations } from '../proxy/delegations.ts'
import { refusedDecision, refusesGrpc } from '../proxy/refused-head.ts'
import { requestNotes } from './explain-notes.ts'
import { GivenProviders } from './given-providers.ts'
import { bodyOf, connectionOf, headOf } from './given-request.ts'
import { hasMaskedToken, passingMasked } from './masked.ts'
import { BOTH, isProblem, type RequestProblem, type TestHttpRequest, type TestRequest } from './request.ts'
import { type Trace, tracing } from './trace.ts'

export interface ExplainOptions {
  readonly mesh: Mesh
  readonly workload: Workload
  /** The workload's own port, for requests that name none; null when they all must. */
  readonly port: number | null
  readonly keys: KeySource
  /** Refuse requests unless every token that they present verifies, as `up` can. Default: as Envoy. */
  readonly strictTokens?: boolean
  /** Milliseconds since the epoch; what tokens are judged by. */
  readonly now: () => number
  /** Null: providers are not asked; their answers come with the request. */
  readonly ask: ((provider: Provider) => CheckClient) | null
  /** What decides; the compiled engine when absent. */
  readonly engine?: (ir: PolicyIr) => Decider
}

/** A decision with, on demand, how every rule fared. */
export interface Explanation {
  readonly id: string | number | null
  readonly decision: Decision
  readonly trace: Trace | null
  /** What whoever reads the decision should know besides, in the terms of the request. */
  readonly notes: readonly string[]
}

export interface Explainer {
  explain(request: TestRequest, options: { readonly trace: boolean }): Promise<Explanation | RequestProblem>
}

/**
 * Decides as the proxy would: the same head reader, filter chain and deciders, without a socket. What only a connection
 * could tell (its certificate, its addresses) comes from the request.
 */
export function createExplainer(options: ExplainOptions): Explainer {
  const forAll = prepare(options, null)
  // A waypoint's policies depend on the service that a request is for: as many as the files have, at most.
  const byService = new Map<string, Target>()
  const targetOf = (request: TestRequest): Target => {
    const service = serviceOf(options, request)
    if (service === null) return forAll
    const key = `${service.kind} ${service.namespace}/${service.name}`
    const known = byService.get(key)
    if (known !== undefined) return known
    const fresh = prepare(options, service)
    byService.set(key, fresh)
    return fresh
  }
  return {
    async explain(request, { trace }) {
      const port = request.destination.port ?? options.port
      if (port === null) return { code: 'no_port', message: 'the request has no `destination.port`' }
      const target = targetOf(request)
      const protocol = request.http === null ? 'tcp' : 'http'
      const engine = target[protocol]
      const traced = trace ? tracing(engine, target.policies) : null
      const decision = await decide(target, request, port, traced ?? engine)
      if (isProblem(decision)) return decision
      const notes = requestNotes(request, options.mesh, [...target.policies, ...triggersOf(engine)], target.jwtRules)
      return { id: request.id, decision, trace: traced?.trace() ?? null, notes }
    },
  }
}

function triggersOf({ delegations }: Engine): readonly AuthorizationPolicy[] {
  return delegations.flatMap(({ ir }) => ir.delegation.trigger ?? [])
}

function serviceOf({ mesh, workload }: ExplainOptions, { http }: TestRequest): TargetService | null {
  if (workload.role.kind !== 'waypoint' || http === null || http.host === null) return null
  return serviceOfHost(mesh, workload.namespace, http.host)
}

/** One workload, or one service behind a waypoint, with what is made once for all requests. */
interface Target {
  readonly options: ExplainOptions
  readonly policies: readonly AuthorizationPolicy[]
  readonly jwtRules: readonly JwtRule[]
  readonly authenticator: RequestAuthenticator | null
  readonly http: Engine
  readonly tcp: Engine
}

interface Engine {
  readonly ir: PolicyIr
  readonly decider: Decider
  readonly delegations: readonly CompiledDelegation[]
}

function prepare(options: ExplainOptions, service: TargetService | null): Target {
  const { mesh, workload } = options
  const policies = authorizationPoliciesFor(mesh, workload, service)
  const delegations = delegationsFor(mesh, workload)
  const jwtRules = jwtRulesFor(mesh, workload, service)
  const trustDomains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
  const engine = (protocol: 'http' | 'tcp'): Engine => {
    const input = { policies, trustDomains, protocol, provider: (name: string) => usableProvider(mesh, name) }
    const ir = lower(input)
    const compiled = delegations.map((delegation) => compileDelegation(lowerDelegation(delegation, input)))
    return { ir, decider: (options.engine ?? compile)(ir), delegations: compiled }
  }
  const authenticator =
    jwtRules.length === 0
      ? null
      : createRequestAuthenticator(jwtRules, options.keys, { strict: options.strictTokens ?? false })
  return { options, policies, jwtRules, authenticator, http: engine('http'), tcp: engine('tcp') }
}

async function decide(
  target: Target,
  request: TestRequest,
  port: number,
  { decider, delegations }: Pick<Engine, 'decider' | 'delegations'>,
): Promise<Decision | RequestProblem> {
  const { options } = target
  const connection = connectionOf(options, request, port)
  if (connection.facts.peer === '' && mtlsModeFor(options.mesh, options.workload, port) === 'STRICT') {
    return deniedConnection('peer', null, null)
  }
  const { custom } = (request.http === null ? target.tcp : target.http).ir
  const given = new GivenProviders(request.providers, options.ask)
  const providers = new Map<string, CheckClient>()
  if (custom.kind === 'ask') providers.set(custom.provider.name, given.client(custom.provider))
  const bound = bindDelegations(delegations, (provider) => given.client(provider), { alone: true })
  const signal = new AbortController().signal
  let decision: Decision
  if (request.http === null) {
    const policies = { decider, authenticator: null, providers, delegations: bound }
    decision = await authorizeConnection(connection, policies, options.now(), signal, () => {})
  } else {
    const { http } = request
    const head = headOf(http, connection, options)
    if (head.kind === 'refused') {
      return withoutContent(request, refusedDecision(head, refusesGrpc(head, http.headers)))
    }
    const authenticator = authenticatorOf(target, http, head.path)
    if (authenticator !== null && isProblem(authenticator)) return authenticator
    const chain: ChainRequest = {
      connection,
      id: head.id,
      time: options.now(),
      method: head.method,
      path: head.path,
      host: head.host,
      scheme: head.scheme,
      protocol: http.protocol,
      headers: head.headers,
      remoteIp: http.remoteIp ?? head.remoteIp,
      body: bodyOf(http),
      routed: true,
      signal: () => signal,
    }
    decision = (await authorize(chain, { decider, authenticator, providers, delegations: bound }, () => {})).decision
  }
  decision = withoutContent(request, decision)
  return given.unanswered === null || decision.decision === 'deny'
    ? decision
    : { ...decision, decision: 'ask', status: null, phase: 'custom', provider: given.unanswered }
}

/** The answer to a HEAD has no content (RFC 9110, 9.3.2). */
function withoutContent({ http }: TestRequest, decision: Decision): Decision {
  return http?.method === 'HEAD' && decision.body !== null ? { ...decision, body: '' } : decision
}

/** The workload's own, or what stands in for it: claims that were given, or a token that is masked. */
function authenticatorOf(
  { authenticator, jwtRules }: Target,
  { claims, headers }: TestHttpRequest,
  path: string,
): RequestAuthenticator | RequestProblem | null {
  if (claims !== null) {
    const token = jwtRules.some((rule) => findTokens(prepareLocations(rule), headers, path).length > 0)
    if (token && !hasMaskedToken(jwtRules, headers, path)) return { code: 'bad_request', message: BOTH }
    return (
      createGivenClaims(jwtRules, claims) ?? { code: 'bad_request', message: '`claims` is nothing a token can hold' }
    )
  }
  if (authenticator === null || !hasMaskedToken(jwtRules, headers, path)) return authenticator
  return passingMasked(jwtRules, authenticator)
}
