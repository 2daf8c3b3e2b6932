import { createHash } from 'node:crypto'
import type { CheckClient } from '../../extauthz/check.ts'
import { createGrpcClient } from '../../extauthz/client/grpc-client.ts'
import { createHttpClient } from '../../extauthz/client/http-client.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import { findService } from '../../mesh/registry.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { WorkloadIdentity } from '../../proxy/config.ts'
import { connectProvider } from '../../proxy/provider-connect.ts'
import { providerTls, targetTls } from '../../proxy/provider-tls.ts'

/** How long a client of an old configuration may still answer the requests that hold it, in milliseconds. */
const RETIRE_AFTER = 60_000

export interface ProviderClientsOptions {
  /** Asked at every check, so that endpoints follow the files. */
  readonly mesh: () => Mesh
  /** Asked at every connection; null when there is no certificate to be had. */
  readonly identity: (workload: Workload) => WorkloadIdentity | null
}

/**
 * One client a provider, shared by the workloads that reach it in the same way, and kept with its warm connections across
 * reloads that do not change that. With mutual TLS each workload has its own, a new one for each certificate.
 */
export class ProviderClients {
  readonly #clients = new Map<string, CheckClient>()
  readonly #retiring = new Map<CheckClient, NodeJS.Timeout>()
  readonly #options: ProviderClientsOptions
  #used = new Set<string>()

  constructor(options: ProviderClientsOptions) {
    this.#options = options
  }

  /** Before the clients of a configuration are asked for. */
  begin(): void {
    this.#used = new Set()
  }

  /** `mesh` and `identity` are those of the configuration that is being made. */
  get(provider: Provider, workload: Workload, mesh: Mesh, identity: WorkloadIdentity): CheckClient {
    const tls = providerTls(mesh, workload, provider)
    const mutual = tls.some(({ kind }) => kind === 'istioMutual')
    // Rules may be for some clients only.
    const client = mesh.destinationRules.length === 0 ? null : [workload.namespace, workload.labels]
    const key = JSON.stringify([provider, tls, client, mutual ? [identity.id, digestOf(identity)] : null])
    this.#used.add(key)
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    const created = this.#create(provider, workload)
    this.#clients.set(key, created)
    return created
  }

  endpoints(provider: Provider): readonly { readonly address: string; readonly port: number }[] {
    const found = findService(this.#options.mesh(), provider.service, provider.port)
    return found.kind === 'found' ? found.endpoints : []
  }

  /** The configuration is in use: lets go of the clients that it did not ask for. */
  settle(): void {
    for (const [key, client] of this.#clients) {
      if (this.#used.has(key)) continue
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

  #create(provider: Provider, workload: Workload): CheckClient {
    const { mesh, identity } = this.#options
    const endpoints = () => this.endpoints(provider)
    const connect = connectProvider(
      provider.kind,
      (target) => targetTls(mesh(), workload, provider, target),
      () => identity(workload),
    )
    return provider.kind === 'grpc'
      ? createGrpcClient(provider, endpoints, { connect })
      : createHttpClient(provider, endpoints, { connect })
  }
}

/** Of what mutual TLS rests on, without the key. */
function digestOf({ certificate, ca }: WorkloadIdentity): string {
  return createHash('sha256').update(certificate).update(ca.join()).digest('base64url')
}
