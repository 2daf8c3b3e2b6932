import type { Diagnostic } from '../source/diagnostic.ts'
import { moved } from '../source/moved.ts'
import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Delegation } from './delegation.ts'
import type { Mesh } from './mesh.ts'
import type { PeerAuthentication } from './peer-authentication.ts'
import type { RequestAuthentication } from './request-authentication.ts'
import type { Attachment, Labels, Resource } from './resource.ts'
import type { Sidecar } from './sidecar.ts'
import { validateAuthorizationPolicy } from './validate/authorization-policy.ts'
import { validateDelegation } from './validate/delegation.ts'
import { validateDestinationRule } from './validate/destination-rule.ts'
import { Findings } from './validate/findings.ts'
import { validateProviderName, validateProviders, validateTrustDomainNames } from './validate/mesh-wide.ts'
import { validateMetadata } from './validate/metadata.ts'
import { validatePeerAuthentication } from './validate/peer-authentication.ts'
import { validateRequestAuthentication } from './validate/request-authentication.ts'
import { SelectorCheck } from './validate/selectors.ts'

/**
 * What Istio's validation says of resources that decode (SP2xx), and what does not fit together in the mesh (SP3xx). A
 * policy with errors stays in the mesh, since Istio's data plane would still act on it.
 */
export function validateMesh(mesh: Mesh): Diagnostic[] {
  return new MeshValidator().validate(mesh)
}

/** What was found of a resource, and where its document stood then. */
interface Found {
  readonly diagnostics: readonly Diagnostic[]
  readonly linesBefore: number
}

/**
 * Validates a mesh again and again as it changes. What it gives is what `validateMesh` gives; resources that are the same
 * objects as the last time are looked at again only when what they refer to has changed.
 */
export class MeshValidator {
  #mesh: Mesh | null = null
  #found = new WeakMap<Resource, Found>()

  validate(mesh: Mesh): Diagnostic[] {
    if (this.#mesh !== null && !sameSurroundings(this.#mesh, mesh)) this.#found = new WeakMap()
    this.#mesh = mesh
    const diagnostics: Diagnostic[] = []
    validateTrustDomainNames(mesh, diagnostics)
    validateProviders(mesh, diagnostics)
    const selectors = new SelectorCheck(mesh)
    const each = <R extends Resource>(resources: readonly R[], validate: (resource: R, findings: Findings) => void) => {
      for (const resource of resources) {
        const one = this.#findingsOf(resource, validate)
        const lines = resource.origin.document.linesBefore - one.linesBefore
        for (const diagnostic of one.diagnostics) diagnostics.push(moved(diagnostic, lines))
      }
    }
    each(mesh.authorizationPolicies, (policy: AuthorizationPolicy, findings) => {
      validateAuthorizationPolicy(policy, findings)
      validateProviderName(mesh, policy, findings)
      selectors.check(policy.meta.namespace, selectorOf(policy.attachment), ['spec', 'selector'], findings)
    })
    each(mesh.requestAuthentications, (policy: RequestAuthentication, findings) => {
      validateRequestAuthentication(policy, findings)
      selectors.check(policy.meta.namespace, selectorOf(policy.attachment), ['spec', 'selector'], findings)
    })
    each(mesh.peerAuthentications, (policy: PeerAuthentication, findings) => {
      validatePeerAuthentication(policy, findings)
      selectors.check(policy.meta.namespace, policy.selector, ['spec', 'selector'], findings)
    })
    each(mesh.delegations, (delegation: Delegation, findings) => {
      validateDelegation(mesh, delegation, findings)
      selectors.check(delegation.meta.namespace, selectorOf(delegation.attachment), ['spec', 'selector'], findings)
    })
    each([...mesh.serviceEntries, ...mesh.gateways], ({ meta }, findings) => validateMetadata(meta, null, findings))
    each(mesh.destinationRules, validateDestinationRule)
    each(mesh.sidecars, ({ meta, selector }: Sidecar, findings) => {
      validateMetadata(meta, null, findings)
      selectors.check(meta.namespace, selector, ['spec', 'workloadSelector'], findings)
    })
    return diagnostics
  }

  #findingsOf<R extends Resource>(resource: R, validate: (resource: R, findings: Findings) => void): Found {
    const known = this.#found.get(resource)
    if (known !== undefined) return known
    const diagnostics: Diagnostic[] = []
    validate(resource, new Findings(resource.origin, diagnostics))
    const found = { diagnostics, linesBefore: resource.origin.document.linesBefore }
    this.#found.set(resource, found)
    return found
  }
}

/** Whether all that a policy can refer to is the same. */
function sameSurroundings(a: Mesh, b: Mesh): boolean {
  return (
    a.config === b.config &&
    a.workloads === b.workloads &&
    sameItems(a.services, b.services) &&
    sameItems(a.serviceEntries, b.serviceEntries) &&
    sameItems(a.gateways, b.gateways) &&
    sameItems(a.kubernetesGateways, b.kubernetesGateways) &&
    a.namespaces.size === b.namespaces.size &&
    [...a.namespaces].every((namespace) => b.namespaces.has(namespace))
  )
}

function sameItems(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}

function selectorOf(attachment: Attachment): Labels | null {
  return attachment.kind === 'selector' ? attachment.labels : null
}
