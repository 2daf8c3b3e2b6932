import { authorizationPoliciesFor } from '../../mesh/attach.ts'
import type { Plan } from './runtime.ts'

/** The workloads with listeners whose requests no policy can refuse: none enforced is an ALLOW, a DENY or a CUSTOM. */
export function unrestricted({ mesh, local }: Plan): readonly string[] {
  return local
    .filter(({ inbound }) => inbound.length > 0)
    .filter(({ workload }) => {
      const policies = authorizationPoliciesFor(mesh, workload)
      return !policies.some(({ action, dryRun }) => action !== 'AUDIT' && !dryRun)
    })
    .map(({ workload }) => `${workload.namespace}/${workload.name}`)
}
