import type { ProviderClient } from '../../extauthz/client/client-status.ts'
import type { Endpoint, EndpointSource } from '../../extauthz/client/endpoints.ts'
import { createGrpcClient } from '../../extauthz/client/grpc-client.ts'
import { createHttpClient } from '../../extauthz/client/http-client.ts'
import { ProviderTelemetry } from '../../extauthz/client/provider-telemetry.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import { findService } from '../../mesh/registry.ts'
import type { Logger } from '../../observe/log.ts'
import type { MetricsRegistry } from '../../observe/metrics.ts'

/** How long a client of an old configuration may still answer the requests that hold it, in milliseconds. */
const RETIRE_AFTER = 60_000

/** One client a provider, kept with its warm connections across reloads that do not change the provider. */
export class ProviderClients {
  readonly #clients = new Map<string, { readonly provider: Provider; readonly client: ProviderClient }>()
  readonly #retiring = new Map<ProviderClient, NodeJS.Timeout>()
  readonly #mesh: () => Mesh
  readonly #telemetry: ProviderTelemetry

  /** `mesh` is asked at every check, so that endpoints follow the files. */
  constructor(mesh: () => Mesh, log: Logger, metrics: MetricsRegistry) {
    this.#mesh = mesh
    this.#telemetry = new ProviderTelemetry(log, metrics)
  }

  get(provider: Provider): ProviderClient {
    const key = JSON.stringify(provider)
    const known = this.#clients.get(key)
    if (known !== undefined) return known.client
    const endpoints = endpointsOf(provider, this.#mesh)
    // It connects once what it belongs to runs: authorizers of the same files may not listen yet.
    const options = { events: this.#telemetry.eventsOf(provider), warm: false }
    const client =
      provider.kind === 'grpc'
        ? createGrpcClient(provider, endpoints, options)
        : createHttpClient(provider, endpoints, options)
    this.#clients.set(key, { provider, client })
    this.#telemetry.watch(provider, client)
    return client
  }

  /** Lets go of the clients of providers that are no longer there, and has the others connect. */
  retain(providers: readonly Provider[]): void {
    const kept = new Set(providers.map((provider) => JSON.stringify(provider)))
    for (const [key, { client }] of this.#clients) {
      if (kept.has(key)) client.warm()
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
