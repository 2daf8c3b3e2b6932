import type { AuthorizationPolicy, Rule, Values } from '../../mesh/authorization-policy.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Analyzer } from './analyzer.ts'

/** An ALLOW policy where a DENY rule without conditions refuses first: DENY is evaluated before ALLOW. */
export const hiddenAllow: Analyzer = ({ targets }) => {
  const hiding = new Map<AuthorizationPolicy, AuthorizationPolicy>()
  const reachable = new Set<AuthorizationPolicy>()
  for (const { policies } of targets) {
    const deny = policies.find((policy) => policy.action === 'DENY' && !policy.dryRun && policy.rules.some(isTotal))
    for (const policy of policies) {
      if (policy.action !== 'ALLOW' || policy.dryRun || policy.rules.length === 0) continue
      if (deny === undefined) reachable.add(policy)
      else hiding.set(policy, deny)
    }
  }
  return [...hiding]
    .filter(([policy]) => !reachable.has(policy))
    .map(([policy, deny]) => {
      const { document, path } = policy.origin
      return diagnostic(
        'SP401',
        { document, path: [...path, 'metadata', 'name'] },
        `\`${policy.meta.name}\` can never take effect: the DENY policy \`${deny.meta.name}\` (${place(deny)}) matches every request, and DENY is evaluated before ALLOW`,
        { help: proposal(deny) },
      )
    })
}

/** To allow only what ALLOW policies list, deny by default, which a policy without rules does. */
function proposal(deny: AuthorizationPolicy): string {
  const selector = deny.attachment.kind === 'selector' ? deny.attachment.labels : null
  const pairs =
    selector === null
      ? ''
      : Object.entries(selector)
          .map(([name, value]) => `${name}: ${value}`)
          .join(', ')
  const spec = selector === null ? 'spec: {}' : `spec: { selector: { matchLabels: { ${pairs} } } }`
  return [
    `replace \`${deny.meta.name}\` by a policy that allows nothing, so that each ALLOW policy adds what it lists:`,
    'apiVersion: security.istio.io/v1',
    'kind: AuthorizationPolicy',
    `metadata: { name: allow-nothing, namespace: ${deny.meta.namespace} }`,
    spec,
  ].join('\n')
}

function place(policy: AuthorizationPolicy): string {
  const { document, path } = policy.origin
  return `${document.file}:${document.locate([...path, 'metadata', 'name'], 'key').line}`
}

/** Matches whatever comes: some alternative of `from` and of `to` has no condition, and there is no `when`. */
export function isTotal(rule: Rule): boolean {
  const free = (list: readonly object[] | null) =>
    list === null || list.length === 0 || list.some((one) => Object.values(one).every(isEmpty))
  return free(rule.from) && free(rule.to) && rule.when.every(isEmpty)
}

function isEmpty(values: Values): boolean {
  return values.values.length === 0 && values.notValues.length === 0
}
