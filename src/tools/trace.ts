import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { DelegateProvider, DelegationOrder } from '../mesh/delegation.ts'
import type { Resource } from '../mesh/resource.ts'
import type { Decider } from '../policy/decider.ts'
import type { CompiledDelegation, DelegationIr } from '../policy/delegation.ts'
import type { Facts } from '../policy/facts.ts'
import { traceRule } from '../policy/interpret.ts'
import type { PolicyIr, RuleIr } from '../policy/ir.ts'
import type { MatchAttempt } from '../policy/trace.ts'
import type { Json, Path, Position } from '../source/document.ts'

/** Every policy of the workload and how each of its rules fared, in the order of evaluation. */
export interface Trace {
  readonly policies: readonly PolicyTrace[]
}

export interface PolicyTrace {
  /** `namespace/name`. */
  readonly policy: string
  /** CUSTOM also for a Delegation, which asks once tokens are verified. */
  readonly action: AuthorizationPolicy['action']
  /** Whom it asks, where it is a Delegation. Without rules it asks about everything. */
  readonly delegation?: {
    readonly order: DelegationOrder
    readonly providers: readonly Pick<DelegateProvider, 'name' | 'mode'>[]
  }
  readonly dryRun: boolean
  readonly file: string
  readonly line: number
  readonly column: number
  /** False when an earlier stage had already refused. */
  readonly reached: boolean
  /** Null when an earlier stage left nothing to match against. */
  readonly matched: boolean | null
  readonly rules: readonly TracedRule[]
}

export interface TracedRule {
  readonly id: string
  readonly line: number
  readonly column: number
  /** As the policy's. */
  readonly matched: boolean | null
  /** Istio leaves the rule out: a value or key in it cannot be expressed here. */
  readonly dropped?: true
  /** The first field that did not match, one for each alternative of `from` or `to`. */
  readonly failed: readonly TracedField[]
}

export interface TracedField {
  readonly field: string
  readonly expected: MatchAttempt['expected']
  readonly actual: Json
  readonly file: string
  readonly line: number
  readonly column: number
}

interface Engine {
  readonly decider: Decider
  readonly delegations: readonly CompiledDelegation[]
}

/** Wraps an engine so that each phase is traced at the moment when it decides, with the facts of that moment. */
export function tracing(
  { decider, ir, delegations }: Engine & { readonly ir: PolicyIr },
  policies: readonly AuthorizationPolicy[],
): Engine & { trace(): Trace } {
  const rules = rulesByPolicy(ir)
  const traces = new Map<AuthorizationPolicy, PolicyTrace>()
  const asked = new Map<DelegationIr, PolicyTrace>()
  const record = (which: readonly AuthorizationPolicy['action'][], facts: Facts, reached: boolean) => {
    for (const policy of policies) {
      if (which.includes(policy.action)) {
        traces.set(policy, tracePolicy(policy, rules.get(policy), facts, reached))
      }
    }
  }
  return {
    decider: {
      custom(facts) {
        record(['CUSTOM'], facts, true)
        return decider.custom(facts)
      },
      decide(facts) {
        const verdict = decider.decide(facts)
        record(['AUDIT', 'DENY'], facts, true)
        record(['ALLOW'], facts, verdict.kind === 'allow' || verdict.phase !== 'deny')
        return verdict
      },
      audit: (facts) => decider.audit(facts),
      dryRun: (facts) => decider.dryRun(facts),
    },
    delegations: delegations.map(({ ir, matches }) => ({
      ir,
      matches(facts) {
        asked.set(ir, traceDelegation(ir, facts))
        return matches(facts)
      },
    })),
    trace: () => {
      const all = [...policies]
        .sort((a, b) => ORDER.indexOf(a.action) - ORDER.indexOf(b.action))
        .map((policy) => traces.get(policy) ?? tracePolicy(policy, undefined, null, false))
      const custom = all.filter(({ action }) => action === 'CUSTOM')
      const own = delegations.map(({ ir }) => asked.get(ir) ?? traceDelegation(ir, null))
      return { policies: [...custom, ...own, ...all.slice(custom.length)] }
    },
  }
}

