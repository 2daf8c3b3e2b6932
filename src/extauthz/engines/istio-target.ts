import type { RequestAuthenticator } from '../../authn/authentication.ts'
import { asBytes } from '../../match/bytes.ts'
import { authorizationPoliciesFor, jwtRulesFor, mtlsModeFor } from '../../mesh/attach.ts'
import { gatewayTopologyFor } from '../../mesh/gateway-topology.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { usableProvider } from '../../mesh/providers.ts'
import type { TargetService } from '../../mesh/service.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Logger } from '../../observe/log.ts'
import { compile } from '../../policy/compile.ts'
import type { Decider, DryRun, Verdict } from '../../policy/decider.ts'
import { ACCESS_DENIED } from '../../policy/decision.ts'
import { type ConnectionFacts, Facts } from '../../policy/facts.ts'
import { lower } from '../../policy/lower.ts'
import { type Answer, allow, deny } from '../server/answer.ts'
import type { AuthorizerConnection, AuthorizerRequest } from '../server/request.ts'
import { pathReadings } from './path-readings.ts'
import { type AuthenticatedRequest, authenticate } from './request-authentication.ts'
import { clientIp, metadataOf, type Needs, needsOf, peerOf, readConnection, sniOf, withParts } from './request-facts.ts'
import type { TokenRules } from './token-keys.ts'

/** The policies of one workload, or of one service behind a waypoint, which decide as its proxy would. */
export class IstioTarget {
  readonly #mesh: Mesh
  readonly #workload: Workload
  readonly #trustDomains: ReadonlySet<string>
  readonly #authenticator: RequestAuthenticator | null
  readonly #http: Enforcement
  readonly #tcp: Enforcement
  readonly #hops: number | null
  readonly #logger: Logger
  readonly #now: () => number
  /** Whether any policy restricts it. */
  readonly restricted: boolean

  constructor(
    mesh: Mesh,
    workload: Workload,
    service: TargetService | null,
    tokens: TokenRules,
    options: { readonly logger: Logger; readonly now: () => number },
  ) {
    const trustDomains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
    const policies = authorizationPoliciesFor(mesh, workload, service)
    const enforcement = (protocol: 'http' | 'tcp'): Enforcement => {
      const ir = lower({ policies, trustDomains, protocol, provider: (name) => usableProvider(mesh, name) })
      return { decider: compile(ir), needs: needsOf(ir) }
    }
    const { kind } = workload.role
    this.#mesh = mesh
    this.#workload = workload
    this.#trustDomains = new Set(trustDomains)
    this.#authenticator = tokens.authenticator(jwtRulesFor(mesh, workload, service))
    this.#http = enforcement('http')
    this.#tcp = enforcement('tcp')
    const edge = kind === 'gateway' || kind === 'gatewayApi'
    this.#hops = edge ? gatewayTopologyFor(mesh, workload).numTrustedProxies : null
    this.#logger = options.logger
    this.#now = options.now
    this.restricted = policies.some(({ action, dryRun }) => (action === 'ALLOW' || action === 'DENY') && !dryRun)
  }

  check(request: AuthorizerRequest): Answer | Promise<Answer> {
    const { needs } = this.#http
    const connection = this.#connection(request, needs.kinds.has('sni') ? sniOf(request.attributes) : '', needs)
    if ('refusal' in connection) return connection.refusal
    if (this.#readings(asBytes(request.path)) === null) return deny({ status: 400 })
    return authenticate(
      this.#authenticator,
      request,
      this.#now(),
      (authenticated) => this.#decide(request, connection.facts, authenticated),
      ({ details }) => this.#logger.debug('refused', { workload: this.#name, phase: 'authn', details }),
    )
  }

  checkConnection(connection: AuthorizerConnection): Answer {
    const { decider, needs } = this.#tcp
    const read = this.#connection(connection, connection.sni, needs)
    if ('refusal' in read) return read.refusal
    const facts = Facts.ofConnection(read.facts)
    if (needs.kinds.has('metadata')) facts.metadata = metadataOf(connection)
    this.#watch(decider, facts)
    const verdict = decider.decide(facts)
    return verdict.kind === 'deny' ? this.#refuse(verdict) : allow()
  }

  get #name(): string {
    return `${this.#workload.namespace}/${this.#workload.name}`
  }

  #connection(
    asked: AuthorizerRequest | AuthorizerConnection,
    sni: string,
    needs: Needs,
  ): { readonly facts: ConnectionFacts } | { readonly refusal: Answer } {
    const peer = peerOf(asked.source.principal, this.#trustDomains)
    if (peer === null) return this.#without('a peer that is no SPIFFE id is spelt like one')
    if (peer === '' && mtlsModeFor(this.#mesh, this.#workload, asked.destination.port) === 'STRICT') {
      return this.#without('STRICT mutual TLS, and no peer')
    }
    const read = readConnection(asked, peer, sni, needs)
    if (read.kind === 'untold') return this.#without(`policies look at ${read.attribute}, which was not told`)
    return { facts: read.connection }
  }

  #without(reason: string): { readonly refusal: Answer } {
    this.#logger.debug('refused', { workload: this.#name, phase: 'peer', reason })
    return { refusal: deny() }
  }

  #readings(path: string): readonly string[] | null {
    return pathReadings(path, this.#mesh.config.pathNormalization)
  }

  #decide(
    request: AuthorizerRequest,
    connection: ConnectionFacts,
    { claims, path, headers }: AuthenticatedRequest,
  ): Answer {
    const { decider, needs } = this.#http
    const readings = this.#readings(path)
    if (readings === null) return deny({ status: 400 })
    const remoteIp = needs.kinds.has('remoteIp')
      ? clientIp(headers, connection.sourceIp, this.#hops)
      : connection.sourceIp
    const head = { method: asBytes(request.method), host: asBytes(request.host), scheme: request.scheme, remoteIp }
    const factsOf = (path: string, lines: typeof headers) => {
      const facts = Facts.ofRequest(connection, { ...head, path, headers: lines })
      facts.authenticated(path, claims)
      if (needs.kinds.has('metadata')) facts.metadata = metadataOf(request)
      return facts
    }
    const parts = withParts(headers, needs, request)
    const all = readings.flatMap((path) => [factsOf(path, headers), ...(parts === null ? [] : [factsOf(path, parts)])])
    const [first] = all
    if (first !== undefined) this.#watch(decider, first)
    for (const facts of all) {
      const verdict = decider.decide(facts)
      if (verdict.kind === 'deny') return this.#refuse(verdict)
    }
    return allow()
  }

  #refuse({ phase, policy }: Extract<Verdict, { readonly kind: 'deny' }>): Answer {
    this.#logger.debug('refused', { workload: this.#name, phase, policy })
    return deny({ status: 403, body: ACCESS_DENIED })
  }

  #watch(decider: Decider, facts: Facts): void {
    const audit = decider.audit(facts)
    const dryRun: DryRun | null = decider.dryRun(facts)
    if (!audit && dryRun === null) return
    this.#logger.info('watched by policies', { workload: this.#name, audit, ...(dryRun === null ? {} : { dryRun }) })
  }
}

interface Enforcement {
  readonly decider: Decider
  readonly needs: Needs
}
