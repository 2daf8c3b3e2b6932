import type { Explanation } from '../../tools/explain.ts'
import type { TestRequest } from '../../tools/request.ts'
import type { PolicyTrace, TracedField } from '../../tools/trace.ts'
import type { Style } from '../style.ts'

/** The decision object of the command line's formats. */
export function toJson({ id, decision, trace }: Explanation): object {
  return { id, ...decision, ...(trace === null ? {} : { trace }) }
}

/** For people: the outcome, then each policy that had a say and, for a rule that did not match, its first failed field. */
export function printExplanation(request: TestRequest, { decision, trace }: Explanation, paint: Style): string {
  const verdict = { allow: paint.green, deny: paint.red, ask: paint.yellow }[decision.decision](
    paint.bold(decision.decision.toUpperCase()),
  )
  const what = request.http === null ? 'TCP connection' : `${request.http.method} ${printable(request.http.path)}`
  const who = request.source.peer === '' ? `${request.source.ipText}, no mTLS` : printable(request.source.peer.slice(9))
  const grpc = decision.grpcStatus === undefined ? '' : `, grpc-status ${decision.grpcStatus}`
  const status = decision.status === null ? '' : ` ${decision.status}${grpc}`
  const lines = [`${verdict}${status}  ${what}  ${paint.dim(`from ${who}`)}`, `  ${reason(decision)}`]
  for (const policy of trace?.policies ?? []) lines.push(...printPolicy(policy, paint))
  return `${lines.join('\n')}\n`
}

function reason(decision: Explanation['decision']): string {
  const { phase, policy, details, provider, delegation, body } = decision
  switch (decision.decision) {
    case 'ask':
      return `the provider \`${provider}\` decides; give its answer under \`providers\` in the request`
    case 'allow':
      return provider === undefined
        ? 'no policy refuses it'
        : `the provider \`${provider}\` allows it, and no policy refuses it`
    case 'deny':
      break
    default:
      return decision.decision satisfies never
  }
  switch (phase) {
    case 'http':
      return `the proxy refuses the request itself (${details})`
    case 'peer':
      return 'the workload takes mTLS only (STRICT), and the caller has no certificate'
    case 'authn':
      return `the token is refused: ${decision.grpcMessage ?? body}`
    case 'custom':
      return policy === null
        ? `the provider \`${provider}\` ${details === 'ext_authz_denied' ? 'refuses it' : `cannot be asked (${details})`}${delegation === undefined ? '' : `; the Delegation ${delegation} asks it`}`
        : `a CUSTOM rule matches, and its provider cannot be asked: ${policy}`
    case 'deny':
      return `a DENY rule matches: ${policy}`
    case 'allow':
      return 'ALLOW policies apply, and no rule of theirs matches'
    case 'none':
      return ''
    default:
      return phase satisfies never
  }
}

function printPolicy(policy: PolicyTrace, paint: Style): string[] {
  const dry = policy.dryRun ? ' (dry-run)' : ''
  const title = policy.delegation === undefined ? `${policy.action}${dry}` : 'Delegation'
  const head = `  ${title} ${policy.policy}  ${paint.dim(`${policy.file}:${policy.line}`)}`
  const first = [policy.reached ? head : `${head}  ${paint.dim('not reached')}`]
  if (policy.matched === null) return first
  const { delegation } = policy
  if (delegation !== undefined)
    first.push(
      `    asks ${delegatesOf(delegation)}${policy.rules.length === 0 ? ' about every request' : ' where a rule matches'}`,
    )
  else if (policy.rules.length === 0) return [...first, '    has no rules, so it matches nothing']
  const rules = policy.rules.map((rule, index) => {
    const name = `    rule[${index}]`
    if (rule.dropped) return `${name} is left out here: it has a condition that cannot be met on this connection`
    if (rule.matched) return `${name} ${paint.bold('matches')}`
    const [field] = rule.failed
    return field === undefined
      ? `${name} does not match`
      : `${name} does not match: ${printField(field)}  ${paint.dim(`${field.file}:${field.line}:${field.column}`)}`
  })
  return [...first, ...rules]
}

function delegatesOf({ order, providers }: NonNullable<PolicyTrace['delegation']>): string {
  const names = providers.map(({ name, mode }) => (mode === 'shadow' ? `${name} (in shadow)` : name))
  return `${names.join(', ')}${providers.length > 1 && order === 'atOnce' ? ' at once' : ''}`
}

function printField({ field, expected, actual }: TracedField): string {
  const had = actual === null ? 'the request has none' : `the request has ${JSON.stringify(actual)}`
  return 'anyOf' in expected
    ? `${field} needs ${list(expected.anyOf)}; ${had}`
    : `${field} excludes ${list(expected.noneOf)}; ${had}`
}

function list(values: readonly string[]): string {
  const shown = values
    .slice(0, 5)
    .map((value) => JSON.stringify(value))
    .join(' or ')
  return values.length > 5 ? `${shown} or ${values.length - 5} more` : shown
}

/** Keeps a line one line, and a terminal unharmed, whatever the request holds. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
