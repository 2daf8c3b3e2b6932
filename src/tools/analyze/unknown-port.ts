import type { AuthorizationPolicy } from '../../mesh/authorization-policy.ts'
import { selects } from '../../mesh/labels.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Workload } from '../../mesh/workload.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Analyzer } from './analyzer.ts'
import { valuesOf } from './policy-values.ts'

/** Numbers that the help lists. */
const MOST_LISTED = 8

/** A port that no workload of the policy has, mostly the Service's where policies see the workload's own. */
export const unknownPort: Analyzer = ({ mesh, targets }) => {
  const workloads = new Map<AuthorizationPolicy, Workload[]>()
  for (const { workload, policies, triggers } of targets) {
    for (const policy of [...policies, ...triggers]) {
      const known = workloads.get(policy)
      if (known === undefined) workloads.set(policy, [workload])
      else known.push(workload)
    }
  }
  return [...workloads].flatMap(([policy, attached]) => {
    // Ports are known only of workloads that declare theirs; a gateway listens where its Service says.
    const told = attached.every(
      ({ origin, role, ports }) => origin !== null && role.kind === 'sidecar' && ports.length > 0,
    )
    if (!told) return []
    const known = new Set(attached.flatMap(({ ports }) => ports.map(({ number }) => number)))
    return [...valuesOf(policy)].flatMap(({ attribute, values, path }) => {
      if (attribute !== 'destination.port') return []
      return values.flatMap((value, index) => {
        const port = /^[0-9]{1,5}$/.test(value) ? Number(value) : 0
        if (port === 0 || port > 65535 || known.has(port)) return []
        const place = { document: policy.origin.document, path: [...path, index] }
        const message = `no workload of this policy has the port ${port}`
        return [diagnostic('SP406', place, message, { help: proposal(mesh, attached, known, port) })]
      })
    })
  })
}

function proposal(mesh: Mesh, workloads: readonly Workload[], known: ReadonlySet<number>, port: number): string {
  for (const service of mesh.services) {
    const { namespace } = service.meta
    const written = service.ports.find((one) => one.port === port && one.targetPort !== port)
    if (written === undefined || Object.keys(service.selector).length === 0) continue
    const behind = workloads.find((one) => one.namespace === namespace && selects(service.selector, one.labels))
    if (behind === undefined) continue
    const { targetPort } = written
    const target =
      typeof targetPort === 'number' ? targetPort : behind.ports.find(({ name }) => name === targetPort)?.number
    if (target === undefined || !known.has(target)) continue
    return `${port} is the port of the Service \`${service.meta.name}\`; policies see the workload's own: write \`"${target}"\``
  }
  const ports = [...known].sort((a, b) => a - b)
  const listed = ports.slice(0, MOST_LISTED).join(', ')
  return ports.length > MOST_LISTED ? `they have ${listed} and more` : `they have ${listed}`
}