const ORDER: readonly AuthorizationPolicy['action'][] = ['CUSTOM', 'AUDIT', 'DENY', 'ALLOW']

/** The rules of each policy, by index. */
type RulesByIndex = ReadonlyMap<number, RuleIr>

function rulesByPolicy(ir: PolicyIr): ReadonlyMap<AuthorizationPolicy, RulesByIndex> {
  const rules = new Map<AuthorizationPolicy, Map<number, RuleIr>>()
  for (const rule of everyRule(ir)) {
    const known = rules.get(rule.policy)
    if (known === undefined) rules.set(rule.policy, new Map([[rule.index, rule]]))
    else known.set(rule.index, rule)
  }
  return rules
}

function everyRule(ir: PolicyIr): RuleIr[] {
  const { custom } = ir
  const asked = custom.kind === 'ask' ? [custom.rules, custom.refused] : []
  const refused = custom.kind === 'refuse' ? custom.rulesets : []
  const rest = [ir.audit, ir.deny, ir.allow, ir.shadowDeny, ir.shadowAllow]
  return [...asked, ...refused, ...rest].flatMap((ruleset) => ruleset ?? [])
}

function tracePolicy(
  policy: AuthorizationPolicy,
  rules: RulesByIndex | undefined,
  facts: Facts | null,
  reached: boolean,
): PolicyTrace {
  const traced = policy.rules.map((_, index) =>
    facts === null
      ? { ...named(policy, index), matched: null, failed: [] }
      : traceOne(policy, index, rules?.get(index) ?? null, facts),
  )
  return {
    policy: `${policy.meta.namespace}/${policy.meta.name}`,
    action: policy.action,
    dryRun: policy.dryRun,
    file: policy.origin.document.file,
    ...place(policy, ['metadata', 'name']),
    reached,
    matched: facts === null ? null : traced.some((rule) => rule.matched),
    rules: traced,
  }
}

/** Facts are null where an earlier stage had already refused. */
function traceDelegation({ delegation, rules }: DelegationIr, facts: Facts | null): PolicyTrace {
  const { trigger, order, providers, meta, origin } = delegation
  const about = { order, providers: providers.map(({ name, mode }) => ({ name, mode })) }
  const reached = facts !== null
  const traced =
    trigger === null
      ? {
          policy: `${meta.namespace}/${meta.name}`,
          action: 'CUSTOM' as const,
          dryRun: false,
          file: origin.document.file,
          ...place(delegation, ['metadata', 'name']),
          reached,
          matched: reached ? true : null,
          rules: [],
        }
      : tracePolicy(trigger, new Map((rules ?? []).map((rule) => [rule.index, rule])), facts, reached)
  const { policy, action, ...rest } = traced
  return { policy, action, delegation: about, ...rest }
}

function traceOne(policy: AuthorizationPolicy, index: number, rule: RuleIr | null, facts: Facts): TracedRule {
  if (rule === null) return { ...named(policy, index), matched: false, dropped: true, failed: [] }
  const { id, matched, failed } = traceRule(rule, facts)
  return {
    ...named(policy, index),
    id,
    matched,
    failed: failed.map(({ field, at, expected, actual }) => {
      const key = at.includes('when') ? 'key' : field
      return { field, expected, actual, file: policy.origin.document.file, ...place(policy, [...at, key]) }
    }),
  }
}

function named(policy: AuthorizationPolicy, index: number) {
  const id = `ns[${policy.meta.namespace}]-policy[${policy.meta.name}]-rule[${index}]`
  return { id, ...place(policy, ['spec', 'rules', index]) }
}

function place({ origin: { document, path } }: Resource, within: Path): Position {
  const { line, column } = document.locate([...path, ...within], 'key')
  return { line, column }
}
