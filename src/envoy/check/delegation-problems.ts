import { delegationsFor } from '../../mesh/attach.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Workload } from '../../mesh/workload.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'

/** A configuration without a Delegation that is in force would let through what its providers refuse. */
export function delegationProblems(mesh: Mesh, workload: Workload): readonly Diagnostic[] {
  return delegationsFor(mesh, workload).map(({ meta, origin, providers }) => {
    const place = { document: origin.document, path: [...origin.path, 'metadata', 'name'] }
    const name = `${meta.namespace}/${meta.name}`
    if (providers.every(({ mode }) => mode === 'shadow')) {
      const help = 'nothing is enforced by it: run `sallyport up` to hear what its providers would say'
      return diagnostic('SP608', place, `Envoy is not told of the Delegation \`${name}\`, which is in shadow`, { help })
    }
    const help =
      'leave its file out to get a configuration that does not ask them, or ask one of them by an AuthorizationPolicy with `action: CUSTOM`'
    const message = `the Delegation \`${name}\` cannot be given to Envoy: what its providers refuse would pass`
    return diagnostic('SP607', place, message, { help })
  })
}
