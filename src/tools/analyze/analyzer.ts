import type { AuthorizationPolicy } from '../../mesh/authorization-policy.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { JwtRule } from '../../mesh/request-authentication.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'

/** One check. It reads what it is given and returns what it found; order and repetition do not matter. */
export type Analyzer = (input: AnalyzerInput) => readonly Diagnostic[]

export interface AnalyzerInput {
  readonly mesh: Mesh
  readonly targets: readonly Target[]
}

/** A workload with what applies to it. */
export interface Target {
  readonly workload: Workload
  readonly policies: readonly AuthorizationPolicy[]
  /** The rules of Delegations, in the form of CUSTOM policies. */
  readonly triggers: readonly AuthorizationPolicy[]
  readonly jwtRules: readonly JwtRule[]
}
