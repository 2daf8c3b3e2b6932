import type { Diagnostic } from '../source/diagnostic.ts'
import type { Mesh } from './mesh.ts'
import type { Attachment, Labels } from './resource.ts'
import { validateAuthorizationPolicy } from './validate/authorization-policy.ts'
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
  const diagnostics: Diagnostic[] = []
  const selectors = new SelectorCheck(mesh)
  validateTrustDomainNames(mesh, diagnostics)
  validateProviders(mesh, diagnostics)
  for (const policy of mesh.authorizationPolicies) {
    const findings = new Findings(policy.origin, diagnostics)
    validateAuthorizationPolicy(policy, findings)
    validateProviderName(mesh, policy, findings)
    selectors.check(policy.meta.namespace, selectorOf(policy.attachment), ['spec', 'selector'], findings)
  }
  for (const policy of mesh.requestAuthentications) {
    const findings = new Findings(policy.origin, diagnostics)
    validateRequestAuthentication(policy, findings)
    selectors.check(policy.meta.namespace, selectorOf(policy.attachment), ['spec', 'selector'], findings)
  }
  for (const policy of mesh.peerAuthentications) {
    const findings = new Findings(policy.origin, diagnostics)
    validatePeerAuthentication(policy, findings)
    selectors.check(policy.meta.namespace, policy.selector, ['spec', 'selector'], findings)
  }
  for (const other of [...mesh.serviceEntries, ...mesh.gateways]) {
    validateMetadata(other.meta, null, new Findings(other.origin, diagnostics))
  }
  for (const sidecar of mesh.sidecars) {
    const findings = new Findings(sidecar.origin, diagnostics)
    validateMetadata(sidecar.meta, null, findings)
    selectors.check(sidecar.meta.namespace, sidecar.selector, ['spec', 'workloadSelector'], findings)
  }
  return diagnostics
}

function selectorOf(attachment: Attachment): Labels | null {
  return attachment.kind === 'selector' ? attachment.labels : null
}
