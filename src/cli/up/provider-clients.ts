import { createHash } from 'node:crypto'
import type { ProviderClient } from '../../extauthz/client/client-status.ts'
import type { Endpoint, EndpointSource } from '../../extauthz/client/endpoints.ts'
import { createGrpcClient } from '../../extauthz/client/grpc-client.ts'
import type { HealthOptions } from '../../extauthz/client/health.ts'
import { createHttpClient } from '../../extauthz/client/http-client.ts'
import { ProviderTelemetry } from '../../extauthz/client/provider-telemetry.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import { findService } from '../../mesh/registry.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Logger } from '../../observe/log.ts'
import type { MetricsRegistry } from '../../observe/metrics.ts'
import type { WorkloadIdentity } from '../../proxy/config.ts'
import { connectProvider } from '../../proxy/provider-connect.ts'
import { providerTls, targetTls } from '../../proxy/provider-tls.ts'
import { type ProviderSettings, providerSettings } from './provider-settings.ts'

/** How long a client of an old configuration may still answer the requests that hold it, in milliseconds. */
const RETIRE_AFTER = 60_000

export interface ProviderClientsOptions {
  /** Asked at every check, so that endpoints follow the files. */
  readonly mesh: () => Mesh
  /** Asked at every connection; null when there is no certificate to be had. */
  readonly identity: (workload: Workload) => WorkloadIdentity | null
  readonly logger: Logger
  /** How endpoints are asked whether they are well; null: they are not. */
  readonly health: HealthOptions | null
  readonly metrics: MetricsRegistry
}

interface Known {
  readonly provider: Provider
  readonly client: ProviderClient
}

/**
 * One client a provider, shared by the workloads that reach it in the same way, and kept with its warm connections across
 * reloads that do not change that. With mutual TLS each workload has its own, a new one for each certificate.
 */
export class ProviderClients {
  readonly #clients = new Map<string, Known>()
  readonly #retiring = new Map<ProviderClient, NodeJS.Timeout>()
  readonly #options: ProviderClientsOptions
  readonly #telemetry: ProviderTelemetry
  #used = new Set<string>()

  constructor(options: ProviderClientsOptions) {
    this.#options = options
    this.#telemetry = new ProviderTelemetry(options.logger, options.metrics)
  }

  /** Before the clients of a configuration are asked for. */
  begin(): void {
    this.#used = new Set()
  }

  /** `mesh` and `identity` are those of the configuration that is being made. */
  get(provider: Provider, workload: Workload, mesh: Mesh, identity: WorkloadIdentity): ProviderClient {
    const tls = providerTls(mesh, workload, provider)
    const mutual = tls.some(({ kind }) => kind === 'istioMutual')
    // Rules may be for some clients only.
    const rules = mesh.destinationRules.length === 0 ? null : [workload.namespace, workload.labels]
    const settings = providerSettings(mesh, workload, provider, this.#options.health)
    const own = mutual ? [identity.id, digestOf(identity)] : null
    const key = JSON.stringify([provider, tls, rules, settings, own])
    this.#used.add(key)
    const known = this.#clients.get(key)
    if (known !== undefined) return known.client
    const client = this.#create(provider, workload, settings)
    this.#clients.set(key, { provider, client })
    this.#telemetry.watch(provider, client)
    return client
  }

  /** The configuration is in use: lets go of the clients that it did not ask for, and has the others connect. */
  settle(): void {
    for (const [key, { client }] of this.#clients) {
      if (this.#used.has(key)) client.warm()
      else this.#retire(key, client)
    }
  }

  /** Those of `providers` that have a client of which no endpoint can be asked, or not yet. */
  unreachable(providers: readonly Provider[]): readonly Provider[] {
    const gone = new Set<string>()
    for (const { provider, client } of this.#clients.values()) {
      if (client.status().reachable !== true) gone.add(provider.name)
    }
    return providers.filter(({ name }) => gone.has(name))
  }

  async close(): Promise<void> {
    for (const timer of this.#retiring.values()) clearTimeout(timer)
    const clients = [...this.#clients.values()].map(({ client }) => client)
    // An open connection would keep the process from ending.
    await Promise.all([...clients, ...this.#retiring.keys()].map((client) => client.close()))
  }

  #create(provider: Provider, workload: Workload, settings: ProviderSettings): ProviderClient {
    const { mesh, identity } = this.#options
    const endpoints = endpointsOf(provider, mesh)
    const connect = connectProvider(
      provider.kind,
      (target) => targetTls(mesh(), workload, provider, target),
      () => identity(workload),
    )
    // It connects once what it belongs to runs: authorizers of the same files may not listen yet.
    const options = { ...settings, connect, events: this.#telemetry.eventsOf(provider), warm: false }
    return provider.kind === 'grpc'
      ? createGrpcClient(provider, endpoints, options)
      : createHttpClient(provider, endpoints, options)
  }

  #retire(key: string, client: ProviderClient): void {
    this.#clients.delete(key)
    this.#telemetry.forget(client)
    const timer = setTimeout(() => {
      this.#retiring.delete(client)
      void client.close()
    }, RETIRE_AFTER)
    timer.unref()
    this.#retiring.set(client, timer)
  }
}

/** Looks again only when the files have changed. */
function endpointsOf({ service, port }: Provider, meshOf: () => Mesh): EndpointSource {
  let mesh: Mesh | null = null
  let endpoints: readonly Endpoint[] = []
  return () => {
    const now = meshOf()
    if (now !== mesh) {
      mesh = now
      const found = findService(now, service, port)
      endpoints = found.kind === 'found' ? found.endpoints : []
    }
    return endpoints
  }
}

/** Of what mutual TLS rests on, without the key. */
function digestOf({ certificate, ca }: WorkloadIdentity): string {
  return createHash('sha256').update(certificate).update(ca.join()).digest('base64url')
}
