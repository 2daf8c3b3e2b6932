import { type Diagnostic, diagnostic } from '../source/diagnostic.ts'
import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Authorizer } from './authorizer.ts'
import { type Declaration, titleOf } from './declaration.ts'
import { DEFAULT_MESH_CONFIG } from './decode/mesh-config.ts'
import type { Delegation } from './delegation.ts'
import type { DestinationRule } from './destination-rule.ts'
import type { Gateway, KubernetesGateway } from './gateway.ts'
import type { Mesh } from './mesh.ts'
import type { MeshConfig } from './mesh-config.ts'
import type { PeerAuthentication } from './peer-authentication.ts'
import type { PolicyTest } from './policy-test.ts'
import type { RequestAuthentication } from './request-authentication.ts'
import type { Service, ServiceEntry } from './service.ts'
import type { Sidecar } from './sidecar.ts'
import type { WorkloadSource } from './workload-source.ts'
import type { WorkloadParts } from './workloads.ts'

/** What documents declare, by kind, in their order. */
export class Collection implements WorkloadParts {
  readonly sources: WorkloadSource[] = []
  readonly services: Service[] = []
  readonly serviceEntries: ServiceEntry[] = []
  readonly gateways: Gateway[] = []
  readonly kubernetesGateways: KubernetesGateway[] = []
  readonly #authorizationPolicies: AuthorizationPolicy[] = []
  readonly #requestAuthentications: RequestAuthentication[] = []
  readonly #peerAuthentications: PeerAuthentication[] = []
  readonly #destinationRules: DestinationRule[] = []
  readonly #sidecars: Sidecar[] = []
  readonly #authorizers: Authorizer[] = []
  readonly #delegations: Delegation[] = []
  readonly #policyTests: PolicyTest[] = []
  readonly #namespaces = new Set<string>()
  #config: MeshConfig | null = null

  add(declaration: Declaration): void {
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
      case 'DestinationRule':
        this.#destinationRules.push(declaration.resource)
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
      case 'Delegation':
        this.#delegations.push(declaration.resource)
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

  /** Also what others have declared, after what is here. */
  addAll(other: Collection): void {
    append(this.sources, other.sources)
    append(this.services, other.services)
    append(this.serviceEntries, other.serviceEntries)
    append(this.gateways, other.gateways)
    append(this.kubernetesGateways, other.kubernetesGateways)
    append(this.#authorizationPolicies, other.#authorizationPolicies)
    append(this.#requestAuthentications, other.#requestAuthentications)
    append(this.#peerAuthentications, other.#peerAuthentications)
    append(this.#destinationRules, other.#destinationRules)
    append(this.#sidecars, other.#sidecars)
    append(this.#authorizers, other.#authorizers)
    append(this.#delegations, other.#delegations)
    append(this.#policyTests, other.#policyTests)
    for (const namespace of other.#namespaces) this.#namespaces.add(namespace)
    this.#config = other.#config ?? this.#config
  }

  resources(): Omit<Mesh, 'workloads' | 'instances'> {
    return {
      config: this.#config ?? DEFAULT_MESH_CONFIG,
      authorizationPolicies: this.#authorizationPolicies,
      requestAuthentications: this.#requestAuthentications,
      peerAuthentications: this.#peerAuthentications,
      services: this.services,
      serviceEntries: this.serviceEntries,
      destinationRules: this.#destinationRules,
      sidecars: this.#sidecars,
      gateways: this.gateways,
      kubernetesGateways: this.kubernetesGateways,
      authorizers: this.#authorizers,
      delegations: this.#delegations,
      policyTests: this.#policyTests,
      namespaces: this.#namespaces,
    }
  }
}

function append<T>(list: T[], more: readonly T[]): void {
  for (const item of more) list.push(item)
}

/** Lets each thing be declared once, and reports what is declared again. */
export class FirstOfEach {
  readonly #declared = new Map<string, Declaration>()
  readonly #diagnostics: Diagnostic[]

  constructor(diagnostics: Diagnostic[]) {
    this.#diagnostics = diagnostics
  }

  isFirst(declaration: Declaration): boolean {
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
