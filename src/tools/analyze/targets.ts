import { authorizationPoliciesFor, jwtRulesFor } from '../../mesh/attach.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Labels } from '../../mesh/resource.ts'
import type { TargetService } from '../../mesh/service.ts'
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
  const services = targetedServices(mesh)
  return workloads.map((workload) => {
    // What a waypoint does is looked at for all services together, as one of them may have what another has not.
    const asked = workload.role.kind === 'waypoint' ? [null, ...services] : [null]
    return {
      workload,
      policies: unique(asked.flatMap((service) => authorizationPoliciesFor(mesh, workload, service))),
      jwtRules: unique(asked.flatMap((service) => jwtRulesFor(mesh, workload, service))),
    }
  })
}

/** The services that policies name. */
function targetedServices(mesh: Mesh): readonly TargetService[] {
  const found = new Map<string, TargetService>()
  for (const { meta, attachment } of [...mesh.authorizationPolicies, ...mesh.requestAuthentications]) {
    if (attachment.kind !== 'targets') continue
    for (const { kind, name } of attachment.targets) {
      if (kind !== 'Service' && kind !== 'ServiceEntry') continue
      found.set(`${kind} ${meta.namespace}/${name}`, { kind, namespace: meta.namespace, name })
    }
  }
  return [...found.values()]
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)]
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
