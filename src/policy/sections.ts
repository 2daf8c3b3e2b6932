import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { Provider } from '../mesh/provider.ts'
import type { CustomIr, PolicyIr, Ruleset } from './ir.ts'
import type { RuleInput } from './lower-rule.ts'
import type { IdAffixes } from './section.ts'

/** What lowering reads of the mesh. */
export interface LowerInput extends RuleInput {
  /** Those that apply to the workload. */
  readonly policies: readonly AuthorizationPolicy[]
  /** The provider of that name, or why it cannot be asked. */
  readonly provider: (
    name: string,
  ) => { readonly kind: 'usable'; readonly provider: Provider } | { readonly kind: 'unusable'; readonly reason: string }
}

/** A place for rules in Envoy's filters; refusals are one a provider. */
export type SectionName =
  | 'audit'
  | 'deny'
  | 'allow'
  | 'shadowDeny'
  | 'shadowAllow'
  | 'asked'
  | 'refused'
  | `refusal ${string}`

/** What CUSTOM policies come to, by the providers that they name. */
export type CustomUse =
  | { readonly kind: 'none' }
  | { readonly kind: 'ask'; readonly name: string; readonly provider: Provider }
  | { readonly kind: 'refuse'; readonly names: readonly string[]; readonly reason: string }

/** The provider that a CUSTOM policy names; null for other policies. */
export function providerNameOf(policy: AuthorizationPolicy): string | null {
  return policy.action === 'CUSTOM' ? (policy.provider ?? '') : null
}

/** `names`: the providers of all CUSTOM policies, each once. */
export function customUseOf(
  names: Iterable<string>,
  { protocol, provider }: Pick<LowerInput, 'protocol' | 'provider'>,
): CustomUse {
  const sorted = [...names].sort()
  const [name] = sorted
  if (name === undefined) return { kind: 'none' }
  if (sorted.length > 1) {
    return { kind: 'refuse', names: sorted, reason: `several CUSTOM providers on one workload: ${sorted.join(', ')}` }
  }
  const found = provider(name)
  if (found.kind === 'unusable') return { kind: 'refuse', names: sorted, reason: found.reason }
  // Istio places no HTTP-type provider on a TCP filter chain: nothing is asked there.
  if (protocol === 'tcp' && found.provider.kind === 'http') return { kind: 'none' }
  return { kind: 'ask', name, provider: found.provider }
}

/** Null for a policy that Istio puts nowhere. */
export function sectionOf(policy: AuthorizationPolicy, custom: CustomUse): SectionName | null {
  const { action, dryRun } = policy
  switch (action) {
    case 'AUDIT':
      return dryRun ? null : 'audit'
    case 'DENY':
      return dryRun ? 'shadowDeny' : 'deny'
    case 'ALLOW':
      return dryRun ? 'shadowAllow' : 'allow'
    case 'CUSTOM':
      if (custom.kind === 'none') return null
      if (custom.kind === 'ask') return dryRun ? 'refused' : 'asked'
      return dryRun ? null : `refusal ${policy.provider ?? ''}`
    default:
      return action satisfies never
  }
}

export function affixesOf(name: SectionName, custom: CustomUse): IdAffixes {
  if (custom.kind === 'ask' && (name === 'asked' || name === 'refused')) {
    return { prefix: prefixOf(custom.name), suffix: '' }
  }
  return name.startsWith(REFUSAL)
    ? { prefix: prefixOf(name.slice(REFUSAL.length)), suffix: '-deny-due-to-bad-CUSTOM-action' }
    : { prefix: '', suffix: '' }
}

const REFUSAL = 'refusal '

function prefixOf(provider: string): string {
  return provider === '' ? 'istio-ext-authz-' : `istio-ext-authz-${provider}-`
}

/** The whole from its sections; without a policy, a section is null. */
export function irOf(
  protocol: PolicyIr['protocol'],
  custom: CustomUse,
  rulesOf: (name: SectionName) => Ruleset | null,
): PolicyIr {
  return {
    protocol,
    custom: customOf(custom, rulesOf),
    audit: rulesOf('audit'),
    deny: rulesOf('deny'),
    allow: rulesOf('allow'),
    shadowDeny: rulesOf('shadowDeny'),
    shadowAllow: rulesOf('shadowAllow'),
  }
}

function customOf(custom: CustomUse, rulesOf: (name: SectionName) => Ruleset | null): CustomIr {
  switch (custom.kind) {
    case 'none':
      return { kind: 'none' }
    case 'ask':
      return {
        kind: 'ask',
        provider: custom.provider,
        rules: rulesOf('asked') ?? [],
        refused: rulesOf('refused') ?? [],
      }
    case 'refuse':
      return {
        kind: 'refuse',
        reason: custom.reason,
        rulesets: custom.names.map((name) => rulesOf(`refusal ${name}`) ?? []),
      }
    default:
      return custom satisfies never
  }
}
