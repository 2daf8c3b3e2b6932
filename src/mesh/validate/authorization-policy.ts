import type { Json, Path } from '../../source/document.ts'
import type { AuthorizationPolicy, Operation, Rule, Source, Values } from '../authorization-policy.ts'
import { validateAttachment } from './attachment.ts'
import { validateCondition } from './conditions.ts'
import type { RuleUse } from './consequence.ts'
import type { Findings } from './findings.ts'
import { bySchema } from './findings.ts'
import { validateMetadata } from './metadata.ts'
import type { ValuesCheck } from './values.ts'
import { checkIps, checkNotEmpty, checkPaths, checkPorts, checkServiceAccounts, checkTrustDomains } from './values.ts'

/** Limits of the custom resource's schema. */
const MOST_RULES = 512

const sourceChecks: readonly (readonly [keyof Source, ValuesCheck])[] = [
  ['principals', checkNotEmpty],
  ['requestPrincipals', checkNotEmpty],
  ['namespaces', checkNotEmpty],
  ['serviceAccounts', checkServiceAccounts],
  ['trustDomains', checkTrustDomains],
  ['ipBlocks', checkIps],
  ['remoteIpBlocks', checkIps],
]

const operationChecks: readonly (readonly [keyof Operation, ValuesCheck])[] = [
  ['hosts', checkNotEmpty],
  ['ports', checkPorts],
  ['methods', checkNotEmpty],
  ['paths', checkPaths],
]

/** What Istio's validation refuses in an AuthorizationPolicy. */
export function validateAuthorizationPolicy(policy: AuthorizationPolicy, findings: Findings): void {
  validateAttachment(findings)
  validateAction(policy, findings)
  validateMetadata(policy.meta, policy, findings)
  validateRules(policy.rules, policy.action, findings)
  for (const [index, rule] of policy.rules.entries()) {
    const path: Path = ['spec', 'rules', index]
    if (policy.action === 'CUSTOM') validateCustomRule(rule, path, findings)
    if (policy.action === 'DENY') warnOfTcp(rule, path, findings)
  }
}

/** What is refused in rules whatever they are for. */
export function validateRules(rules: readonly Rule[], action: RuleUse, findings: Findings): void {
  if (rules.length > MOST_RULES) {
    const message = bySchema(`rules may not have more than ${MOST_RULES} entries, found ${rules.length}`)
    findings.report('SP217', ['spec', 'rules'], message, 'split the policy')
  }
  for (const [index, rule] of rules.entries()) {
    const path: Path = ['spec', 'rules', index]
    validateSources(rule, path, action, findings)
    validateOperations(rule, path, action, findings)
    for (const [at, condition] of rule.when.entries())
      validateCondition(findings, [...path, 'when', at], condition, action)
  }
}

const specFields = ['selector', 'targetRef', 'targetRefs', 'action', 'provider', 'rules']

function validateAction(policy: AuthorizationPolicy, findings: Findings): void {
  const { action, rules } = policy
  const written = findings.written(['spec', 'action'])
  // Another word than the four was reported, and what was meant is not known.
  if (written !== undefined && written !== action) return
  const misspelt = findings.hasOther(['spec'], specFields)
  const writtenRules = findings.written(['spec', 'rules'])
  const noRules = writtenRules === undefined ? !misspelt : Array.isArray(writtenRules) && writtenRules.length === 0
  if ((action === 'CUSTOM' || action === 'DENY') && noRules) {
    const message = `${action} action without \`rules\` is meaningless as it will never be triggered`
    const help = 'write `rules: [{}]` to have it triggered by every request'
    findings.report('SP204', ['spec', writtenRules === undefined ? 'action' : 'rules'], message, help)
  }
  const provider = findings.written(['spec', 'provider'])
  if (action !== 'CUSTOM') {
    if (provider === undefined) return
    const message = `\`provider\` must not be with non CUSTOM action, found ${action}`
    const help = 'write `action: CUSTOM` to ask the provider, or remove `provider`'
    findings.report('SP205', ['spec', 'provider'], message, help)
  } else if (rules.length > 0 && (policy.provider === null || policy.provider === '')) {
    if (provider === undefined ? misspelt : findings.hasOther(['spec', 'provider'], ['name'])) return
    const help = 'write `provider: { name: NAME }` with a name from `extensionProviders` of the mesh configuration'
    const key = provider === undefined ? 'action' : 'provider'
    const message = '`provider.name` must not be empty: requests that the policy matches are refused'
    findings.report('SP205', ['spec', key], message, help)
  }
}

function validateSources(rule: Rule, path: Path, action: RuleUse, findings: Findings): void {
  const from = rule.from ?? []
  if (from.length > MOST_RULES) {
    const message = bySchema(`from may not have more than ${MOST_RULES} entries, found ${from.length}`)
    findings.report('SP217', [...path, 'from'], message, 'split the rule')
  }
  for (const [index, source] of from.entries()) {
    const at = [...path, 'from', index]
    if (!isWritten(findings, at, 'source', '`from.source`')) continue
    const inner = [...at, 'source']
    if (allEmpty(source, findings.written(inner))) {
      const help = 'name a source, or remove the entry: no `from` at all means any source'
      findings.report('SP207', inner, '`from.source` must not be empty', help)
    }
    checkIdentityFields(source, inner, findings)
    for (const [field, check] of sourceChecks) checkPair(findings, inner, field, source[field], check, action)
  }
}

