import type { PeerAuthentication } from '../peer-authentication.ts'
import { validateSelector } from './attachment.ts'
import type { Findings } from './findings.ts'
import { validateMetadata } from './metadata.ts'

/** What Istio's validation refuses in a PeerAuthentication. */
export function validatePeerAuthentication(policy: PeerAuthentication, findings: Findings): void {
  validateMetadata(policy.meta, null, findings)
  validateSelector(findings)
  const everyone = policy.selector === null || Object.keys(policy.selector).length === 0
  const path = ['spec', 'portLevelMtls']
  if (everyone && policy.portLevelMtls.size > 0) {
    const message = 'mesh/namespace peer authentication cannot have port level mTLS'
    findings.report('SP230', path, message, 'add a `selector` with the labels of the workload')
  }
  if (findings.written(path) !== undefined && policy.portLevelMtls.size === 0) {
    const message = 'port level mTLS, if defined, must have at least one element'
    findings.report('SP230', path, message, 'name a port, or remove it')
  }
  for (const port of policy.portLevelMtls.keys()) {
    if (port >= 1 && port <= 65535) continue
    findings.report('SP230', [...path, String(port)], 'port must be in range 1..65535', "write the workload's own port")
  }
}
