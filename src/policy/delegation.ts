import type { AuthorizationPolicy, Rule } from '../mesh/authorization-policy.ts'
import type { DelegateProvider, Delegation } from '../mesh/delegation.ts'
import type { ProviderUse } from '../mesh/providers.ts'
import type { Facts } from './facts.ts'
import type { RuleIr, Ruleset } from './ir.ts'
import { lowerRule } from './lower-rule.ts'
import { RuleTable, TUNING } from './rule-table.ts'
import type { LowerInput } from './sections.ts'

/** A Delegation of one workload for one protocol. */
export interface DelegationIr {
  readonly delegation: Delegation
  /** One a rule, in the file's order; null: it asks about everything. */
  readonly rules: Ruleset | null
  readonly providers: readonly DelegateIr[]
}

export interface DelegateIr extends DelegateProvider {
  readonly use: ProviderUse
}

/**
 * Lowers the rules as those of a CUSTOM policy, with which a value that cannot be expressed makes it ask about more. A
 * rule that Istio would drop (an unknown key) asks about everything: nobody else stands in for what it would have asked.
 */
export function lowerDelegation(
  delegation: Delegation,
  input: Pick<LowerInput, 'trustDomains' | 'protocol' | 'provider'>,
): DelegationIr {
  const { trigger, providers } = delegation
  const lower = (policy: NonNullable<typeof trigger>) => (rule: Rule, index: number) => ({
    ...{ id: ruleId(delegation, index), policy, index },
    ...(lowerRule(rule, index, policy, input) ?? ALWAYS),
  })
  return {
    delegation,
    rules: trigger === null ? null : trigger.rules.map(lower(trigger)),
    providers: providers.map((provider) => ({ ...provider, use: input.provider(provider.name) })),
  }
}

const ALWAYS: Pick<RuleIr, 'permissions' | 'principals'> = { permissions: [[]], principals: [[]] }

/** What a Delegation asks about, as rules: for whoever can only refuse in its place. */
export function askedRules({ delegation, rules }: DelegationIr): Ruleset {
  if (rules !== null) return rules
  const { meta, origin, attachment } = delegation
  const policy: AuthorizationPolicy = {
    ...{ kind: 'AuthorizationPolicy', meta, origin, attachment },
    ...{ action: 'CUSTOM', provider: null, dryRun: false, rules: [] },
  }
  return [{ id: ruleId(delegation, 0), policy, index: 0, ...ALWAYS }]
}

function ruleId({ meta: { namespace, name } }: Delegation, index: number): string {
  return `sallyport-delegation-ns[${namespace}]-policy[${name}]-rule[${index}]`
}

export interface CompiledDelegation {
  readonly ir: DelegationIr
  /** Whether it asks about a request or connection, with the facts as they are after authentication. */
  readonly matches: (facts: Facts) => boolean
}

export function compileDelegation(ir: DelegationIr): CompiledDelegation {
  const { rules } = ir
  if (rules === null) return { ir, matches: () => true }
  const table = RuleTable.of(rules, () => true as const, TUNING)
  return { ir, matches: (facts) => table.first(facts) !== null }
}
