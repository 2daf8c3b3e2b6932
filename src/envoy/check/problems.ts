import type { Mesh } from '../../mesh/mesh.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import type { TranslateOptions } from '../translate/workload.ts'
import { delegationProblems } from './delegation-problems.ts'
import { jwtProblems } from './jwt-problems.ts'
import { placementProblems } from './placement-problems.ts'
import { policyProblems } from './policy-problems.ts'
import { providerProblems } from './provider-problems.ts'

/** What Envoy would refuse, or could not do, with the translation of a workload; told at the user's own words. */
export function envoyProblems(
  mesh: Mesh,
  workload: Workload,
  { placement, jwks, service }: Pick<TranslateOptions, 'placement' | 'jwks' | 'service'>,
): readonly Diagnostic[] {
  return [
    ...delegationProblems(mesh, workload),
    ...policyProblems(mesh, workload, service),
    ...jwtProblems(mesh, workload, service, new Set(jwks.byIssuer.keys())),
    ...providerProblems(mesh, workload, service),
    ...placementProblems(placement),
  ]
}
