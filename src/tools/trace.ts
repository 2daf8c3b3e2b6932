import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { Decider } from '../policy/decider.ts'
import type { Facts } from '../policy/facts.ts'
import { traceRule } from '../policy/interpret.ts'
import type { PolicyIr, RuleIr } from '../policy/ir.ts'
import type { MatchAttempt } from '../policy/trace.ts'
import type { Json } from '../source/document.ts'

/** Every policy of the workload and how each of its rules fared, in the order of evaluation. */
export interface Trace {
  readonly policies: readonly PolicyTrace[]
}

export interface PolicyTrace {
  /** `namespace/name`. */
  readonly policy: string
  readonly action: AuthorizationPolicy['action']
  readonly dryRun: boolean
  readonly file: string
  readonly line: number
  /** False when an earlier stage had already refused. */
  readonly reached: boolean
  readonly matched: boolean
  readonly rules: readonly TracedRule[]
}

export interface TracedRule {
  readonly id: string
  readonly matched: boolean
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

/** Wraps a decider so that each phase is traced at the moment when it decides, with the facts of that moment. */
export function tracing(
  decider: Decider,
  ir: PolicyIr,
  policies: readonly AuthorizationPolicy[],
): { readonly decider: Decider; trace(): Trace } {
  const rules = new Map<AuthorizationPolicy, RuleIr[]>()
  for (const rule of everyRule(ir)) rules.set(rule.policy, [...(rules.get(rule.policy) ?? []), rule])
  const traces = new Map<AuthorizationPolicy, PolicyTrace>()
  const record = (facts: Facts, custom: boolean) => {
    for (const policy of policies) {
      if ((policy.action === 'CUSTOM') !== custom) continue
      traces.set(policy, tracePolicy(policy, rules.get(policy) ?? [], facts))
    }
  }
  return {
    decider: {
      custom(facts) {
        record(facts, true)
        return decider.custom(facts)
      },
      decide(facts) {
        record(facts, false)
        return decider.decide(facts)
      },
      audit: (facts) => decider.audit(facts),
      dryRun: (facts) => decider.dryRun(facts),
    },
    trace: () => ({
      policies: [...policies]
        .sort((a, b) => ORDER.indexOf(a.action) - ORDER.indexOf(b.action))
        .map((policy) => traces.get(policy) ?? tracePolicy(policy, [], null)),
    }),
  }
}

const ORDER: readonly AuthorizationPolicy['action'][] = ['CUSTOM', 'AUDIT', 'DENY', 'ALLOW']

function everyRule(ir: PolicyIr): RuleIr[] {
  const { custom } = ir
  const asked = custom.kind === 'ask' ? [custom.rules, custom.refused] : []
  const refused = custom.kind === 'refuse' ? custom.rulesets : []
  const rest = [ir.audit, ir.deny, ir.allow, ir.shadowDeny, ir.shadowAllow]
  return [...asked, ...refused, ...rest].flatMap((ruleset) => ruleset ?? [])
}

function tracePolicy(policy: AuthorizationPolicy, rules: readonly RuleIr[], facts: Facts | null): PolicyTrace {
  const { document, path } = policy.origin
  const traced = facts === null ? [] : traceRules(policy, rules, facts)
  return {
    policy: `${policy.meta.namespace}/${policy.meta.name}`,
    action: policy.action,
    dryRun: policy.dryRun,
    file: document.file,
    line: document.locate([...path, 'metadata', 'name'], 'key').line,
    reached: facts !== null,
    matched: traced.some((rule) => rule.matched),
    rules: traced,
  }
}

function traceRules(policy: AuthorizationPolicy, rules: readonly RuleIr[], facts: Facts): TracedRule[] {
  const { document, path } = policy.origin
  return policy.rules.map((_, index) => {
    const rule = rules.find((one) => one.index === index)
    if (rule === undefined) {
      const id = `ns[${policy.meta.namespace}]-policy[${policy.meta.name}]-rule[${index}]`
      return { id, matched: false, dropped: true, failed: [] }
    }
    const { id, matched, failed } = traceRule(rule, facts)
    return {
      id,
      matched,
      failed: failed.map(({ field, at, expected, actual }) => {
        const key = at.includes('when') ? 'key' : field
        return { field, expected, actual, file: document.file, ...document.locate([...path, ...at, key], 'key') }
      }),
    }
  })
}
