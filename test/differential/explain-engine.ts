import { createOfflineKeySource } from '#src/authn/key-source.ts'
import type { CheckClient } from '#src/extauthz/check.ts'
import { createGrpcClient } from '#src/extauthz/client/grpc-client.ts'
import { createHttpClient } from '#src/extauthz/client/http-client.ts'
import { mtlsModeFor } from '#src/mesh/attach.ts'
import type { Provider } from '#src/mesh/provider.ts'
import { findService } from '#src/mesh/registry.ts'
import { compile } from '#src/policy/compile.ts'
import { createInterpreter } from '#src/policy/interpret.ts'
import { createExplainer, type Explainer } from '#src/tools/explain.ts'
import { decodeRequest, isProblem } from '#src/tools/request.ts'
import type { Engine, PreparedMesh } from './engine.ts'
import { fillRequest, type Place, portOf, principalOf } from './fill.ts'
import { type LoadedSpec, loadSpec } from './mesh-file.ts'
import { type Outcome, ofDecision } from './outcome.ts'
import type { Line, RequestSpec } from './spec.ts'

/** Decides by way of `explain`, with the interpreter or with the compiled engine; authorizers are asked for real. */
export class ExplainEngine implements Engine {
  readonly name: 'interpret' | 'compile'
  readonly #place: Omit<Place, 'address'>
  readonly #prepared = new Map<number, { readonly explainer: Explainer; readonly loaded: LoadedSpec }>()
  readonly #clients: CheckClient[] = []

  constructor(name: 'interpret' | 'compile', place: Omit<Place, 'address'>, meshes: readonly PreparedMesh[]) {
    this.name = name
    this.#place = place
    for (const mesh of meshes) this.#prepare(mesh)
  }

  async run({ index, slot }: PreparedMesh, spec: RequestSpec): Promise<Outcome | null> {
    const prepared = this.#prepared.get(index)
    if (prepared === undefined) return null
    const { loaded, explainer } = prepared
    const request = fillRequest(spec, { ...this.#place, address: slot.address })
    const value = explainable(request, loaded, slot.address, this.#place)
    if (value === null) return null
    slot.checks = []
    slot.script = request.script
    const decoded = decodeRequest(value)
    if (isProblem(decoded)) throw new Error(`${decoded.message}: ${JSON.stringify(value)}`)
    const explanation = await explainer.explain(decoded, { trace: false })
    if (isProblem(explanation)) throw new Error(`${explanation.message}: ${JSON.stringify(value)}`)
    return ofDecision(explanation.decision, request.http === null, slot.checks)
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
  }

  #prepare({ index, spec, slot }: PreparedMesh): void {
    const loaded = loadSpec(spec, { ...this.#place, address: slot.address })
    const { mesh, workload } = loaded
    const clients = new Map<string, CheckClient>()
    const ask = (provider: Provider): CheckClient => {
      const known = clients.get(provider.name)
      if (known !== undefined) return known
      const endpoints = () => {
        const found = findService(mesh, provider.service, provider.port)
        return found.kind === 'found' ? found.endpoints : []
      }
      const client =
        provider.kind === 'grpc' ? createGrpcClient(provider, endpoints) : createHttpClient(provider, endpoints)
      clients.set(provider.name, client)
      this.#clients.push(client)
      return client
    }
    const engine = this.name === 'interpret' ? createInterpreter : compile
    const keys = createOfflineKeySource()
    const explainer = createExplainer({ mesh, workload, port: null, keys, now: Date.now, ask, engine })
    this.#prepared.set(index, { explainer, loaded })
  }
}

/** The request in the command line's form, or null where that form cannot say it. */
export function explainable(
  { source, port, http, listed }: RequestSpec,
  { mesh, workload }: LoadedSpec,
  address: string,
  { ports }: Omit<Place, 'address'>,
): Record<string, unknown> | null {
  if (listed !== null) return null
  const mode = mtlsModeFor(mesh, workload, portOf({ port } as RequestSpec, ports))
  const principal = principalOf(source.certificate)
  if (source.certificate !== null) {
    // What only a handshake decides: no certificate, another shape, another trust domain, not one of the mesh.
    const domains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
    const accepted = domains.some((domain) => principal.startsWith(`spiffe://${domain}/ns/`))
    const gateway = workload.role.kind !== 'sidecar'
    if (mode === 'DISABLE' || principal === '' || principal.includes(',') || (!accepted && !gateway)) return null
    if (mode === 'PERMISSIVE' && !source.alpn.some((name) => name.startsWith('istio'))) return null
  }
  const end = {
    source: { ip: source.ip, ...(principal === '' ? {} : { principal }) },
    destination: {
      ip: address,
      port: port === 'main' ? ports.main : ports.other,
      ...(source.sni === '' ? {} : { sni: source.sni }),
    },
  }
  if (http === null) return end
  const [host, ...more] = http.hosts
  if (http.raw !== null || host === undefined || more.length > 0) return null
  const { body } = http
  const framing: Line[] =
    body.kind === 'length'
      ? [['content-length', String(body.text.length)]]
      : body.kind === 'chunked'
        ? [['transfer-encoding', 'chunked']]
        : []
  return {
    ...end,
    method: http.method,
    path: http.target,
    protocol: http.version,
    host,
    headers: [...http.headers, ...framing],
    ...(body.kind === 'none' ? {} : { body: body.kind === 'length' ? body.text : body.chunks.join('') }),
  }
}
