import type { AuthorizationPolicy, Rule, Values } from '../../mesh/authorization-policy.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Analyzer } from './analyzer.ts'
import { valuesOf } from './policy-values.ts'

/** What Istio cannot express on a TCP connection. */
const httpOnly = /^(?:hosts|methods|paths|request\.)/

/**
 * A rule on HTTP attributes at a port that is TCP: ALLOW loses the whole rule there, the other actions lose the
 * conditions, and an authorizer that speaks HTTP is not asked at all.
 */
export const tcpPort: Analyzer = ({ mesh, targets }) => {
  const http = new Set(mesh.config.providers.filter(({ kind }) => kind === 'http').map(({ name }) => name))
  const found = new Map<string, Diagnostic>()
  const known = new Map<AuthorizationPolicy, readonly HttpRule[]>()
  const rulesOf = (policy: AuthorizationPolicy) => {
    const rules = known.get(policy) ?? httpRules(policy)
    known.set(policy, rules)
    return rules
  }
  for (const { workload, policies, triggers } of targets) {
    const port = workload.ports.find(({ protocol }) => protocol === 'tcp' || protocol === 'tls' || protocol === 'https')
    if (port === undefined || workload.origin === null) continue
    const where = `the TCP port ${port.number} of \`${workload.namespace}/${workload.name}\``
    for (const policy of [...policies, ...triggers]) {
      const { document, path } = policy.origin
      const report = (at: readonly (string | number)[], message: string, help: string) => {
        const key = `${policy.meta.namespace}/${policy.meta.name} ${at.join('/')}`
        if (found.has(key)) return
        found.set(key, diagnostic('SP409', { document, path: [...path, ...at] }, message, { help }))
      }
      if (policy.action === 'CUSTOM' && policy.provider !== null && http.has(policy.provider)) {
        const message = `\`${policy.provider}\` speaks HTTP and is not asked at ${where}: connections pass`
        report(['spec', 'provider', 'name'], message, 'use `envoyExtAuthzGrpc`, or protect the port by a DENY policy')
        continue
      }
      for (const { index, rule, fields } of rulesOf(policy)) {
        const effect = reaches(rule, port.number) ? effectOf(policy, rule) : null
        if (effect === null) continue
        const message = `at ${where} this rule cannot look at ${fields.join(', ')}: ${effect}`
        report(['spec', 'rules', index], message, "name the HTTP ports in each `to`: `ports: ['8080']`")
      }
    }
  }
  return [...found.values()]
}

interface HttpRule {
  readonly index: number
  readonly rule: Rule
  /** As the user wrote them, in quotes. */
  readonly fields: readonly string[]
}

function httpRules(policy: AuthorizationPolicy): readonly HttpRule[] {
  const fields = new Map<number, Set<string>>()
  for (const { attribute, path, rule } of valuesOf(policy)) {
    if (!httpOnly.test(attribute)) continue
    const condition = typeof path.at(-2) === 'number'
    const written = fields.get(rule) ?? new Set()
    fields.set(rule, written.add(`\`${condition ? attribute : path.at(-1)}\``))
  }
  return [...fields].map(([index, written]) => ({ index, rule: policy.rules[index] as Rule, fields: [...written] }))
}

/** Whether a rule holds for the port at all, by its own `ports`. */
function reaches(rule: Rule, port: number): boolean {
  const written = String(port)
  const holds = ({ values, notValues }: Values) =>
    (values.length === 0 || values.includes(written)) && !notValues.includes(written)
  const to = rule.to ?? []
  if (to.length > 0 && !to.some(({ ports }) => holds(ports))) return false
  return rule.when.every((when) => when.key !== 'destination.port' || holds(when))
}

/** Null where nothing changes that anybody would notice, or where Istio's own warning says it. */
function effectOf({ action }: AuthorizationPolicy, rule: Rule): string | null {
  switch (action) {
    case 'ALLOW':
      return 'it is left out there, and allows no connection'
    case 'DENY':
      return toldByIstio(rule) ? null : 'it denies every connection that the rest of it matches'
    case 'CUSTOM':
      return 'the authorizer is asked about every connection that the rest of it matches'
    case 'AUDIT':
      return null
    default:
      return action satisfies never
  }
}

/** SP251, which looks at `from` and `to` only. */
function toldByIstio({ from, to }: Rule): boolean {
  if (to !== null) return to.every(({ ports }) => ports.values.length + ports.notValues.length === 0)
  return (
    from?.every((source) =>
      Object.entries(source).every(([field, { values, notValues }]) => {
        return field === 'requestPrincipals' || field === 'trustDomains' || values.length + notValues.length === 0
      }),
    ) ?? false
  )
}
