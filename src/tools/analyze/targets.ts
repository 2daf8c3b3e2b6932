import { delegationsFor, jwtRulesFor } from '../../mesh/attach.ts'
import { Attachments } from '../../mesh/attachments.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Labels } from '../../mesh/resource.ts'
import type { TargetService } from '../../mesh/service.ts'
import { undescribedWorkload, type Workload } from '../../mesh/workload.ts'
import type { Target } from './analyzer.ts'

/**
 * The mesh's workloads and, since policies are often checked without their workloads, one imagined workload for every
 * namespace and selector that a policy or Delegation names and no workload has.
 */
export function targetsOf(mesh: Mesh): readonly Target[] {
  const workloads = [...mesh.workloads.values()]
  const known = new LabelIndex(workloads)
  for (const { meta, attachment } of [...mesh.authorizationPolicies, ...mesh.delegations]) {
    const labels = attachment.kind === 'selector' ? attachment.labels : {}
    const namespace = meta.namespace
    if (attachment.kind === 'targets' || known.has(namespace, labels)) continue
    const workload = undescribedWorkload(namespace, '', labels)
    workloads.push(workload)
    known.add(workload)
  }
  const services = targetedServices(mesh)
  const attachments = new Attachments(mesh)
  return workloads.map((workload) => {
    // What a waypoint does is looked at for all services together, as one of them may have what another has not.
    const asked = workload.role.kind === 'waypoint' ? [null, ...services] : [null]
    return {
      workload,
      triggers: delegationsFor(mesh, workload).flatMap(({ trigger }) => trigger ?? []),
      policies: unique(asked.flatMap((service) => attachments.policiesFor(workload, service))),
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

/** Workloads by each of their labels. */
class LabelIndex {
  readonly #workloads = new Map<string, Workload[]>()

  constructor(workloads: readonly Workload[]) {
    for (const workload of workloads) this.add(workload)
  }

  add(workload: Workload): void {
    for (const label of [[], ...Object.entries(workload.labels)]) {
      const key = JSON.stringify([workload.namespace, ...label])
      const same = this.#workloads.get(key)
      if (same === undefined) this.#workloads.set(key, [workload])
      else same.push(workload)
    }
  }

  /** Whether a workload of the namespace has all these labels. */
  has(namespace: string, labels: Labels): boolean {
    const wanted = Object.entries(labels)
    const candidates = [[], ...wanted].map((label) => this.#workloads.get(JSON.stringify([namespace, ...label])) ?? [])
    const fewest = candidates.reduce((least, some) => (some.length < least.length ? some : least))
    return fewest.some((workload) => wanted.every(([name, value]) => workload.labels[name] === value))
  }
}