const accountFields = ['serviceAccounts', 'notServiceAccounts']
const principalFields = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces']

/** Istio counts values, the schema counts fields. */
function checkIdentityFields(source: Source, path: Path, findings: Findings): void {
  const account = accountFields.find((field) => findings.written([...path, field]) !== undefined)
  if (account === undefined) return
  if (!principalFields.some((field) => findings.written([...path, field]) !== undefined)) return
  const text = 'cannot set serviceAccounts with namespaces or principals'
  const byIstio = !isEmpty(source.serviceAccounts) && !(isEmpty(source.principals) && isEmpty(source.namespaces))
  const help = 'write NAMESPACE/NAME under `serviceAccounts` alone, or a full principal under `principals`'
  findings.report('SP209', [...path, account], byIstio ? text : bySchema(`${text}, even if empty`), help)
}

function validateOperations(rule: Rule, path: Path, action: RuleUse, findings: Findings): void {
  for (const [index, operation] of (rule.to ?? []).entries()) {
    const at = [...path, 'to', index]
    if (!isWritten(findings, at, 'operation', '`to.operation`')) continue
    const inner = [...at, 'operation']
    if (allEmpty(operation, findings.written(inner))) {
      const help = 'name an operation, or remove the entry: no `to` at all means any operation'
      findings.report('SP207', inner, '`to.operation` must not be empty', help)
    }
    for (const [field, check] of operationChecks) checkPair(findings, inner, field, operation[field], check, action)
  }
}

function isWritten(findings: Findings, path: Path, key: string, what: string): boolean {
  const value: Json | undefined = findings.written([...path, key])
  if (value !== undefined) return true
  if (findings.hasOther(path, [key])) return false
  findings.report('SP207', path, `${what} must not be nil`, `write what it matches under \`${key}\``)
  return false
}

function checkPair(
  findings: Findings,
  path: Path,
  field: string,
  pair: Values,
  check: ValuesCheck,
  action: RuleUse,
): void {
  const not = notField(field)
  check(findings, [...path, field], capital(field), pair.values, action)
  check(findings, [...path, not], capital(not), pair.notValues, action)
}

const identityFields = ['namespaces', 'serviceAccounts', 'trustDomains', 'principals', 'requestPrincipals'] as const

const identityKeys: ReadonlySet<string> = new Set([
  'source.namespace',
  'source.serviceAccount',
  'source.trustDomain',
  'source.principal',
])

/** An authorizer is asked before tokens are read, and Istio does not trigger it on identities. */
function validateCustomRule(rule: Rule, path: Path, findings: Findings): void {
  const help = 'let the authorizer look at it, or write an ALLOW or DENY policy with it beside this one'
  const unsupported = (at: Path, name: string, token: boolean) => {
    const effect = token ? ': the authorizer is asked before tokens are verified, as if there were none' : ''
    findings.report('SP206', at, `${name} is currently not supported with CUSTOM action${effect}`, help)
  }
  for (const [index, source] of (rule.from ?? []).entries()) {
    for (const field of identityFields) {
      const inner = [...path, 'from', index, 'source']
      const not = notField(field)
      const token = field === 'requestPrincipals'
      if (source[field].values.length > 0) unsupported([...inner, field], `From.${capital(field)}`, token)
      if (source[field].notValues.length > 0) unsupported([...inner, not], `From.${capital(not)}`, token)
    }
  }
  for (const [index, { key }] of rule.when.entries()) {
    const token = key.startsWith('request.auth.')
    if (token || identityKeys.has(key)) unsupported([...path, 'when', index, 'key'], key, token)
  }
}

const tcpSourceFields = ['principals', 'namespaces', 'serviceAccounts', 'ipBlocks', 'remoteIpBlocks'] as const

/** Istio's warning looks at from and to only. On TCP the HTTP fields are dropped, and what is left matches more. */
function warnOfTcp(rule: Rule, path: Path, findings: Findings): void {
  const from = rule.from ?? []
  const to = rule.to ?? []
  const tcpSource = from.some((source) => tcpSourceFields.some((field) => !isEmpty(source[field])))
  const tcpOperation = to.some((operation) => !isEmpty(operation.ports))
  const fromExists = from.some((_, i) => findings.written([...path, 'from', i, 'source']) !== undefined)
  const toExists = to.some((_, i) => findings.written([...path, 'to', i, 'operation']) !== undefined)
  const httpOnly = toExists ? !tcpOperation : fromExists && !tcpSource
  if (!httpOnly) return
  const message =
    'this rule will deny all traffic to TCP ports under its scope due to the use of only HTTP attributes in a DENY rule'
  const help = "name the HTTP ports in the rule: `to: [{ operation: { ports: ['8080'] } }]`"
  findings.report('SP251', path, message, help)
}

/** A misspelt field has been reported as such: what was meant is not empty. */
function allEmpty(pairs: Source | Operation, written: Json | undefined): boolean {
  const known = Object.keys(pairs).flatMap((field) => [field, notField(field)])
  if (Object.keys(written ?? {}).some((field) => !known.includes(field))) return false
  return (Object.values(pairs) as readonly Values[]).every(isEmpty)
}

function isEmpty(pair: Values): boolean {
  return pair.values.length === 0 && pair.notValues.length === 0
}

function notField(field: string): string {
  return `not${capital(field)}`
}

function capital(field: string): string {
  return field.charAt(0).toUpperCase() + field.slice(1)
}
