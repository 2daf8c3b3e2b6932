import type { AuthorizationPolicy } from '../authorization-policy.ts'
import { DRY_RUN, parseBool } from '../decode/authorization-policy.ts'
import { labelOf } from '../labels.ts'
import type { Meta } from '../resource.ts'
import type { Findings } from './findings.ts'

/** Annotations that Istio sets on what it makes itself and takes from nobody else. */
const internal = [
  'internal.istio.io/webhook-always-reject',
  'internal.istio.io/parent-namespace',
  'internal.istio.io/parents',
]

/** What Istio's validation refuses in the annotations of any of its kinds; `policy` where it is an AuthorizationPolicy. */
export function validateMetadata(meta: Meta, policy: AuthorizationPolicy | null, findings: Findings): void {
  for (const name of internal) {
    if (labelOf(meta.annotations, name) === null) continue
    const message = `annotation ${name} may not be set by users`
    findings.report('SP218', ['metadata', 'annotations', name], message, 'remove the annotation')
  }
  const text = labelOf(meta.annotations, DRY_RUN)
  if (text === null) return
  const path = ['metadata', 'annotations', DRY_RUN]
  if (policy === null) {
    const help = 'only an AuthorizationPolicy can be tried dry: remove the annotation'
    findings.report('SP216', path, `unsupported annotation ${DRY_RUN}`, help)
    return
  }
  if (parseBool(text) === null) {
    const message = `annotation ${DRY_RUN} has the invalid value ${JSON.stringify(text)}: the policy is enforced`
    findings.report('SP216', path, message, 'write `"true"` or `"false"`')
  }
  if (policy.action !== 'ALLOW' && policy.action !== 'DENY') {
    const message = `annotation ${DRY_RUN} only supports action ALLOW/DENY, found ${policy.action}`
    findings.report('SP216', path, message, 'remove the annotation')
  }
}
