import type { Action, AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { Provider } from '../mesh/provider.ts'
import type { CustomIr, PolicyIr, RuleIr, Ruleset } from './ir.ts'
import { lowerRule } from './lower-rule.ts'

/** What lowering reads of the mesh. */
export interface LowerInput {
  /** Those that apply to the workload. */
  readonly policies: readonly AuthorizationPolicy[]
  /** The trust domain, then its aliases. */
  readonly trustDomains: readonly string[]
  readonly protocol: 'http' | 'tcp'
  /** The provider of that name, or why it cannot be asked. */
  readonly provider: (
    name: string,
  ) => { readonly kind: 'usable'; readonly provider: Provider } | { readonly kind: 'unusable'; readonly reason: string }
}

/** From decoded policies to what Envoy would hold (istio/istio pilot/pkg/security/authz/builder/builder.go). */
export function lower(input: LowerInput): PolicyIr {
  const of = (action: Action, dryRun: boolean) => rulesetOf(input, action, dryRun)
  return {
    protocol: input.protocol,
    custom: lowerCustom(input),
    audit: of('AUDIT', false),
    deny: of('DENY', false),
    allow: of('ALLOW', false),
    shadowDeny: of('DENY', true),
    shadowAllow: of('ALLOW', true),
  }
}

/** Null without a policy of that sort: an ALLOW policy whose rules all fell away still denies what it does not list. */
function rulesetOf(input: LowerInput, action: Action, dryRun: boolean): Ruleset | null {
  const policies = input.policies.filter((policy) => policy.action === action && policy.dryRun === dryRun)
  return policies.length === 0 ? null : lowerPolicies(input, policies, '', '')
}

function lowerPolicies(
  input: LowerInput,
  policies: readonly AuthorizationPolicy[],
  prefix: string,
  suffix: string,
): Ruleset {
  // A later policy of the same name replaces an earlier one's rules, as keys of one map.
  const rules = new Map<string, RuleIr>()
  for (const policy of policies) {
    const id = (index: number) =>
      `${prefix}ns[${policy.meta.namespace}]-policy[${policy.meta.name}]-rule[${index}]${suffix}`
    if (policy.rules.length === 0) {
      rules.set(id(0), { id: id(0), policy, index: 0, permissions: [], principals: [] })
    }
    for (const [index, rule] of policy.rules.entries()) {
      const lowered = lowerRule(rule, index, policy, input)
      if (lowered !== null) rules.set(id(index), { id: id(index), policy, index, ...lowered })
    }
  }
  return [...rules.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function lowerCustom(input: LowerInput): CustomIr {
  const policies = input.policies.filter((policy) => policy.action === 'CUSTOM')
  if (policies.length === 0) return { kind: 'none' }
  const names = [...new Set(policies.map((policy) => policy.provider ?? ''))].sort()
  const refuse = (reason: string): CustomIr => ({
    kind: 'refuse',
    reason,
    rulesets: names.map((name) =>
      lowerPolicies(input, byProvider(policies, name, false), prefixOf(name), '-deny-due-to-bad-CUSTOM-action'),
    ),
  })
  const [name = ''] = names
  if (names.length > 1) return refuse(`several CUSTOM providers on one workload: ${names.join(', ')}`)
  const found = input.provider(name)
  if (found.kind === 'unusable') return refuse(found.reason)
  // Istio places no HTTP-type provider on a TCP filter chain: nothing is asked there.
  if (input.protocol === 'tcp' && found.provider.kind === 'http') return { kind: 'none' }
  return {
    kind: 'ask',
    provider: found.provider,
    rules: lowerPolicies(input, byProvider(policies, name, false), prefixOf(name), ''),
    refused: lowerPolicies(input, byProvider(policies, name, true), prefixOf(name), ''),
  }
}

function byProvider(policies: readonly AuthorizationPolicy[], name: string, dryRun: boolean) {
  return policies.filter((policy) => (policy.provider ?? '') === name && policy.dryRun === dryRun)
}

function prefixOf(provider: string): string {
  return provider === '' ? 'istio-ext-authz-' : `istio-ext-authz-${provider}-`
}
