import type { Diagnostic } from '../source/diagnostic.ts'
import { diagnostic } from '../source/diagnostic.ts'
import type { SourceDocument } from '../source/document.ts'
import { moved } from '../source/moved.ts'
import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Authorizer } from './authorizer.ts'
import { type Declaration, declarationsOf, titleOf } from './declaration.ts'
import { DEFAULT_MESH_CONFIG } from './decode/mesh-config.ts'
import type { Gateway, KubernetesGateway } from './gateway.ts'
import { Identities } from './identities.ts'
import type { Mesh } from './mesh.ts'
import type { MeshConfig } from './mesh-config.ts'
import type { PeerAuthentication } from './peer-authentication.ts'
import type { PolicyTest } from './policy-test.ts'
import type { RequestAuthentication } from './request-authentication.ts'
import type { Service, ServiceEntry } from './service.ts'
import type { Sidecar } from './sidecar.ts'
import type { WorkloadSource } from './workload-source.ts'
import { type Assembled, assembleWorkloads, type WorkloadParts } from './workloads.ts'

export interface LoadOptions {
  /** The namespace of resources that name none; `default` when absent. */
  readonly defaultNamespace?: string
}

export interface LoadedMesh {
  readonly mesh: Mesh
  readonly diagnostics: Diagnostic[]
}

/**
 * Decodes documents into a mesh. A document that cannot be decoded is reported (SP1xx) and left out; one that Istio's
 * validation would refuse is in the mesh as written. Without any error diagnostic the mesh is all that the files say.
 */
export function loadMesh(documents: readonly SourceDocument[], options: LoadOptions = {}): LoadedMesh {
  return new MeshLoader(options).load(documents)
}

/** What a document was decoded to, and where it stood then. */
interface Decoded {
  readonly declarations: readonly Declaration[]
  readonly diagnostics: readonly Diagnostic[]
  readonly linesBefore: number
}

/**
 * Loads a mesh again and again as its documents change. What it gives is what `loadMesh` gives, but resources of documents
 * that are the same objects as the last time are the same objects too, and workloads are while nothing that makes them is
 * another.
 */
export class MeshLoader {
  readonly #defaultNamespace: string
  readonly #decoded = new WeakMap<SourceDocument, Decoded>()
  readonly #identities = new Identities()
  #documents: readonly SourceDocument[] = []
  #assembled: { readonly parts: WorkloadParts; readonly result: Assembled } | null = null

  constructor({ defaultNamespace = 'default' }: LoadOptions = {}) {
    this.#defaultNamespace = defaultNamespace
  }

  load(documents: readonly SourceDocument[]): LoadedMesh {
    const diagnostics: Diagnostic[] = []
    this.#count(documents)
    const collection = new Collection(diagnostics, this.#identities.repeated)
    for (const document of documents) {
      const one = this.#decode(document)
      for (const found of one.diagnostics) diagnostics.push(moved(found, document.linesBefore - one.linesBefore))
      for (const declaration of one.declarations) collection.add(declaration)
    }
    const { workloads, instances } = this.#assemble(collection, diagnostics)
    return { mesh: { ...collection.resources(), workloads, instances }, diagnostics }
  }

  /** Counts what the documents that are new declare, and no more what those that are gone did. */
  #count(documents: readonly SourceDocument[]): void {
    const before = this.#documents
    const most = Math.min(before.length, documents.length)
    let start = 0
    while (start < most && before[start] === documents[start]) start++
    let end = 0
    while (end < most - start && before.at(-1 - end) === documents.at(-1 - end)) end++
    for (const document of before.slice(start, before.length - end)) {
      for (const { identity } of this.#decode(document).declarations) {
        if (identity !== null) this.#identities.remove(identity)
      }
    }
    for (const document of documents.slice(start, documents.length - end)) {
      for (const { identity } of this.#decode(document).declarations) {
        if (identity !== null) this.#identities.add(identity)
      }
    }
    this.#documents = documents
  }

  #decode(document: SourceDocument): Decoded {
    const known = this.#decoded.get(document)
    if (known !== undefined) return known
    const { declarations, diagnostics } = declarationsOf(document, this.#defaultNamespace)
    const decoded = { declarations, diagnostics, linesBefore: document.linesBefore }
    this.#decoded.set(document, decoded)
    return decoded
  }

