import type { Diagnostic } from '../source/diagnostic.ts'
import { diagnostic } from '../source/diagnostic.ts'
import type { Json, Path, SourceDocument } from '../source/document.ts'
import { embedded } from '../source/embedded.ts'
import { valueAt } from '../source/value.ts'
import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Authorizer } from './authorizer.ts'
import { authorizationPolicy, toAuthorizationPolicy } from './decode/authorization-policy.ts'
import { authorizer, toAuthorizer } from './decode/authorizer.ts'
import { Cursor } from './decode/cursor.ts'
import type { Decoder } from './decode/decoder.ts'
import { delegation, toDelegation } from './decode/delegation.ts'
import { destinationRule, toDestinationRule } from './decode/destination-rule.ts'
import { gateway, kubernetesGateway, toGateway, toKubernetesGateway } from './decode/gateway.ts'
import { operator } from './decode/istio-operator.ts'
import { bare, configMap, controller, pod, service, toService } from './decode/kubernetes.ts'
import { meshConfig, proxyConfig, toMeshConfig } from './decode/mesh-config.ts'
import type { RawMeta } from './decode/meta.ts'
import { peerAuthentication, toPeerAuthentication } from './decode/peer-authentication.ts'
import { policyTest, toPolicyTest } from './decode/policy-test.ts'
import { requestAuthentication, toRequestAuthentication } from './decode/request-authentication.ts'
import { serviceEntry, toServiceEntry } from './decode/service-entry.ts'
import { sidecar, toSidecar } from './decode/sidecar.ts'
import { workloadEntry, workloadGroup } from './decode/workload-group.ts'
import type { Delegation } from './delegation.ts'
import type { DestinationRule } from './destination-rule.ts'
import type { Gateway, KubernetesGateway } from './gateway.ts'
import { type GatewayTopology, PROXY_CONFIG_ANNOTATION } from './gateway-topology.ts'
import { type UsedKind, writtenAs } from './kinds.ts'
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

/** What one document says, before anything is known of the others. */
export type Declaration = {
  readonly origin: Origin
  /** As it was written. */
  readonly value: Json
  /** `Kind namespace/name`, which may be declared once; null for what may be declared any number of times. */
  readonly identity: string | null
  /** The namespace that it stands in. */
  readonly namespace: string | null
} & Declared

type Declared =
  | { readonly kind: 'AuthorizationPolicy'; readonly resource: AuthorizationPolicy }
  | { readonly kind: 'RequestAuthentication'; readonly resource: RequestAuthentication }
  | { readonly kind: 'PeerAuthentication'; readonly resource: PeerAuthentication }
  | { readonly kind: 'ServiceEntry'; readonly resource: ServiceEntry }
  | { readonly kind: 'DestinationRule'; readonly resource: DestinationRule }
  | { readonly kind: 'Sidecar'; readonly resource: Sidecar }
  | { readonly kind: 'Gateway'; readonly resource: Gateway }
  | { readonly kind: 'KubernetesGateway'; readonly resource: KubernetesGateway }
  | { readonly kind: 'Authorizer'; readonly resource: Authorizer }
  | { readonly kind: 'Delegation'; readonly resource: Delegation }
  | { readonly kind: 'PolicyTest'; readonly resource: PolicyTest }
  | { readonly kind: 'Service'; readonly resource: Service }
  | { readonly kind: 'workload'; readonly resource: WorkloadSource }
  /** Its namespace is all that counts. */
  | { readonly kind: 'name' }
  | { readonly kind: 'MeshConfig'; readonly config: MeshConfig }

/** What a declaration is called in messages. */
export function titleOf(identity: string): string {
  const [kind = '', name] = identity.split(' ')
  return name === undefined ? 'a mesh configuration' : `the ${writtenAs(kind as UsedKind)} \`${name}\``
}

/**
 * Decodes a document. What cannot be decoded is reported and left out. `defaultNamespace` is that of resources that name
 * none.
 */
