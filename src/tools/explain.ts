import { createHash } from 'node:crypto'
import type { RequestAuthenticator } from '../authn/authentication.ts'
import type { KeySource } from '../authn/key-source.ts'
import { createRequestAuthenticator } from '../authn/request-authenticator.ts'
import type { CheckClient, CheckOutcome } from '../extauthz/check.ts'
import type { IpAddress } from '../match/ip.ts'
import { authorizationPoliciesFor, jwtRulesFor, mtlsModeFor } from '../mesh/attach.ts'
import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { Provider } from '../mesh/provider.ts'
import { usableProvider } from '../mesh/providers.ts'
import { serviceOfHost } from '../mesh/registry.ts'
import type { TargetService } from '../mesh/service.ts'
import type { Workload } from '../mesh/workload.ts'
import { compile } from '../policy/compile.ts'
import type { Decider } from '../policy/decider.ts'
import type { Decision } from '../policy/decision.ts'
import type { ConnectionFacts } from '../policy/facts.ts'
import type { PolicyIr } from '../policy/ir.ts'
import { lower } from '../policy/lower.ts'
import { type AuthorizedConnection, authorize, type ChainRequest } from '../proxy/authorize.ts'
import { authorizeConnection } from '../proxy/authorize-connection.ts'
import { deniedConnection } from '../proxy/decisions.ts'
import { readEdgeHead } from '../proxy/edge-head.ts'
import { remoteIpOf } from '../proxy/remote-ip.ts'
import { type RefusedHead, type RequestHead, readHead } from '../proxy/request-head.ts'
import type { ProviderAnswer, TestHttpRequest, TestRequest } from './request.ts'
import { type Trace, tracing } from './trace.ts'

export interface ExplainOptions {
  readonly mesh: Mesh
  readonly workload: Workload
  /** The workload's own port, for requests that name none. */
  readonly port: number
  readonly keys: KeySource
  /** Milliseconds since the epoch; what tokens are judged by. */
  readonly now: () => number
  /** Null: providers are not asked; their answers come with the request. */
  readonly ask: ((provider: Provider) => CheckClient) | null
}

/** A decision with, on demand, how every rule fared. */
export interface Explanation {
  readonly id: string
  readonly decision: Decision
  readonly trace: Trace | null
}

export interface Explainer {
  explain(request: TestRequest, options: { readonly trace: boolean }): Promise<Explanation>
}

/**
 * Decides as the proxy would: the same head reader, filter chain and deciders, without a socket. What only a connection
 * could tell (its certificate, its addresses) comes from the request.
 */
export function createExplainer(options: ExplainOptions): Explainer {
  const forAll = preparePolicies(options, null)
  // A waypoint's policies depend on the service that a request is for: as many as the files have, at most.
  const byService = new Map<string, Prepared>()
  const preparedFor = (request: TestRequest): Prepared => {
    const service = targetOf(options, request)
    if (service === null) return forAll
    const key = `${service.kind} ${service.namespace}/${service.name}`
    const known = byService.get(key)
    if (known !== undefined) return known
    const fresh = preparePolicies(options, service)
    byService.set(key, fresh)
    return fresh
  }
  return {
    async explain(request, { trace }) {
      const { policies, ir, deciders, authenticator } = preparedFor(request)
      const protocol = request.http === null ? 'tcp' : 'http'
      const traced = trace ? tracing(deciders[protocol], ir[protocol], policies) : null
      const decider = traced?.decider ?? deciders[protocol]
      const decision = await decide(options, request, decider, ir[protocol], authenticator)
      return { id: request.id, decision, trace: traced?.trace() ?? null }
    },
  }
}

/** What applies to a workload, or to one service behind a waypoint. */
interface Prepared {
  readonly policies: readonly AuthorizationPolicy[]
  readonly ir: { readonly http: PolicyIr; readonly tcp: PolicyIr }
  readonly deciders: { readonly http: Decider; readonly tcp: Decider }
  readonly authenticator: RequestAuthenticator | null
}

function preparePolicies({ mesh, workload, keys }: ExplainOptions, service: TargetService | null): Prepared {
  const policies = authorizationPoliciesFor(mesh, workload, service)
  const jwtRules = jwtRulesFor(mesh, workload, service)
  const trustDomains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
  const lowered = (protocol: 'http' | 'tcp') =>
    lower({ policies, trustDomains, protocol, provider: (name) => usableProvider(mesh, name) })
  const ir = { http: lowered('http'), tcp: lowered('tcp') }
  const deciders = { http: compile(ir.http), tcp: compile(ir.tcp) }
  const authenticator = jwtRules.length === 0 ? null : createRequestAuthenticator(jwtRules, keys)
  return { policies, ir, deciders, authenticator }
}

function targetOf({ mesh, workload }: ExplainOptions, { http }: TestRequest): TargetService | null {
  if (workload.role.kind !== 'waypoint' || http === null || http.host === null) return null
  return serviceOfHost(mesh, workload.namespace, http.host)
}

