import type { Json, Path } from '../../source/document.ts'
import { suggest } from '../../source/suggest.ts'
import type { Findings } from './findings.ts'
import { bySchema } from './findings.ts'

/** Istio's limit for `targetRefs`. */
const MOST_TARGETS = 16

const attachmentFields = ['selector', 'targetRef', 'targetRefs']

/** The conditions of `selector`, `targetRef` and `targetRefs`, which several kinds share. */
export function validateAttachment(findings: Findings): void {
  const targetRefs = asList(findings.written(['spec', 'targetRefs']))
  const written = attachmentFields.filter((field) => findings.written(['spec', field]) !== undefined)
  if (written.length > 1) {
    const byIstio = written.filter((field) => field !== 'targetRefs' || targetRefs.length > 0).length > 1
    const message = byIstio
      ? 'only one of targetRefs or workloadSelector can be set'
      : bySchema('only one of targetRefs or selector can be set, even if empty')
    findings.report('SP201', ['spec', written.at(-1) as string], message, `keep one of \`${written.join('`, `')}\``)
  }
  validateSelector(findings)
  if (targetRefs.length > MOST_TARGETS) {
    const message = bySchema(`targetRefs may not have more than ${MOST_TARGETS} entries, found ${targetRefs.length}`)
    findings.report('SP217', ['spec', 'targetRefs'], message, 'split the policy')
  }
  const targetRef = findings.written(['spec', 'targetRef'])
  if (targetRef !== undefined) validateTarget(findings, ['spec', 'targetRef'])
  for (const index of targetRefs.keys()) validateTarget(findings, ['spec', 'targetRefs', index])
}

/** Limits of the schema of `selector`. */
const LONGEST_LABEL = 63
const MOST_LABELS = 4096

export function validateSelector(findings: Findings): void {
  const selector = findings.written(['spec', 'selector'])
  if (selector === undefined) return
  const path = ['spec', 'selector', 'matchLabels']
  const entries = Object.entries(findings.written(path) ?? {})
  // A misspelt `matchLabels` has been reported as such.
  if (entries.length === 0 && Object.keys(selector ?? {}).every((key) => key === 'matchLabels')) {
    const help = 'name the labels under `matchLabels`, or leave `selector` out to mean the whole namespace'
    findings.report('SP250', ['spec', 'selector'], 'workload selector specified without labels', help)
  }
  if (entries.length > MOST_LABELS) {
    const message = bySchema(`matchLabels may not have more than ${MOST_LABELS} entries, found ${entries.length}`)
    findings.report('SP217', path, message, 'name only the labels that tell the workloads apart')
  }
  for (const [key, value] of entries) {
    const label = JSON.stringify(`${key}=${value}`)
    if (key === '') {
      findings.report(
        'SP202',
        [...path, key],
        `empty key is not supported in selector: ${label}`,
        'write the label name',
      )
    }
    // Another value than text has been reported as such.
    if (typeof value !== 'string') continue
    if (key.includes('*') || value.includes('*')) {
      const help = 'a selector compares whole labels: write the value, or give the workloads a label in common'
      findings.report('SP202', [...path, key], `wildcard is not supported in selector: ${label}`, help)
    }
    if (length(value) > LONGEST_LABEL) {
      const message = bySchema(`the value of a label may not have more than ${LONGEST_LABEL} characters`)
      findings.report('SP202', [...path, key], message, 'no workload has such a label')
    }
  }
}

/** Limit of Kubernetes for names. */
const LONGEST_NAME = 253

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
  const misspelt = findings.hasOther(path, ['group', 'kind', 'name', 'namespace'])
  if (field('name') === '' && !misspelt) findings.report('SP203', path, 'targetRef name must be set', 'write `name`')
  if (length(field('name')) > LONGEST_NAME) {
    const message = bySchema(`targetRef name may not have more than ${LONGEST_NAME} characters`)
    findings.report('SP203', [...path, 'name'], message, 'no resource has such a name')
  }
  if (field('namespace') !== '') {
    const message = 'targetRef namespace must not be set; cross namespace referencing is not supported'
    findings.report('SP203', [...path, 'namespace'], message, "put the policy into the target's namespace")
  }
  const group = field('group') === 'core' ? '' : field('group')
  const kind = field('kind')
  if (targetKinds.some((allowed) => allowed.group === group && allowed.kind === kind)) return
  if (misspelt && (group === '' || kind === '')) return
  const near = suggest(
    kind,
    targetKinds.map((allowed) => allowed.kind),
  )
  const meant = targetKinds.find((allowed) => allowed.kind === near)
  const names = targetKinds.map((allowed) => `${allowed.group === '' ? 'core' : allowed.group}/${allowed.kind}`)
  const message = `targetRef must be to one of ${names.join(', ')} but was ${field('group')}/${kind}: the policy attaches to nothing by it`
  const help =
    meant === undefined
      ? 'name one of these'
      : `write \`group: ${JSON.stringify(meant.group)}\`, \`kind: ${meant.kind}\``
  findings.report('SP203', path, message, help)
}

/** In code points, as the schema counts. */
export function length(text: string): number {
  let length = 0
  for (const _ of text) length++
  return length
}

function asList(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : []
}
