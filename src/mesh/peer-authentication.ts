import type { Labels, Resource } from './resource.ts'

export type MtlsMode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT'

/** `security.istio.io` PeerAuthentication. */
export interface PeerAuthentication extends Resource {
  readonly kind: 'PeerAuthentication'
  /** Null: the whole namespace (in the root namespace: the mesh). */
  readonly selector: Labels | null
  readonly mtls: MtlsMode
  /** By workload port. */
  readonly portLevelMtls: ReadonlyMap<number, MtlsMode>
}
