import type { Diagnostic } from '../source/diagnostic.ts'
import { diagnostic } from '../source/diagnostic.ts'
import type { Json, Path, SourceDocument } from '../source/document.ts'
import { embedded } from '../source/embedded.ts'
import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Authorizer } from './authorizer.ts'
import { authorizationPolicy, toAuthorizationPolicy } from './decode/authorization-policy.ts'
import { authorizer, toAuthorizer } from './decode/authorizer.ts'
import { Cursor } from './decode/cursor.ts'
import type { Decoder } from './decode/decoder.ts'
import { gateway, kubernetesGateway, toGateway, toKubernetesGateway } from './decode/gateway.ts'
import { operator } from './decode/istio-operator.ts'
import { bare, configMap, controller, pod, service, toService } from './decode/kubernetes.ts'
import { DEFAULT_MESH_CONFIG, meshConfig, toMeshConfig } from './decode/mesh-config.ts'
import type { RawMeta } from './decode/meta.ts'
import { peerAuthentication, toPeerAuthentication } from './decode/peer-authentication.ts'
import { policyTest, toPolicyTest } from './decode/policy-test.ts'
import { requestAuthentication, toRequestAuthentication } from './decode/request-authentication.ts'
import { serviceEntry, toServiceEntry } from './decode/service-entry.ts'
import { sidecar, toSidecar } from './decode/sidecar.ts'
import { workloadEntry, workloadGroup } from './decode/workload-group.ts'
import type { Gateway, KubernetesGateway } from './gateway.ts'
import { type UsedKind, writtenAs } from './kinds.ts'
import type { Mesh } from './mesh.ts'
import type { MeshConfig } from './mesh-config.ts'
import type { PeerAuthentication } from './peer-authentication.ts'
import type { PolicyTest } from './policy-test.ts'
import type { RequestAuthentication } from './request-authentication.ts'
import type { Meta, Origin } from './resource.ts'
import type { Service, ServiceEntry } from './service.ts'
import type { Sidecar } from './sidecar.ts'
import type { Unfolded } from './unfold.ts'
import { unfold } from './unfold.ts'
import type { WorkloadSource } from './workload-source.ts'
import { fromController, fromEntry, fromPod } from './workload-source.ts'
import { assembleWorkloads } from './workloads.ts'

export interface LoadOptions {
  /** The namespace of resources that name none; `default` when absent. */
  readonly defaultNamespace?: string
}

/**
 * Decodes documents into a mesh. A document that cannot be decoded is reported (SP1xx) and left out; one that Istio's
 * validation would refuse is in the mesh as written. Without any error diagnostic the mesh is all that the files say.
 */
export function loadMesh(
  documents: readonly SourceDocument[],
  options: LoadOptions = {},
): { mesh: Mesh; diagnostics: Diagnostic[] } {
  const loader = new Loader(options.defaultNamespace ?? 'default')
  for (const document of documents) {
    for (const unfolded of unfold(document, loader.diagnostics)) loader.add(unfolded)
  }
  return { mesh: loader.mesh(), diagnostics: loader.diagnostics }
}

class Loader {
  readonly diagnostics: Diagnostic[] = []
  readonly #defaultNamespace: string
  readonly #authorizationPolicies: AuthorizationPolicy[] = []
  readonly #requestAuthentications: RequestAuthentication[] = []
  readonly #peerAuthentications: PeerAuthentication[] = []
  readonly #services: Service[] = []
  readonly #serviceEntries: ServiceEntry[] = []
  readonly #sidecars: Sidecar[] = []
  readonly #gateways: Gateway[] = []
  readonly #kubernetesGateways: KubernetesGateway[] = []
  readonly #authorizers: Authorizer[] = []
  readonly #policyTests: PolicyTest[] = []
  readonly #workloads: WorkloadSource[] = []
  readonly #namespaces = new Set<string>()
  readonly #declared = new Map<string, { readonly value: Json; readonly origin: Origin }>()
  #config: MeshConfig = DEFAULT_MESH_CONFIG

