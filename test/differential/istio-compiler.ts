import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { type FilterOptions, httpFilterStack, networkFilterStack } from '#src/envoy/index.ts'
import type { OtherFilters } from './envoy-engine.ts'
import { fieldsOf, listOf } from './json-fields.ts'
import type { LoadedSpec } from './mesh-file.ts'
import type { Json, MeshSpec } from './spec.ts'

/** What Istio makes of a mesh, and where our filters differ from it (null: nowhere). */
export interface Compiled {
  readonly filters: OtherFilters
  readonly difference: string | null
}

interface Answer {
  readonly error?: string
  readonly istio: Filters
  readonly ours: Filters
}

interface Filters {
  readonly http: readonly Json[] | null
  readonly tcp: readonly Json[] | null
}

const program = fileURLToPath(new URL('../../istio-compiler', import.meta.url))

/** Null where it has not been built; `note` hears so. */
export function startIstioCompiler(note: (text: string) => void): IstioCompiler | null {
  if (existsSync(program)) return new IstioCompiler(program)
  note("Istio's own compiler has not been built: it takes no part")
  return null
}

/** Istio's own compiler: see istio/main.go. */
export class IstioCompiler {
  readonly #child: ChildProcess
  readonly #waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = []

  constructor(path: string) {
    this.#child = spawn(path, [], { stdio: ['pipe', 'pipe', 'ignore'] })
    const { stdout } = this.#child
    if (stdout === null) throw new Error('a piped child has an output')
    createInterface({ input: stdout }).on('line', (line) => {
      // Libraries of Istio's write notes there too.
      if (line.startsWith('{"')) this.#waiting.shift()?.resolve(JSON.parse(line))
    })
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error("Istio's compiler ended"))
    })
  }

  /** Clusters get the prefix in front of Istio's names. */
  async compile(loaded: LoadedSpec, spec: MeshSpec, prefix: string): Promise<Compiled> {
    const { istio, ours, error } = await this.#ask({ ...jobOf(loaded, spec), ours: ourFilters(loaded) })
    if (error !== undefined) throw new Error(`Istio's compiler: ${error}`)
    const prefixed = (filters: readonly Json[] | null) =>
      JSON.parse(JSON.stringify(filters ?? []).replaceAll('"outbound|', `"${prefix}outbound|`)) as object[]
    return {
      filters: { http: prefixed(istio.http), tcp: prefixed(istio.tcp) },
      difference: differenceOf('HTTP', istio.http, ours.http) ?? differenceOf('TCP', istio.tcp, ours.tcp),
    }
  }

  close(): void {
    this.#child.stdin?.end()
    this.#child.kill()
  }

  #ask(job: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#child.stdin?.write(`${JSON.stringify(job)}\n`)
    })
  }
}

function ourFilters({ mesh, workload, service }: LoadedSpec): { readonly http: object; readonly tcp: object } {
  const options: FilterOptions = {
    ...{ rbac: { kind: 'rules' }, prefix: '', service, portView: () => 'itself', secured: true },
    jwks: { byIssuer: new Map(), nobody: '{"keys":[]}', ca: '/nowhere.pem' },
  }
  return {
    http: httpFilterStack(mesh, workload, options).filters,
    tcp: networkFilterStack(mesh, workload, options).filters,
  }
}

function differenceOf(protocol: string, istio: readonly Json[] | null, ours: readonly Json[] | null): string | null {
  const [theirs, mine] = [istio ?? [], ours ?? []]
  for (let i = 0; i < Math.max(theirs.length, mine.length); i++) {
    if (isDeepStrictEqual(theirs[i], mine[i])) continue
    const text = (filter: Json | undefined) => JSON.stringify(filter) ?? 'nothing'
    return `the ${protocol} filter ${i} is not Istio's\n  Istio: ${text(theirs[i])}\n  ours:  ${text(mine[i])}`
  }
  return null
}

/** What istiod would know of the workload. */
function jobOf({ mesh, workload, service, documents }: LoadedSpec, { role }: MeshSpec): object {
  const policies: Json[] = []
  const hosts: string[] = []
  let meshConfig = ''
  for (const document of documents) {
    const { kind, metadata, spec, data } = fieldsOf(document)
    const { name, namespace } = fieldsOf(metadata)
    if (kind === 'AuthorizationPolicy' || kind === 'RequestAuthentication') policies.push(document)
    if (kind === 'ConfigMap') meshConfig = String(fieldsOf(data).mesh)
    if (kind === 'Service') hosts.push(`${namespace}/${name}.${namespace}.svc.cluster.local`)
    if (kind === 'ServiceEntry') hosts.push(...listOf(fieldsOf(spec).hosts).map((host) => `${namespace}/${host}`))
  }
  const gateway = 'gateway.networking.k8s.io/gateway-name'
  const labels = role === 'gatewayApi' || role === 'waypoint' ? { [gateway]: workload.name } : workload.labels
  return {
    policies: policies.map((document) => JSON.stringify(document)).join('\n---\n'),
    // An empty configuration is YAML's null there.
    meshConfig: Object.keys(mesh.config).length === 0 || meshConfig.trim() === '{}' ? '' : meshConfig,
    namespace: workload.namespace,
    labels,
    role: role === 'waypoint' ? 'waypoint' : role === 'sidecar' ? 'sidecar' : 'router',
    hosts,
    service: service && { name: service.name, namespace: service.namespace, external: service.kind === 'ServiceEntry' },
  }
}
