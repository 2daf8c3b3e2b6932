import { authorizationPoliciesFor, delegationsFor } from '../../mesh/attach.ts'
import type { Plan } from './runtime.ts'

/** The workloads with listeners whose requests no policy can refuse: none enforced is an ALLOW, a DENY, a CUSTOM or a Delegation. */
export function unrestricted({ mesh, local }: Plan): readonly string[] {
  return local
    .filter(({ inbound }) => inbound.length > 0)
    .filter(({ workload }) => {
      const policies = authorizationPoliciesFor(mesh, workload)
      const delegations = delegationsFor(mesh, workload)
      if (delegations.some(({ providers }) => providers.some(({ mode }) => mode === 'enforce'))) return false
      return !policies.some(({ action, dryRun }) => action !== 'AUDIT' && !dryRun)
    })
    .map(({ workload }) => `${workload.namespace}/${workload.name}`)
}
