import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Authorizer } from './authorizer.ts'
import type { Delegation } from './delegation.ts'
import type { DestinationRule } from './destination-rule.ts'
import type { Gateway, KubernetesGateway } from './gateway.ts'
import type { Instance } from './instance.ts'
import type { MeshConfig } from './mesh-config.ts'
import type { PeerAuthentication } from './peer-authentication.ts'
import type { PolicyTest } from './policy-test.ts'
import type { RequestAuthentication } from './request-authentication.ts'
import type { Service, ServiceEntry } from './service.ts'
import type { Sidecar } from './sidecar.ts'
import type { Workload } from './workload.ts'

/** Everything that the files say, decoded. Immutable: a change of files makes a new one. */
export interface Mesh {
  readonly config: MeshConfig
  readonly authorizationPolicies: readonly AuthorizationPolicy[]
  readonly requestAuthentications: readonly RequestAuthentication[]
  readonly peerAuthentications: readonly PeerAuthentication[]
  readonly services: readonly Service[]
  readonly serviceEntries: readonly ServiceEntry[]
  readonly destinationRules: readonly DestinationRule[]
  readonly sidecars: readonly Sidecar[]
  readonly gateways: readonly Gateway[]
  readonly kubernetesGateways: readonly KubernetesGateway[]
  readonly authorizers: readonly Authorizer[]
  readonly delegations: readonly Delegation[]
  readonly policyTests: readonly PolicyTest[]
  /** By `namespace/name`. */
  readonly workloads: ReadonlyMap<string, Workload>
  /** Where workloads can be reached, in the files' order. */
  readonly instances: readonly Instance[]
  /** Namespaces that have a Namespace document, or a resource in them. */
  readonly namespaces: ReadonlySet<string>
}