  constructor(defaultNamespace: string) {
    this.#defaultNamespace = defaultNamespace
  }

  add(unfolded: Unfolded): void {
    const { kind } = unfolded
    switch (kind) {
      case 'AuthorizationPolicy':
        this.#resource(unfolded, authorizationPolicy, (raw, meta, origin) =>
          this.#authorizationPolicies.push(toAuthorizationPolicy(raw, meta, origin)),
        )
        break
      case 'RequestAuthentication':
        this.#resource(unfolded, requestAuthentication, (raw, meta, origin) =>
          this.#requestAuthentications.push(toRequestAuthentication(raw, meta, origin)),
        )
        break
      case 'PeerAuthentication':
        this.#resource(unfolded, peerAuthentication, (raw, meta, origin) =>
          this.#peerAuthentications.push(toPeerAuthentication(raw, meta, origin)),
        )
        break
      case 'ServiceEntry':
        this.#resource(unfolded, serviceEntry, (raw, meta, origin) =>
          this.#serviceEntries.push(toServiceEntry(raw, meta, origin)),
        )
        break
      case 'Sidecar':
        this.#resource(unfolded, sidecar, (raw, meta, origin) => this.#sidecars.push(toSidecar(raw, meta, origin)))
        break
      case 'Gateway':
        this.#resource(unfolded, gateway, (raw, meta, origin) => this.#gateways.push(toGateway(raw, meta, origin)))
        break
      case 'KubernetesGateway':
        this.#resource(unfolded, kubernetesGateway, (raw, meta, origin) =>
          this.#kubernetesGateways.push(toKubernetesGateway(raw, meta, origin)),
        )
        break
      case 'WorkloadEntry':
        this.#resource(unfolded, workloadEntry, (raw, meta, origin) =>
          this.#workloads.push(fromEntry(kind, raw.spec, meta, origin)),
        )
        break
      case 'WorkloadGroup':
        this.#resource(unfolded, workloadGroup, (raw, meta, origin) =>
          this.#workloads.push(fromEntry(kind, raw.spec, meta, origin)),
        )
        break
      case 'Authorizer':
        this.#resource(unfolded, authorizer, (raw, meta, origin) =>
          this.#authorizers.push(toAuthorizer(raw, meta, origin)),
        )
        break
      case 'PolicyTest':
        this.#resource(unfolded, policyTest, (raw, meta, origin) =>
          this.#policyTests.push(toPolicyTest(raw, meta, origin)),
        )
        break
      case 'Service':
        this.#resource(unfolded, service, (raw, meta, origin) => this.#services.push(toService(raw, meta, origin)))
        break
      case 'Deployment':
      case 'StatefulSet':
      case 'DaemonSet':
      case 'Job':
        this.#resource(unfolded, controller, (raw, meta, origin) =>
          this.#workloads.push(fromController(kind, raw.spec, meta, origin)),
        )
        break
      case 'Pod':
        this.#resource(unfolded, pod, (raw, meta, origin) => this.#workloads.push(fromPod(raw, meta, origin)))
        break
      case 'ServiceAccount':
        this.#resource(unfolded, bare, () => undefined)
        break
      case 'Namespace': {
        const decoded = this.#decode(unfolded, bare)
        if (decoded !== undefined && !unfolded.guessed) this.#namespaces.add(decoded.metadata.name)
        break
      }
      case 'ConfigMap':
        this.#configMap(unfolded)
        break
      case 'IstioOperator': {
        const decoded = this.#decode(unfolded, operator)
        if (decoded === undefined || decoded.spec.meshConfig === null) break
        this.#meshConfig(unfolded.document, [...unfolded.path, 'spec', 'meshConfig'], decoded.spec.meshConfig)
        break
      }
      case 'MeshConfig':
        this.#meshConfig(unfolded.document, unfolded.path, unfolded.value)
        break
      default:
        kind satisfies never
    }
  }

  mesh(): Mesh {
    const { workloads, instances } = assembleWorkloads(
      {
        sources: this.#workloads,
        services: this.#services,
        serviceEntries: this.#serviceEntries,
        gateways: this.#gateways,
        kubernetesGateways: this.#kubernetesGateways,
      },
      this.diagnostics,
    )
    return {
      config: this.#config,
      authorizationPolicies: this.#authorizationPolicies,
      requestAuthentications: this.#requestAuthentications,
      peerAuthentications: this.#peerAuthentications,
      services: this.#services,
      serviceEntries: this.#serviceEntries,
      sidecars: this.#sidecars,
      gateways: this.#gateways,
      kubernetesGateways: this.#kubernetesGateways,
      authorizers: this.#authorizers,
      policyTests: this.#policyTests,
      workloads,
      instances,
      namespaces: this.#namespaces,
    }
  }

  #decode<T>({ value, document, path }: Omit<Unfolded, 'kind' | 'guessed'>, decoder: Decoder<T>): T | undefined {
    const decoding = { document, diagnostics: this.diagnostics, shape: decoder.shape }
    return decoder.decode(Cursor.at(value, path, decoding))
  }

  /** Decodes a namespaced resource and keeps it, unless it was declared before. */
  #resource<T extends { readonly metadata: RawMeta }>(
    unfolded: Unfolded,
    decoder: Decoder<T>,
    keep: (raw: T, meta: Meta, origin: Origin) => unknown,
  ): void {
    const raw = this.#decode(unfolded, decoder)
    if (raw === undefined || unfolded.guessed) return
    const meta = { ...raw.metadata, namespace: raw.metadata.namespace ?? this.#defaultNamespace }
    const origin = { document: unfolded.document, path: unfolded.path }
    if (!this.#declare(unfolded.kind, `${meta.namespace}/${meta.name}`, unfolded.value, origin)) return
    this.#namespaces.add(meta.namespace)
    keep(raw, meta, origin)
  }

  #configMap(unfolded: Unfolded): void {
    const { document, path } = unfolded
    const decoded = this.#decode(unfolded, configMap)
    if (decoded === undefined || unfolded.guessed) return
    const isMesh = /^istio(-.+)?$/.test(decoded.metadata.name) && Object.hasOwn(decoded.data, 'mesh')
    if (!isMesh) {
      const message = `the ConfigMap \`${decoded.metadata.name}\` is not used and was skipped`
      this.diagnostics.push(diagnostic('SP108', { document, path }, message))
      return
    }
    const inner = embedded(document, [...path, 'data', 'mesh'])
    this.diagnostics.push(...inner.diagnostics)
    if (inner.document !== null) this.#meshConfig(inner.document, [], inner.document.value)
  }

  #meshConfig(document: SourceDocument, path: Path, value: Json): void {
    const raw = this.#decode({ document, path, value: value as Unfolded['value'] }, meshConfig)
    const origin = { document, path }
    if (raw === undefined || !this.#declare('MeshConfig', '', value, origin)) return
    this.#config = toMeshConfig(raw, origin)
  }

  #declare(kind: UsedKind | 'MeshConfig', name: string, value: Json, origin: Origin): boolean {
    const key = `${kind} ${name}`
    const before = this.#declared.get(key)
    if (before === undefined) {
      this.#declared.set(key, { value, origin })
      return true
    }
    const { line } = before.origin.document.locate(before.origin.path, 'key')
    const what = kind === 'MeshConfig' ? 'a mesh configuration' : `the ${writtenAs(kind)} \`${name}\``
    const where = `${before.origin.document.file}:${line}`
    if (JSON.stringify(before.value) === JSON.stringify(value)) {
      this.diagnostics.push(diagnostic('SP110', origin, `${what} is declared with the same contents in ${where}`))
    } else {
      const help = 'keep one of them'
      this.diagnostics.push(diagnostic('SP109', origin, `${what} is declared differently in ${where}`, { help }))
    }
    return false
  }
}
