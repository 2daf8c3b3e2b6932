import { networkInterfaces } from 'node:os'
import { createHttpFetch } from '../../authn/http-fetch.ts'
import type { ProxyEnvironment } from '../../authn/http-fetch-proxy.ts'
import { createJwksCache, type JwksCache } from '../../authn/jwks-cache.ts'
import { createTokenVerifier, type TokenVerifier } from '../../authn/jwt/token-verifier.ts'
import type { HealthOptions } from '../../extauthz/client/health.ts'
import { jwtRulesFor } from '../../mesh/attach.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import { findOutboundService } from '../../mesh/registry.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Logger } from '../../observe/log.ts'
import { MetricsRegistry } from '../../observe/metrics.ts'
import { renderSnapshot } from '../../observe/metrics-snapshot.ts'
import { CompiledPolicies } from '../../proxy/compiled-policies.ts'
import type { ProxyConfig, WorkloadIdentity } from '../../proxy/config.ts'
import { configure, type LocalWorkload } from '../../proxy/configure.ts'
import type { DecisionLogEntry } from '../../proxy/decision-log.ts'
import { type ApplyResult, createProxy, type ProxyServer } from '../../proxy/proxy.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import type { WorkerSettings } from '../authorizer/messages.ts'
import { SupervisedAuthorizers } from '../authorizer/supervised-authorizers.ts'
import { Supervisor } from '../authorizer/supervisor.ts'
import { type CertificateOrigin, Identities } from './identities.ts'
import { ownAddress } from './own-address.ts'
import { ProviderClients } from './provider-clients.ts'

export interface RuntimeOptions {
  readonly logger: Logger
  readonly now: () => number
  readonly certificates: CertificateOrigin
  /** PEM certificates to trust for `jwksUri` beside the platform's. */
  readonly jwksCa: readonly string[]
  /** HTTPS_PROXY and its like, for `jwksUri`. */
  readonly jwksProxy: ProxyEnvironment
  /** Refuse requests unless every token that they present verifies. */
  readonly strictTokens: boolean
  readonly decisions: (entry: DecisionLogEntry) => void
  /** How endpoints of providers are asked whether they are well; null: they are not. */
  readonly providerHealth: HealthOptions | null
  /** What has to be there before this is ready: what it serves, or also the providers that fail closed. */
  readonly readyWhen: 'proxy' | 'providers'
  /** For the processes of embedded authorizers. */
  readonly worker: WorkerSettings
  /** As in `ConfigureInput`. */
  readonly dropEnvoyHeaders: boolean
  /** As in `ConfigureInput`. */
  readonly providerHeaders: readonly string[]
}

/** What the files ask to be run in this process. */
export interface Plan {
  readonly mesh: Mesh
  readonly local: readonly LocalWorkload[]
}

/** Why a plan is not running. */
export type RunProblem =
  | { readonly kind: 'authorizer'; readonly diagnostic: Diagnostic }
  | { readonly kind: 'certificate'; readonly message: string }
  /** `id` is that of the listener that cannot be opened. */
  | { readonly kind: 'listener'; readonly id: string; readonly message: string }

/** Milliseconds after which a process of authorizers that does not answer is replaced. */
const STUCK_AFTER = 5000
/** Milliseconds for the checks under way at the end. */
const GRACE = 5000

/** Everything that `up` keeps running, and the one way to change it. */
export class Runtime {
  readonly metrics = new MetricsRegistry()
  readonly #options: RuntimeOptions
  readonly #authorizers: SupervisedAuthorizers
  readonly #identities: Identities
  readonly #clients: ProviderClients
  readonly #keys: JwksCache
  readonly #verifier: TokenVerifier
  readonly #compiled = new CompiledPolicies()
  #plan: Plan
  #proxy: ProxyServer | null = null
  #queue: Promise<unknown> = Promise.resolve()