  #assemble(parts: WorkloadParts, diagnostics: Diagnostic[]): Assembled {
    const last = this.#assembled
    if (last !== null && sameParts(last.parts, parts)) return last.result
    const before = diagnostics.length
    const result = assembleWorkloads(parts, diagnostics)
    // Diagnostics name lines, which move.
    this.#assembled = diagnostics.length === before ? { parts, result } : null
    return result
  }
}

function sameParts(a: WorkloadParts, b: WorkloadParts): boolean {
  return (
    sameItems(a.sources, b.sources) &&
    sameItems(a.services, b.services) &&
    sameItems(a.serviceEntries, b.serviceEntries) &&
    sameItems(a.gateways, b.gateways) &&
    sameItems(a.kubernetesGateways, b.kubernetesGateways)
  )
}

function sameItems(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}

/** What all documents declare, each thing once. */
class Collection implements WorkloadParts {
  readonly sources: WorkloadSource[] = []
  readonly services: Service[] = []
  readonly serviceEntries: ServiceEntry[] = []
  readonly gateways: Gateway[] = []
  readonly kubernetesGateways: KubernetesGateway[] = []
  readonly #authorizationPolicies: AuthorizationPolicy[] = []
  readonly #requestAuthentications: RequestAuthentication[] = []
  readonly #peerAuthentications: PeerAuthentication[] = []
  readonly #sidecars: Sidecar[] = []
  readonly #authorizers: Authorizer[] = []
  readonly #policyTests: PolicyTest[] = []
  readonly #namespaces = new Set<string>()
  readonly #declared = new Map<string, Declaration>()
  readonly #diagnostics: Diagnostic[]
  readonly #repeated: boolean
  #config: MeshConfig = DEFAULT_MESH_CONFIG

  /** `repeated`: whether something may be declared twice. */
  constructor(diagnostics: Diagnostic[], repeated: boolean) {
    this.#diagnostics = diagnostics
    this.#repeated = repeated
  }

  add(declaration: Declaration): void {
    if (this.#repeated && !this.#isFirst(declaration)) return
    if (declaration.namespace !== null) this.#namespaces.add(declaration.namespace)
    switch (declaration.kind) {
      case 'AuthorizationPolicy':
        this.#authorizationPolicies.push(declaration.resource)
        break
      case 'RequestAuthentication':
        this.#requestAuthentications.push(declaration.resource)
        break
      case 'PeerAuthentication':
        this.#peerAuthentications.push(declaration.resource)
        break
      case 'ServiceEntry':
        this.serviceEntries.push(declaration.resource)
        break
      case 'Sidecar':
        this.#sidecars.push(declaration.resource)
        break
      case 'Gateway':
        this.gateways.push(declaration.resource)
        break
      case 'KubernetesGateway':
        this.kubernetesGateways.push(declaration.resource)
        break
      case 'Authorizer':
        this.#authorizers.push(declaration.resource)
        break
      case 'PolicyTest':
        this.#policyTests.push(declaration.resource)
        break
      case 'Service':
        this.services.push(declaration.resource)
        break
      case 'workload':
        this.sources.push(declaration.resource)
        break
      case 'MeshConfig':
        this.#config = declaration.config
        break
      case 'name':
        break
      default:
        declaration satisfies never
    }
  }

  resources(): Omit<Mesh, 'workloads' | 'instances'> {
    return {
      config: this.#config,
      authorizationPolicies: this.#authorizationPolicies,
      requestAuthentications: this.#requestAuthentications,
      peerAuthentications: this.#peerAuthentications,
      services: this.services,
      serviceEntries: this.serviceEntries,
      sidecars: this.#sidecars,
      gateways: this.gateways,
      kubernetesGateways: this.kubernetesGateways,
      authorizers: this.#authorizers,
      policyTests: this.#policyTests,
      namespaces: this.#namespaces,
    }
  }

  #isFirst(declaration: Declaration): boolean {
    const { identity, origin, value } = declaration
    if (identity === null) return true
    const first = this.#declared.get(identity)
    if (first === undefined) {
      this.#declared.set(identity, declaration)
      return true
    }
    const { line } = first.origin.document.locate(first.origin.path, 'key')
    const where = `${first.origin.document.file}:${line}`
    const title = titleOf(identity)
    if (JSON.stringify(first.value) === JSON.stringify(value)) {
      this.#diagnostics.push(diagnostic('SP110', origin, `${title} is declared with the same contents in ${where}`))
    } else {
      const help = 'keep one of them'
      this.#diagnostics.push(diagnostic('SP109', origin, `${title} is declared differently in ${where}`, { help }))
    }
    return false
  }
}
