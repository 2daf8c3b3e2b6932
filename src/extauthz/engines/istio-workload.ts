import { attaches, delegationsFor } from '../../mesh/attach.ts'
import type { AuthorizationPolicy } from '../../mesh/authorization-policy.ts'
import type { IstioEngine } from '../../mesh/authorizer.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { undescribedWorkload, type Workload } from '../../mesh/workload.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'
import { suggest } from '../../source/suggest.ts'

/** The workloads that requests may be for: one, or any of the files. */
export type Chosen =
  | { readonly kind: 'one'; readonly workload: Workload }
  | { readonly kind: 'any' }
  | { readonly kind: 'none'; readonly message: string }

export function chooseWorkload(mesh: Mesh, engine: IstioEngine): Chosen {
  const { workload: choice } = engine
  const names = [...mesh.workloads.keys()].sort()
  switch (choice.kind) {
    case 'contextExtension':
      return names.length === 0 ? none('the files describe no workload') : { kind: 'any' }
    case 'only': {
      const [only] = mesh.workloads.values()
      if (only !== undefined && names.length === 1) return { kind: 'one', workload: only }
      const what = names.length === 0 ? 'no workload' : `several workloads (${listed(names)})`
      return none(`the files describe ${what}: say whose policies decide with \`workload: NAMESPACE/NAME\``)
    }
    case 'named': {
      const id = fullName(choice.name, engine)
      const known = mesh.workloads.get(id)
      if (known !== undefined) {
        return { kind: 'one', workload: { ...known, labels: { ...known.labels, ...choice.labels } } }
      }
      if (choice.labels === null) {
        const near = suggest(id, names)
        const there = names.length === 0 ? '' : near === null ? ` (there are: ${listed(names)})` : ` (\`${near}\`?)`
        return none(`no workload \`${id}\` in the files${there}: name one, or give it \`labels\``)
      }
      const [namespace = '', name = ''] = id.split('/', 2)
      return { kind: 'one', workload: undescribedWorkload(namespace, name, choice.labels) }
    }
    default:
      return choice satisfies never
  }
}

/** A name without a namespace is one of the Authorizer's own. */
export function fullName(name: string, { namespace }: IstioEngine): string {
  return name.includes('/') ? name : `${namespace}/${name}`
}

function none(message: string): Chosen {
  return { kind: 'none', message }
}

function listed(names: readonly string[]): string {
  return names.length > 10 ? `${names.slice(0, 10).join(', ')}, ..` : names.join(', ')
}

/** A CUSTOM policy, or a Delegation that is enforced, asks somebody else, and here is who was asked. */
export function delegations(mesh: Mesh, chosen: Chosen): readonly Diagnostic[] {
  const workloads = chosen.kind === 'one' ? [chosen.workload] : [...mesh.workloads.values()]
  const help = 'leave it to the proxy that asks, and out of the `paths` of this engine'
  const own = new Set(workloads.flatMap((workload) => delegationsFor(mesh, workload)))
  const enforced = [...own]
    .filter(({ providers }) => providers.some(({ mode }) => mode === 'enforce'))
    .map(({ origin }) =>
      diagnostic(
        'SP502',
        { document: origin.document, path: [...origin.path, 'kind'] },
        'a Delegation cannot be decided by an authorizer: it would have to ask another one',
        { help },
      ),
    )
  const custom = mesh.authorizationPolicies
    .filter((policy) => policy.action === 'CUSTOM' && workloads.some((workload) => reaches(mesh, workload, policy)))
    .map(({ origin }) =>
      diagnostic(
        'SP502',
        { document: origin.document, path: [...origin.path, 'spec', 'action'] },
        'a CUSTOM policy cannot be decided by an authorizer: it would have to ask another one',
        { help },
      ),
    )
  return [...custom, ...enforced]
}

function reaches(mesh: Mesh, workload: Workload, policy: AuthorizationPolicy): boolean {
  if (attaches(mesh, workload, null, policy)) return true
  // At a waypoint it may be for one of its services.
  return workload.role.kind === 'waypoint' && policy.attachment.kind === 'targets'
}