  constructor(plan: Plan, options: RuntimeOptions) {
    this.#plan = plan
    this.#options = options
    const { logger } = options
    const supervisor = new Supervisor({
      workers: 1,
      settings: options.worker,
      logger,
      metrics: this.metrics,
      stuckAfter: STUCK_AFTER,
      decisions: () => {},
    })
    this.#authorizers = new SupervisedAuthorizers(supervisor, logger)
    this.#identities = new Identities(options.certificates, logger, options.now, () => this.#renew())
    this.#clients = new ProviderClients({
      mesh: () => this.#plan.mesh,
      identity: (workload) => this.#identities.of(workload, this.#plan.mesh.config),
      logger,
      health: options.providerHealth,
      metrics: this.metrics,
    })
    const resolve = (host: string, port: number) => addressOf(this.#plan.mesh, host, port)
    this.#keys = createJwksCache({
      fetch: createHttpFetch({ ca: options.jwksCa, resolve, proxy: options.jwksProxy }),
      logger,
      now: options.now,
      metrics: this.metrics,
    })
    this.#verifier = createTokenVerifier({ logger, metrics: this.metrics })
  }

  /** Whether listeners are up, and every provider that `readyWhen` asks for can be asked. */
  get ready(): boolean {
    if (this.#proxy?.ready !== true) return false
    if (this.#options.readyWhen === 'proxy') return true
    const needed = this.#providers().filter(({ failOpen }) => !failOpen)
    return this.#clients.unreachable(needed).length === 0
  }

  get plan(): Plan {
    return this.#plan
  }

  /** Prometheus text: of this process, and of those of authorizers. */
  async renderMetrics(): Promise<string> {
    const counted = await this.#authorizers.metrics()
    return this.metrics.render() + renderSnapshot(counted)
  }

  /** What does not work but keeps nothing from running: issuers whose keys cannot be fetched, providers that are gone. */
  notes(): readonly string[] {
    const gone = this.#clients.unreachable(this.#providers())
    return [...this.#keys.problems(), ...gone.map(({ name }) => `provider ${name}: no endpoint answers`)]
  }

  /** By listener id. */
  addresses(): ReturnType<ProxyServer['addresses']> {
    return this.#proxy?.addresses() ?? new Map()
  }

  /**
   * Starts authorizers, then proxies, or changes them to what `plan` says. What runs goes on after a problem, and where
   * `same` says that files have changed since engines began to read them: then null, for whoever comes with the next plan.
   */
  apply(plan: Plan): Promise<readonly RunProblem[]>
  apply(plan: Plan, same: () => Promise<boolean>): Promise<readonly RunProblem[] | null>
  apply(plan: Plan, same?: () => Promise<boolean>): Promise<readonly RunProblem[] | null> {
    const applied = this.#queue.then(() => this.#apply(plan, same))
    this.#queue = applied.catch(() => {})
    return applied
  }

  async close(): Promise<void> {
    await this.#queue
    await this.#proxy?.close()
    await this.#clients.close()
    await this.#authorizers.close({ delay: 0, grace: GRACE })
    this.#keys.close()
    this.#identities.close()
  }

  /** Those that some CUSTOM policy names. */
  #providers(): readonly Provider[] {
    const { authorizationPolicies, delegations, config } = this.#plan.mesh
    const used = new Set([
      ...authorizationPolicies.map((policy) => policy.provider),
      ...delegations.flatMap(({ providers }) =>
        providers.flatMap(({ name, mode }) => (mode === 'enforce' ? name : [])),
      ),
    ])
    return config.providers.filter((provider) => used.has(provider.name))
  }

  async #apply(plan: Plan, same?: () => Promise<boolean>): Promise<readonly RunProblem[] | null> {
    const config = this.#configure(plan)
    if (config === null) {
      return [{ kind: 'certificate', message: this.#identities.problem ?? 'there is none' }]
    }
    const authorizers = await this.#authorizers.prepare(plan.mesh.authorizers)
    if (authorizers.kind === 'failed') {
      return authorizers.problems.map((diagnostic) => ({ kind: 'authorizer', diagnostic }))
    }
    if (same !== undefined && !(await same())) {
      await authorizers.undo()
      return null
    }
    // Endpoints and keys are looked up in the plan, so they are there before the first request that needs them.
    const before = this.#plan
    this.#use(plan)
    const result = await this.#start(config)
    if (result.kind === 'failed') {
      this.#use(before)
      await authorizers.undo()
      return result.errors.map(({ id, message }) => ({ kind: 'listener', id, message }))
    }
    await authorizers.commit()
    this.#clients.settle()
    return []
  }

  #use(plan: Plan): void {
    this.#plan = plan
    this.#keys.use(plan.local.flatMap(({ workload }) => jwtRulesFor(plan.mesh, workload)))
  }

  async #start(config: ProxyConfig): Promise<ApplyResult> {
    if (this.#proxy !== null) return this.#proxy.apply(config)
    const { logger, decisions } = this.#options
    const proxy = createProxy(config, { log: logger, metrics: this.metrics, decisions })
    const result = await proxy.start()
    if (result.kind === 'applied') this.#proxy = proxy
    else await proxy.close(0)
    return result
  }

  #configure({ mesh, local }: Plan): ProxyConfig | null {
    const identities = new Map<Workload, WorkloadIdentity>()
    for (const { workload } of local) {
      const identity = this.#identities.of(workload, mesh.config)
      if (identity === null) return null
      identities.set(workload, identity)
    }
    this.#clients.begin()
    return configure({
      mesh,
      local,
      identity: (workload) => identities.get(workload) as WorkloadIdentity,
      keys: this.#keys,
      tokens: { verifier: this.#verifier, strict: this.#options.strictTokens },
      client: (provider, workload) =>
        this.#clients.get(provider, workload, mesh, identities.get(workload) as WorkloadIdentity),
      compiled: this.#compiled,
      ownAddress: ownAddress(networkInterfaces()),
      dropEnvoyHeaders: this.#options.dropEnvoyHeaders,
      providerHeaders: this.#options.providerHeaders,
    })
  }

  /** A certificate was replaced: the proxy's same plan, with new identities; authorizers have no part in it. */
  #renew(): void {
    const renewed = this.#queue.then(() => this.#applyIdentities())
    this.#queue = renewed.catch(() => {})
    void renewed.then((problems) => {
      for (const message of problems) this.#options.logger.error('the new certificate is not in use', { message })
    })
  }

  async #applyIdentities(): Promise<readonly string[]> {
    if (this.#proxy === null) return []
    const config = this.#configure(this.#plan)
    if (config === null) return [this.#identities.problem ?? 'there is none']
    const result = await this.#proxy.apply(config)
    if (result.kind === 'applied') this.#clients.settle()
    return result.kind === 'failed' ? result.errors.map(({ message }) => message) : []
  }
}

/** Where the mesh says that a host is; null for DNS to say. */
function addressOf(mesh: Mesh, host: string, port: number): { readonly address: string; readonly port: number } | null {
  const found = findOutboundService(mesh, mesh.config.rootNamespace, host, port)
  const [endpoint] = found?.resolution === 'STATIC' ? found.endpoints : []
  return endpoint === undefined ? null : { address: endpoint.address, port: endpoint.port }
}