async function decide(
  options: ExplainOptions,
  request: TestRequest,
  decider: Decider,
  ir: PolicyIr,
  authenticator: RequestAuthenticator | null,
): Promise<Decision> {
  const { mesh, workload } = options
  const connection = connectionOf(options, request)
  const { facts } = connection
  if (facts.peer === '' && mtlsModeFor(mesh, workload, facts.destinationPort) === 'STRICT') {
    return deniedConnection('peer', null, null)
  }
  const providers = new GivenProviders(options, request.providers)
  const clients = ir.custom.kind === 'ask' ? providers.clientsFor(ir.custom.provider) : new Map()
  const policies = { decider, authenticator: claimsOf(request.http, authenticator), providers: clients }
  const signal = new AbortController().signal
  let decision: Decision
  if (request.http === null) {
    decision = await authorizeConnection(connection, policies, options.now(), signal, () => {})
  } else {
    const head = headOf(request.http, connection, options)
    if (head.kind === 'refused') {
      const { status, body, details } = head
      return { decision: 'deny', status, body, phase: 'http', policy: null, details }
    }
    const chain: ChainRequest = {
      connection,
      id: head.id,
      time: options.now(),
      method: head.method,
      path: head.path,
      host: head.host,
      scheme: head.scheme,
      protocol: request.http.protocol,
      headers: head.headers,
      remoteIp: request.http.remoteIp ?? head.remoteIp,
      body: bodyOf(request.http),
      signal: () => signal,
    }
    decision = (await authorize(chain, policies, () => {})).decision
  }
  return providers.unanswered === null || decision.decision === 'deny'
    ? decision
    : { ...decision, decision: 'ask', status: null, phase: 'custom', provider: providers.unanswered }
}

function connectionOf(options: ExplainOptions, request: TestRequest): AuthorizedConnection {
  const port = request.destination.port ?? options.port
  const facts: ConnectionFacts = {
    peer: request.source.peer,
    sourceIp: request.source.ip,
    destinationIp: request.destination.ip,
    destinationPort: port,
    sni: request.destination.sni,
  }
  const own = facts.peer === '' ? '' : ownId(options)
  return {
    facts,
    source: { ip: request.source.ipText, port: 0, principal: facts.peer },
    destination: { ip: request.destination.ipText, port, principal: own },
  }
}

function ownId({ mesh, workload }: ExplainOptions): string {
  return `spiffe://${mesh.config.trustDomain}/ns/${workload.namespace}/sa/${workload.serviceAccount}`
}

type Head = (RequestHead & { readonly remoteIp: IpAddress }) | RefusedHead

function headOf(request: TestHttpRequest, connection: AuthorizedConnection, { mesh, workload }: ExplainOptions): Head {
  const { peer, sourceIp, destinationIp } = connection.facts
  const host = request.host ?? `${workload.name}.${workload.namespace}`
  const raw = {
    method: request.method,
    url: request.path,
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    rawHeaders: ['host', host, ...request.headers.toRaw()],
  }
  const options = {
    pathMode: mesh.config.pathNormalization,
    secure: request.scheme === 'https',
    clientCertificate: peer === '' ? null : certificateElement(connection.destination.principal, peer),
    upgrade: false,
  }
  const { role } = workload
  if (role.kind === 'gateway' || role.kind === 'gatewayApi') {
    const trustedHops = mesh.config.numTrustedProxies
    return readEdgeHead(raw, { ...options, trustedHops, peer: sourceIp, own: destinationIp })
  }
  const head = readHead(raw, options)
  return head.kind === 'refused' ? head : { ...head, remoteIp: remoteIpOf(head.headers, sourceIp) }
}

/** There is no certificate here, so its hash is that of the peer's name: a policy sees that the element is there. */
function certificateElement(own: string, peer: string): string {
  const hash = createHash('sha256').update(peer).digest('hex')
  return `By=${own};Hash=${hash};Subject="";URI=${peer}`
}

/** `claims` stands for a token that was verified. */
function claimsOf(request: TestHttpRequest | null, authenticator: RequestAuthenticator | null) {
  const claims = request?.claims ?? null
  if (claims === null) return authenticator
  return { authenticate: ({ path }: { readonly path: string }) => ({ kind: 'accepted' as const, claims, path }) }
}

function bodyOf(request: TestHttpRequest): ChainRequest['body'] {
  const bytes = Buffer.from(request.body ?? '', 'latin1')
  return {
    present: bytes.length > 0,
    async buffer({ maxRequestBytes, allowPartialMessage }) {
      const partial = bytes.length > maxRequestBytes
      if (partial && !allowPartialMessage) return { kind: 'tooLarge' }
      return { kind: 'read', body: { bytes: bytes.subarray(0, maxRequestBytes), partial } }
    },
  }
}

/** Providers whose answers were given with the request; one without an answer is noted and taken to allow. */
class GivenProviders {
  unanswered: string | null = null
  readonly #options: ExplainOptions
  readonly #answers: ReadonlyMap<string, ProviderAnswer>

  constructor(options: ExplainOptions, answers: ReadonlyMap<string, ProviderAnswer>) {
    this.#options = options
    this.#answers = answers
  }

  clientsFor(provider: Provider): ReadonlyMap<string, CheckClient> {
    const answer = this.#answers.get(provider.name)
    if (answer === undefined && this.#options.ask !== null) {
      return new Map([[provider.name, this.#options.ask(provider)]])
    }
    const check = async () => this.#outcome(provider.name, answer)
    return new Map([[provider.name, { check, close: async () => {} }]])
  }

  #outcome(name: string, answer: ProviderAnswer | undefined): CheckOutcome {
    if (answer === undefined) {
      this.unanswered = name
      return { kind: 'allow', changes: [], responseChanges: [] }
    }
    switch (answer.kind) {
      case 'error':
        return { kind: 'error', reason: answer.error, message: 'as given with the request' }
      case 'answer':
        return answer.allow
          ? {
              kind: 'allow',
              changes: answer.headers.map(([name, value]) => ({ kind: 'set', name, value })),
              responseChanges: [],
            }
          : { kind: 'deny', status: answer.status, headers: answer.headers, body: Buffer.from(answer.body, 'latin1') }
      default:
        return answer satisfies never
    }
  }
}
