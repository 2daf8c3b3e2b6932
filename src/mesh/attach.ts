import type { AuthorizationPolicy } from './authorization-policy.ts'
import { selects } from './labels.ts'
import type { Mesh } from './mesh.ts'
import type { MtlsMode, PeerAuthentication } from './peer-authentication.ts'
import type { JwtRule } from './request-authentication.ts'
import type { Attachment, Resource, TargetRef } from './resource.ts'
import type { Sidecar } from './sidecar.ts'
import type { Workload } from './workload.ts'

/**
 * The AuthorizationPolicies of a workload: those of its namespace and of the root namespace that attach to it, by creation
 * time, name and namespace. Policies that target a Service depend on the request and are not among them.
 */
export function authorizationPoliciesFor(mesh: Mesh, workload: Workload): readonly AuthorizationPolicy[] {
  return mesh.authorizationPolicies.filter((policy) => attaches(mesh, workload, policy)).sort(byAge)
}

/**
 * The JWT rules of a workload: those of all RequestAuthentications that attach to it, its own namespace's before the root
 * namespace's, sorted by issuer (equal issuers stay in order).
 */
export function jwtRulesFor(mesh: Mesh, workload: Workload): readonly JwtRule[] {
  const attached = mesh.requestAuthentications.filter((policy) => attaches(mesh, workload, policy)).sort(byAge)
  const own = attached.filter((policy) => policy.meta.namespace === workload.namespace)
  const root = attached.filter((policy) => policy.meta.namespace !== workload.namespace)
  const rules = [...own, ...root].flatMap((policy) => policy.jwtRules)
  return rules.sort((a, b) => compare(a.issuer ?? '', b.issuer ?? ''))
}

/**
 * The mTLS mode of a workload's port: the port's, else the workload's, the namespace's, the mesh's, else PERMISSIVE. The
 * oldest policy of a level wins, UNSET asks the next level, and a policy of the root namespace with a selector counts for
 * nothing.
 */
export function mtlsModeFor(mesh: Mesh, workload: Workload, port: number): Exclude<MtlsMode, 'UNSET'> {
  let own: PeerAuthentication | null = null
  let namespace: PeerAuthentication | null = null
  let root: PeerAuthentication | null = null
  for (const policy of [...mesh.peerAuthentications].sort(byAge)) {
    const everyone = policy.selector === null || Object.keys(policy.selector).length === 0
    if (policy.meta.namespace === mesh.config.rootNamespace) {
      if (everyone) root ??= policy
    } else if (policy.meta.namespace === workload.namespace) {
      if (everyone) namespace ??= policy
      else if (policy.selector !== null && selects(policy.selector, workload.labels)) own ??= policy
    }
  }
  const modes = [own?.portLevelMtls.get(port), own?.mtls, namespace?.mtls, root?.mtls]
  for (const mode of modes) if (mode !== undefined && mode !== 'UNSET') return mode
  return 'PERMISSIVE'
}

/** The Sidecar of a workload: one that selects it, else its namespace's, else the root namespace's; the oldest of each. */
export function sidecarFor(mesh: Mesh, workload: Workload): Sidecar | null {
  const sidecars = [...mesh.sidecars].sort(byAge)
  const own = sidecars.filter((sidecar) => sidecar.meta.namespace === workload.namespace)
  return (
    own.find(({ selector }) => selector !== null && selects(selector, workload.labels)) ??
    own.find(({ selector }) => selector === null) ??
    sidecars.find(({ selector, meta }) => selector === null && meta.namespace === mesh.config.rootNamespace) ??
    null
  )
}

interface Attachable extends Resource {
  readonly attachment: Attachment
}

function attaches(mesh: Mesh, workload: Workload, policy: Attachable): boolean {
  const { attachment } = policy
  const { namespace } = policy.meta
  if (namespace !== workload.namespace && namespace !== mesh.config.rootNamespace) return false
  const { role } = workload
  switch (attachment.kind) {
    case 'namespace':
      return role.kind !== 'waypoint'
    case 'selector':
      return role.kind !== 'waypoint' && selects(attachment.labels, workload.labels)
    case 'targets':
      return attachment.targets.some((target) => isTarget(mesh, workload, namespace, target))
    default:
      return attachment satisfies never
  }
}

const GATEWAY_API = 'gateway.networking.k8s.io'

/** A sidecar and a classic gateway are no target of anything. */
function isTarget(mesh: Mesh, workload: Workload, namespace: string, target: TargetRef): boolean {
  const { role } = workload
  if (role.kind !== 'gatewayApi' && role.kind !== 'waypoint') return false
  if (target.group !== GATEWAY_API) return false
  if (target.kind === 'Gateway') return namespace === workload.namespace && target.name === role.gateway
  return (
    target.kind === 'GatewayClass' &&
    target.name === 'istio-waypoint' &&
    role.kind === 'waypoint' &&
    namespace === mesh.config.rootNamespace
  )
}

/** Istio's order of configuration: creation time, then name, then namespace. */
function byAge(a: Resource, b: Resource): number {
  return (
    a.meta.createdAt - b.meta.createdAt ||
    compare(a.meta.name, b.meta.name) ||
    compare(a.meta.namespace, b.meta.namespace)
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
