import { authorizationPoliciesFor, jwtRulesFor } from '../../mesh/attach.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Labels } from '../../mesh/resource.ts'
import type { Workload } from '../../mesh/workload.ts'
import type { Target } from './analyzer.ts'

/**
 * The mesh's workloads and, since policies are often checked without their workloads, one imagined workload for every
 * namespace and selector that a policy names and no workload has.
 */
export function targetsOf(mesh: Mesh): readonly Target[] {
  const workloads = [...mesh.workloads.values()]
  for (const { meta, attachment } of mesh.authorizationPolicies) {
    const labels = attachment.kind === 'selector' ? attachment.labels : {}
    const namespace = meta.namespace
    if (attachment.kind === 'targets' || workloads.some((one) => one.namespace === namespace && has(one, labels))) {
      continue
    }
    workloads.push(imagined(namespace, labels))
  }
  return workloads.map((workload) => ({
    workload,
    policies: authorizationPoliciesFor(mesh, workload),
    jwtRules: jwtRulesFor(mesh, workload),
  }))
}

function has(workload: Workload, labels: Labels): boolean {
  return Object.entries(labels).every(([name, value]) => workload.labels[name] === value)
}

function imagined(namespace: string, labels: Labels): Workload {
  return {
    kind: 'CommandLine',
    namespace,
    name: '',
    labels,
    serviceAccount: 'default',
    role: { kind: 'sidecar' },
    ports: [],
    addresses: [],
    origin: null,
  }
}
