import type { Json, Path } from '../../source/document.ts'
import { suggest } from '../../source/suggest.ts'
import type { Labels } from '../resource.ts'
import type { Findings } from './findings.ts'

/** Istio's limit for `targetRefs`. */
const MOST_TARGETS = 16

/** The conditions of `selector`, `targetRef` and `targetRefs`, which several kinds share. */
export function validateAttachment(findings: Findings): void {
  const targetRefs = asList(findings.written(['spec', 'targetRefs']))
  const written = ['selector', 'targetRef'].filter((field) => findings.written(['spec', field]) !== undefined)
  if (targetRefs.length > 0) written.push('targetRefs')
  if (written.length > 1) {
    const message = 'only one of targetRefs or workloadSelector can be set'
    findings.atKey('SP201', ['spec', written.at(-1) as string], message, `keep one of \`${written.join('`, `')}\``)
  }
  validateSelector(findings)
  if (targetRefs.length > MOST_TARGETS) {
    const message = `targetRefs may not have more than ${MOST_TARGETS} entries, found ${targetRefs.length}`
    findings.atKey('SP217', ['spec', 'targetRefs'], message, 'split the policy')
  }
  const targetRef = findings.written(['spec', 'targetRef'])
  if (targetRef !== undefined) validateTarget(findings, ['spec', 'targetRef'])
  for (const index of targetRefs.keys()) validateTarget(findings, ['spec', 'targetRefs', index])
}

export function validateSelector(findings: Findings): void {
  const selector = findings.written(['spec', 'selector'])
  if (selector === undefined) return
  const path = ['spec', 'selector', 'matchLabels']
  const labels = (findings.written(path) ?? {}) as Labels
  const entries = Object.entries(labels)
  // A misspelt `matchLabels` has been reported as such.
  if (entries.length === 0 && Object.keys(selector ?? {}).every((key) => key === 'matchLabels')) {
    const help = 'name the labels under `matchLabels`, or leave `selector` out to mean the whole namespace'
    findings.atKey('SP250', ['spec', 'selector'], 'workload selector specified without labels', help)
  }
  for (const [key, value] of entries) {
    const label = JSON.stringify(`${key}=${value}`)
    if (key === '') {
      findings.atKey(
        'SP202',
        [...path, key],
        `empty key is not supported in selector: ${label}`,
        'write the label name',
      )
    }
    if (key.includes('*') || value.includes('*')) {
      const help = 'a selector compares whole labels: write the value, or give the workloads a label in common'
      findings.atValue('SP202', [...path, key], `wildcard is not supported in selector: ${label}`, help)
    }
  }
}

const targetKinds = [
  { group: '', kind: 'Service' },
  { group: 'networking.istio.io', kind: 'ServiceEntry' },
  { group: 'gateway.networking.k8s.io', kind: 'Gateway' },
  { group: 'gateway.networking.k8s.io', kind: 'GatewayClass' },
]

function validateTarget(findings: Findings, path: Path): void {
  const field = (name: string): string => {
    const value = findings.written([...path, name])
    return typeof value === 'string' ? value : ''
  }
  if (field('name') === '') findings.atKey('SP203', path, 'targetRef name must be set', 'write `name`')
  if (field('namespace') !== '') {
    const message = 'targetRef namespace must not be set; cross namespace referencing is not supported'
    findings.atKey('SP203', [...path, 'namespace'], message, "put the policy into the target's namespace")
  }
  const group = field('group') === 'core' ? '' : field('group')
  const kind = field('kind')
  if (targetKinds.some((allowed) => allowed.group === group && allowed.kind === kind)) return
  const near = suggest(
    kind,
    targetKinds.map((allowed) => allowed.kind),
  )
  const meant = targetKinds.find((allowed) => allowed.kind === near)
  const names = targetKinds.map((allowed) => `${allowed.group === '' ? 'core' : allowed.group}/${allowed.kind}`)
  const message = `targetRef must be to one of ${names.join(', ')} but was ${field('group')}/${kind}`
  const help =
    meant === undefined
      ? 'name one of these'
      : `write \`group: ${JSON.stringify(meant.group)}\`, \`kind: ${meant.kind}\``
  findings.atKey('SP203', path, message, help)
}

function asList(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : []
}
