import type { CheckClient } from '../../extauthz/check.ts'
import { createGrpcClient } from '../../extauthz/client/grpc-client.ts'
import { createHttpClient } from '../../extauthz/client/http-client.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import { findService } from '../../mesh/registry.ts'

/** How long a client of an old configuration may still answer the requests that hold it, in milliseconds. */
const RETIRE_AFTER = 60_000

/** One client a provider, kept with its warm connections across reloads that do not change the provider. */
export class ProviderClients {
  readonly #clients = new Map<string, CheckClient>()
  readonly #retiring = new Map<CheckClient, NodeJS.Timeout>()
  readonly #mesh: () => Mesh

  /** `mesh` is asked at every check, so that endpoints follow the files. */
  constructor(mesh: () => Mesh) {
    this.#mesh = mesh
  }

  get(provider: Provider): CheckClient {
    const key = JSON.stringify(provider)
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    const endpoints = () => this.endpoints(provider)
    const client =
      provider.kind === 'grpc' ? createGrpcClient(provider, endpoints) : createHttpClient(provider, endpoints)
    this.#clients.set(key, client)
    return client
  }

  endpoints(provider: Provider): readonly { readonly address: string; readonly port: number }[] {
    const found = findService(this.#mesh(), provider.service, provider.port)
    return found.kind === 'found' ? found.endpoints : []
  }

  /** Lets go of the clients of providers that are no longer there. */
  retain(providers: readonly Provider[]): void {
    const kept = new Set(providers.map((provider) => JSON.stringify(provider)))
    for (const [key, client] of this.#clients) {
      if (kept.has(key)) continue
      this.#clients.delete(key)
      const timer = setTimeout(() => {
        this.#retiring.delete(client)
        void client.close()
      }, RETIRE_AFTER)
      timer.unref()
      this.#retiring.set(client, timer)
    }
  }

  async close(): Promise<void> {
    for (const timer of this.#retiring.values()) clearTimeout(timer)
    // An open connection would keep the process from ending.
    await Promise.all([...this.#clients.values(), ...this.#retiring.keys()].map((client) => client.close()))
  }
}
