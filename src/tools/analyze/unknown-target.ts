import { WAYPOINT_CLASS } from '../../mesh/gateway.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Attachment, Resource, TargetRef } from '../../mesh/resource.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import { suggest } from '../../source/suggest.ts'
import type { Analyzer } from './analyzer.ts'

/** A target that does not exist, so that the policy applies to nothing. */
export const unknownTarget: Analyzer = ({ mesh }) =>
  [...mesh.authorizationPolicies, ...mesh.requestAuthentications].flatMap((policy) => {
    const { attachment, meta, origin } = policy
    if (attachment.kind !== 'targets') return []
    const plural = pluralOf(policy)
    return attachment.targets.flatMap((target, index) => {
      const problem = problemOf(mesh, meta.namespace, target)
      if (problem === null) return []
      const at = plural ? ['targetRefs', index] : ['targetRef']
      const place = { document: origin.document, path: [...origin.path, 'spec', ...at, 'name'] }
      return [
        diagnostic('SP408', place, `${problem.message}: the policy attaches to nothing by it`, { help: problem.help }),
      ]
    })
  })

function pluralOf({ origin, attachment }: Resource & { readonly attachment: Attachment }): boolean {
  if (attachment.kind === 'targets' && attachment.targets.length > 1) return true
  const root = origin.path.reduce<unknown>(
    (at, step) => (at as Record<string | number, unknown>)[step],
    origin.document.value,
  )
  const { spec } = root as { readonly spec?: { readonly targetRefs?: unknown } }
  return Array.isArray(spec?.targetRefs) && spec.targetRefs.length > 0
}

interface Problem {
  readonly message: string
  readonly help: string
}

function problemOf(mesh: Mesh, namespace: string, { group, kind, name }: TargetRef): Problem | null {
  if (group === 'gateway.networking.k8s.io' && kind === 'GatewayClass') return classProblem(mesh, namespace, name)
  const known = candidatesOf(mesh, group, kind)
  // Without any resource of that kind, the files are not the whole mesh.
  if (
    name === '' ||
    known.length === 0 ||
    known.some(({ meta }) => meta.namespace === namespace && meta.name === name)
  ) {
    return null
  }
  const message = `there is no ${kind} \`${name}\` in the namespace \`${namespace}\``
  const elsewhere = known.find(({ meta }) => meta.name === name)
  if (elsewhere !== undefined) {
    return { message, help: `it is in \`${elsewhere.meta.namespace}\`: a target is of the policy's own namespace` }
  }
  const here = known.filter(({ meta }) => meta.namespace === namespace).map(({ meta }) => meta.name)
  const near = suggest(name, here)
  return { message, help: near === null ? `name a ${kind} of the policy's namespace` : `write \`${near}\`` }
}

function candidatesOf(mesh: Mesh, group: string, kind: string): readonly Resource[] {
  if (group === '' && kind === 'Service') return mesh.services
  if (group === 'networking.istio.io' && kind === 'ServiceEntry') return mesh.serviceEntries
  return group === 'gateway.networking.k8s.io' && kind === 'Gateway' ? mesh.kubernetesGateways : []
}

function classProblem(mesh: Mesh, namespace: string, name: string): Problem | null {
  const { rootNamespace } = mesh.config
  if (name !== WAYPOINT_CLASS) {
    const message = `the class of gateways \`${name}\` takes no policies`
    return { message, help: `write \`${WAYPOINT_CLASS}\`, or name the Gateway` }
  }
  if (namespace === rootNamespace) return null
  const message = `a policy for all waypoints counts in the root namespace only, and this one is in \`${namespace}\``
  return { message, help: `put it into \`${rootNamespace}\`, or name the Gateway` }
}
