import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Authorizer } from './authorizer.ts'
import type { MeshConfig } from './mesh-config.ts'
import type { PeerAuthentication } from './peer-authentication.ts'
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
  readonly sidecars: readonly Sidecar[]
  readonly authorizers: readonly Authorizer[]
  /** By `namespace/name`. */
  readonly workloads: ReadonlyMap<string, Workload>
  /** Namespaces that have a Namespace document, or a resource in them. */
  readonly namespaces: ReadonlySet<string>
}
