import type { Outcome } from './outcome.ts'
import type { Slot } from './slot.ts'
import type { MeshSpec, RequestSpec } from './spec.ts'

export type EngineName = 'interpret' | 'compile' | 'proxy' | 'rules' | 'matcher' | 'istio'

/** One way to decide, ready for a batch of meshes. */
export interface Engine {
  readonly name: EngineName
  /** Runs one request; null where this engine cannot be asked about it. Of one mesh, one after another. */
  run(mesh: PreparedMesh, request: RequestSpec): Promise<Outcome | null>
  close(): Promise<void>
}

/** A mesh in its place for one engine. */
export interface PreparedMesh {
  /** Among the meshes of the batch. */
  readonly index: number
  readonly spec: MeshSpec
  readonly slot: Slot
}

/** Why a mesh cannot be run by an engine; the mesh then counts as a disagreement with those that can. */
export interface Refusal {
  readonly index: number
  readonly engine: EngineName
  readonly message: string
}
