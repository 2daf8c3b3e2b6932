import type { Path } from '../../source/document.ts'
import { suggest } from '../../source/suggest.ts'
import type { When } from '../authorization-policy.ts'
import { ofUnknownKey, ofUnusableValue, type RuleUse } from './consequence.ts'
import type { Findings } from './findings.ts'
import type { ValuesCheck } from './values.ts'
import { checkIps, checkNotEmpty, checkPorts, checkServiceAccounts, checkWildcards } from './values.ts'

/** The keys that stand alone, with the check of their values. */
const plainKeys: ReadonlyMap<string, ValuesCheck> = new Map([
  ['source.ip', checkIps],
  ['remote.ip', checkIps],
  ['source.namespace', checkNotEmpty],
  ['source.serviceAccount', checkServiceAccounts],
  ['source.principal', checkNotEmpty],
  ['source.trustDomain', checkWildcards],
  ['request.auth.principal', checkNotEmpty],
  ['request.auth.audiences', checkNotEmpty],
  ['request.auth.presenter', checkNotEmpty],
  ['destination.ip', checkIps],
  ['destination.port', checkPorts],
  ['connection.sni', checkNotEmpty],
])

/** The keys that take a name in brackets. */
const mapKeys = ['request.headers', 'request.auth.claims', 'experimental.envoy.filters.']

const replaced: readonly { readonly prefix: string; readonly message: string; readonly help: string }[] = [
  {
    prefix: 'destination.namespace',
    message: 'is replaced by the metadata.namespace',
    help: 'put the policy into that namespace',
  },
  {
    prefix: 'destination.labels',
    message: 'is replaced by the workload selector',
    help: 'write the labels under `selector.matchLabels`',
  },
  { prefix: 'destination.name', message: 'is a deprecated attribute', help: 'select the workload with `selector`' },
  { prefix: 'destination.user', message: 'is a deprecated attribute', help: 'select the workload with `selector`' },
]

/** One `when` entry; `path` leads to it. */
export function validateCondition(
  findings: Findings,
  path: Path,
  { key, values, notValues }: When,
  action: RuleUse,
): void {
  const misspelt = findings.hasOther(path, ['key', 'values', 'notValues'])
  if (key === '') {
    if (misspelt && findings.written([...path, 'key']) === undefined) return
    findings.report('SP214', path, '`key` must not be empty', 'write what is compared: `key: request.headers[x-user]`')
    return
  }
  if (values.length === 0 && notValues.length === 0) {
    if (misspelt) return
    const message = `at least one of \`values\` or \`notValues\` must be set for key ${key}`
    findings.report('SP214', path, message, 'write `values: ["*"]` for anything that is present')
    return
  }
  const check = plainKeys.get(key) ?? (mapKeys.some((prefix) => key.startsWith(prefix)) ? checkNotEmpty : null)
  if (check === null) {
    unknownKey(findings, path, key, action)
    checkNotEmpty(findings, [...path, 'values'], key, values, action)
    checkNotEmpty(findings, [...path, 'notValues'], key, notValues, action)
    return
  }
  if (!plainKeys.has(key)) checkMapKey(findings, path, key, action)
  check(findings, [...path, 'values'], key, values, action)
  check(findings, [...path, 'notValues'], key, notValues, action)
}

/** Istio's validation looks at how a key begins and ends, its compiler at what stands between. */
function checkMapKey(findings: Findings, path: Path, key: string, action: RuleUse): void {
  const effect = ofUnusableValue(action, false)
  if (!isMapKey(key)) {
    const message = `bad key (${key}): should have format a[b]; ${effect}`
    findings.report('SP214', [...path, 'key'], message, `write \`${withBrackets(key)}\``)
    return
  }
  const base = ['request.headers', 'request.auth.claims'].find((prefix) => key.startsWith(prefix))
  if (base === undefined || key.startsWith('[', base.length)) return
  const message = `\`${key}\` is no key, but passes Istio's validation; ${effect}`
  findings.report('SP255', [...path, 'key'], message, `write \`${base}${key.slice(key.indexOf('['))}\``)
}

/** What a key with a name outside of brackets was meant to be. */
function withBrackets(key: string): string {
  const base = mapKeys.find((prefix) => key.startsWith(prefix)) ?? ''
  if (base.endsWith('.')) return `${base}FILTER[KEY]`
  const name = key.slice(base.length).replace(/^[.[]/, '')
  const end = name.search(/[[\]]/)
  const bare = end === -1 ? name : name.slice(0, end)
  return `${base}[${bare === '' ? 'NAME' : bare}]`
}

/** `a[b]`, where `b` may hold anything. */
function isMapKey(key: string): boolean {
  const open = key.indexOf('[')
  return open > 0 && key.endsWith(']') && open < key.length - 2
}

function unknownKey(findings: Findings, path: Path, key: string, action: RuleUse): void {
  const effect = ofUnknownKey(action)
  const old = replaced.find(({ prefix }) => key === prefix || key.startsWith(`${prefix}[`))
  if (old !== undefined) {
    findings.report('SP215', [...path, 'key'], `attribute ${key} ${old.message}; ${effect}`, old.help)
    return
  }
  const bracket = key.indexOf('[')
  const base = bracket === -1 ? key : key.slice(0, bracket)
  const near = suggest(base, [...plainKeys.keys(), ...mapKeys])
  const name = bracket === -1 ? (mapKeys.includes(near ?? '') ? '[NAME]' : '') : key.slice(bracket)
  const help =
    near === null
      ? `it is one of ${[...plainKeys.keys(), ...mapKeys.map((k) => `${k}[..]`)].join(', ')}`
      : `write \`${near}${name}\``
  findings.report('SP215', [...path, 'key'], `unknown attribute: ${key}; ${effect}`, help)
}