export function declarationsOf(
  document: SourceDocument,
  defaultNamespace: string,
): { readonly declarations: readonly Declaration[]; readonly diagnostics: readonly Diagnostic[] } {
  const decoding = new DocumentDecoding(defaultNamespace)
  for (const unfolded of unfold(document, decoding.diagnostics)) decoding.add(unfolded)
  return decoding
}

class DocumentDecoding {
  readonly declarations: Declaration[] = []
  readonly diagnostics: Diagnostic[] = []
  readonly #defaultNamespace: string

  constructor(defaultNamespace: string) {
    this.#defaultNamespace = defaultNamespace
  }

  add(unfolded: Unfolded): void {
    const declaration = this.#declare(unfolded)
    if (declaration !== null) this.declarations.push(declaration)
  }

  #declare(unfolded: Unfolded): Declaration | null {
    const { kind } = unfolded
    switch (kind) {
      case 'AuthorizationPolicy':
        return this.#resource(unfolded, authorizationPolicy, (raw, meta, origin) => ({
          kind,
          resource: toAuthorizationPolicy(raw, meta, origin),
        }))
      case 'RequestAuthentication':
        return this.#resource(unfolded, requestAuthentication, (raw, meta, origin) => ({
          kind,
          resource: toRequestAuthentication(raw, meta, origin),
        }))
      case 'PeerAuthentication':
        return this.#resource(unfolded, peerAuthentication, (raw, meta, origin) => ({
          kind,
          resource: toPeerAuthentication(raw, meta, origin),
        }))
      case 'ServiceEntry':
        return this.#resource(unfolded, serviceEntry, (raw, meta, origin) => ({
          kind,
          resource: toServiceEntry(raw, meta, origin),
        }))
      case 'DestinationRule':
        return this.#resource(unfolded, destinationRule, (raw, meta, origin) => ({
          kind,
          resource: toDestinationRule(raw, meta, origin),
        }))
      case 'Sidecar':
        return this.#resource(unfolded, sidecar, (raw, meta, origin) => ({
          kind,
          resource: toSidecar(raw, meta, origin),
        }))
      case 'Gateway':
        return this.#resource(unfolded, gateway, (raw, meta, origin) => ({
          kind,
          resource: toGateway(raw, meta, origin),
        }))
      case 'KubernetesGateway':
        return this.#resource(unfolded, kubernetesGateway, (raw, meta, origin) => ({
          kind,
          resource: toKubernetesGateway(raw, meta, origin, this.#topology(unfolded, gatewayAnnotations(raw.spec))),
        }))
      case 'WorkloadEntry':
        return this.#resource(unfolded, workloadEntry, (raw, meta, origin) => ({
          kind: 'workload',
          resource: fromEntry(kind, raw.spec, meta, origin),
        }))
      case 'WorkloadGroup':
        return this.#resource(unfolded, workloadGroup, (raw, meta, origin) => ({
          kind: 'workload',
          resource: fromEntry(kind, raw.spec, meta, origin),
        }))
      case 'Authorizer':
        return this.#resource(unfolded, authorizer, (raw, meta, origin) => ({
          kind,
          resource: toAuthorizer(raw, meta, origin),
        }))
      case 'Delegation':
        return this.#resource(unfolded, delegation, (raw, meta, origin) => ({
          kind,
          resource: toDelegation(raw, meta, origin),
        }))
      case 'PolicyTest':
        return this.#resource(unfolded, policyTest, (raw, meta, origin) => ({
          kind,
          resource: toPolicyTest(raw, meta, origin),
        }))
      case 'Service':
        return this.#resource(unfolded, service, (raw, meta, origin) => ({
          kind,
          resource: toService(raw, meta, origin),
        }))
      case 'Deployment':
      case 'StatefulSet':
      case 'DaemonSet':
      case 'Job':
        return this.#resource(unfolded, controller, (raw, meta, origin) => ({
          kind: 'workload',
          resource: fromController(
            kind,
            raw.spec,
            meta,
            origin,
            this.#topology(unfolded, ['spec', 'template', 'metadata']),
          ),
        }))
      case 'Pod':
        return this.#resource(unfolded, pod, (raw, meta, origin) => ({
          kind: 'workload',
          resource: fromPod(raw, meta, origin, this.#topology(unfolded, ['metadata'])),
        }))
      case 'ServiceAccount':
        return this.#resource(unfolded, bare, () => ({ kind: 'name' }))
      case 'Namespace':
        return this.#namespace(unfolded)
      case 'ConfigMap':
        return this.#configMap(unfolded)
      case 'IstioOperator': {
        const decoded = this.#decode(unfolded, operator)
        if (decoded === undefined || decoded.spec.meshConfig === null) return null
        return this.#meshConfig(unfolded.document, [...unfolded.path, 'spec', 'meshConfig'], decoded.spec.meshConfig)
      }
      case 'MeshConfig':
        return this.#meshConfig(unfolded.document, unfolded.path, unfolded.value)
      default:
        return kind satisfies never
    }
  }

  #decode<T>({ value, document, path }: Omit<Unfolded, 'kind' | 'guessed'>, decoder: Decoder<T>): T | undefined {
    const decoding = { document, diagnostics: this.diagnostics, shape: decoder.shape }
    return decoder.decode(Cursor.at(value, path, decoding))
  }

  #resource<T extends { readonly metadata: RawMeta }>(
    unfolded: Unfolded,
    decoder: Decoder<T>,
    make: (raw: T, meta: Meta, origin: Origin) => Declared,
  ): Declaration | null {
    const raw = this.#decode(unfolded, decoder)
    if (raw === undefined || unfolded.guessed) return null
    const namespace = raw.metadata.namespace ?? this.#defaultNamespace
    const meta = { ...raw.metadata, namespace }
    const origin = { document: unfolded.document, path: unfolded.path }
    const identity = `${unfolded.kind} ${namespace}/${meta.name}`
    return { ...make(raw, meta, origin), origin, value: unfolded.value, identity, namespace }
  }

  #namespace(unfolded: Unfolded): Declaration | null {
    const decoded = this.#decode(unfolded, bare)
    if (decoded === undefined || unfolded.guessed) return null
    const { document, path, value } = unfolded
    const namespace = decoded.metadata.name
    return { kind: 'name', origin: { document, path }, value, identity: null, namespace }
  }

  #configMap(unfolded: Unfolded): Declaration | null {
    const { document, path } = unfolded
    const decoded = this.#decode(unfolded, configMap)
    if (decoded === undefined || unfolded.guessed) return null
    const isMesh = /^istio(-.+)?$/.test(decoded.metadata.name) && Object.hasOwn(decoded.data, 'mesh')
    if (!isMesh) {
      const message = `the ConfigMap \`${decoded.metadata.name}\` is not used and was skipped`
      this.diagnostics.push(diagnostic('SP108', { document, path }, message))
      return null
    }
    const inner = embedded(document, [...path, 'data', 'mesh'])
    this.diagnostics.push(...inner.diagnostics)
    return inner.document === null ? null : this.#meshConfig(inner.document, [], inner.document.value)
  }

  /** What the annotation of the proxy says in the metadata at `within`. */
  #topology({ document, path }: Unfolded, within: Path): GatewayTopology | null {
    const place = [...path, ...within, 'annotations', PROXY_CONFIG_ANNOTATION]
    if (typeof valueAt(document.value, place) !== 'string') return null
    const inner = embedded(document, place)
    this.diagnostics.push(...inner.diagnostics)
    if (inner.document === null || inner.document.value === null) return null
    const value = inner.document.value as Unfolded['value']
    return this.#decode({ document: inner.document, path: [], value }, proxyConfig)?.gatewayTopology ?? null
  }

  #meshConfig(document: SourceDocument, path: Path, value: Json): Declaration | null {
    const raw = this.#decode({ document, path, value: value as Unfolded['value'] }, meshConfig)
    if (raw === undefined) return null
    const origin = { document, path }
    const config = toMeshConfig(raw, origin)
    const kind = 'MeshConfig'
    return { kind, config, origin, value, identity: kind, namespace: null }
  }
}

/** Where the annotations of a gateway's Pods come from. */
function gatewayAnnotations({ infrastructure }: { readonly infrastructure: object | null }): Path {
  return infrastructure === null ? ['metadata'] : ['spec', 'infrastructure']
}
