import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Delegation } from './delegation.ts'
import { WAYPOINT_CLASS } from './gateway.ts'
import { selects } from './labels.ts'
import type { Mesh } from './mesh.ts'
import type { MtlsMode, PeerAuthentication } from './peer-authentication.ts'
import type { JwtRule } from './request-authentication.ts'
import type { Attachment, Resource, TargetRef } from './resource.ts'
import type { TargetService } from './service.ts'
import type { Sidecar } from './sidecar.ts'
import type { Workload } from './workload.ts'

/**
 * The AuthorizationPolicies of a workload: those of its namespace and of the root namespace that attach to it, by creation
 * time, name and namespace. At a waypoint they also depend on the service that the request is for (`serviceOfHost`);
 * elsewhere it changes nothing.
 */
export function authorizationPoliciesFor(
  mesh: Mesh,
  workload: Workload,
  service: TargetService | null = null,
): readonly AuthorizationPolicy[] {
  return mesh.authorizationPolicies.filter((policy) => attaches(mesh, workload, service, policy)).sort(byAge)
}

/** The Delegations of a workload, in the order in which they ask: by creation time, name and namespace. */
export function delegationsFor(mesh: Mesh, workload: Workload): readonly Delegation[] {
  return mesh.delegations.filter((delegation) => attaches(mesh, workload, null, delegation)).sort(byAge)
}

/**
 * The JWT rules of a workload: those of all RequestAuthentications that attach to it, its own namespace's before the root
 * namespace's, and a waypoint's service's last, sorted by issuer (equal issuers stay in order).
 */
export function jwtRulesFor(mesh: Mesh, workload: Workload, service: TargetService | null = null): readonly JwtRule[] {
  const attached = mesh.requestAuthentications.filter((policy) => attaches(mesh, workload, service, policy)).sort(byAge)
  const namespaces = new Set([workload.namespace, mesh.config.rootNamespace, ...attached.map(namespaceOf)])
  const rules = [...namespaces].flatMap((namespace) =>
    attached.filter((policy) => namespaceOf(policy) === namespace).flatMap((policy) => policy.jwtRules),
  )
  return rules.sort((a, b) => compare(a.issuer ?? '', b.issuer ?? ''))
}

/**
 * The mTLS mode of a workload's port: the port's, else the workload's, the namespace's, the mesh's, else PERMISSIVE. The
 * oldest policy of a level wins, UNSET asks the next level, and a policy of the root namespace with a selector counts for
 * nothing. A gateway's servers say for themselves who needs a certificate, so that STRICT refuses nobody there.
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
  const { kind } = workload.role
  const gateway = kind === 'gateway' || kind === 'gatewayApi'
  for (const mode of modes) {
    if (mode !== undefined && mode !== 'UNSET') return gateway && mode === 'STRICT' ? 'PERMISSIVE' : mode
  }
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

function namespaceOf({ meta }: Resource): string {
  return meta.namespace
}

/** As istio/istio pilot/pkg/model/policyattachment.go. */
export function attaches(mesh: Mesh, workload: Workload, service: TargetService | null, policy: Attachable): boolean {
  const { attachment } = policy
  const { namespace } = policy.meta
  const { role } = workload
  if (namespace !== workload.namespace && namespace !== mesh.config.rootNamespace) {
    if (role.kind !== 'waypoint' || namespace !== service?.namespace) return false
  }
  switch (attachment.kind) {
    case 'namespace':
      return role.kind !== 'waypoint'
    case 'selector':
      return role.kind !== 'waypoint' && selects(attachment.labels, workload.labels)
    case 'targets':
      return attachment.targets.some((target) => isTarget(mesh, workload, service, namespace, target))
    default:
      return attachment satisfies never
  }
}

const GATEWAY_API = 'gateway.networking.k8s.io'

/** Group and kind of what `targetRefs` may name, but for the Gateway API's. */
const serviceGroups: Readonly<Record<TargetService['kind'], string>> = {
  Service: '',
  ServiceEntry: 'networking.istio.io',
}

/** A sidecar and a classic gateway are no target of anything. */
function isTarget(
  mesh: Mesh,
  workload: Workload,
  service: TargetService | null,
  namespace: string,
  target: TargetRef,
): boolean {
  const { role } = workload
  if (role.kind !== 'gatewayApi' && role.kind !== 'waypoint') return false
  if (target.group === GATEWAY_API && target.kind === 'Gateway') {
    const here = target.namespace === '' || target.namespace === workload.namespace
    return here && namespace === workload.namespace && target.name === role.gateway
  }
  if (role.kind !== 'waypoint') return false
  if (target.group === GATEWAY_API && target.kind === 'GatewayClass') {
    return target.name === WAYPOINT_CLASS && namespace === mesh.config.rootNamespace
  }
  return (
    service !== null &&
    target.kind === service.kind &&
    target.group === serviceGroups[service.kind] &&
    target.name === service.name &&
    namespace === service.namespace
  )
}

/** Istio's order of configuration: creation time, then name, then namespace. */
export function byAge(a: Resource, b: Resource): number {
  return (
    a.meta.createdAt - b.meta.createdAt ||
    compare(a.meta.name, b.meta.name) ||
    compare(a.meta.namespace, b.meta.namespace)
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
