import { compileRule, type Test } from './compile-rule.ts'
import type { CustomVerdict, Decider, DryRun, DryRunResult, Verdict } from './decider.ts'
import type { Facts } from './facts.ts'
import type { PolicyIr, RuleIr, Ruleset } from './ir.ts'

/**
 * The engine of the data path. Everything that a decision can return is made here and frozen; deciding is loops over
 * arrays, in Envoy's order, without allocation.
 */
export function compile(ir: PolicyIr): Decider {
  const custom = compileCustom(ir)
  const decide = compileDecision(ir)
  const audit = ir.audit === null ? never : compileRuleset(ir.audit, () => true as const)
  return Object.freeze({
    custom,
    decide,
    audit: (facts: Facts) => audit(facts) !== null,
    dryRun: compileDryRun(ir),
  })
}

const never = () => null

/** Finds the first rule that matches and gives what was made for it. */
function compileRuleset<T>(rules: Ruleset, make: (rule: RuleIr) => T): (facts: Facts) => T | null {
  const tests: readonly Test[] = rules.map(compileRule)
  const results: readonly T[] = rules.map(make)
  const count = tests.length
  return (facts) => {
    for (let i = 0; i < count; i++) if ((tests[i] as Test)(facts)) return results[i] as T
    return null
  }
}

const PASS: CustomVerdict = Object.freeze({ kind: 'pass' })

function compileCustom(ir: PolicyIr): (facts: Facts) => CustomVerdict {
  const { custom } = ir
  const refusal = (rule: RuleIr): CustomVerdict => Object.freeze({ kind: 'deny', policy: rule.id })
  switch (custom.kind) {
    case 'none':
      return () => PASS
    case 'refuse': {
      // The rulesets stand one after the other, each in its own order.
      const refuse = compileRuleset(custom.rulesets.flat(), refusal)
      return (facts) => refuse(facts) ?? PASS
    }
    case 'ask': {
      const refuse = compileRuleset(custom.refused, refusal)
      const ask = compileRuleset(
        custom.rules,
        (rule): CustomVerdict => Object.freeze({ kind: 'ask', provider: custom.provider, policy: rule.id }),
      )
      return (facts) => refuse(facts) ?? ask(facts) ?? PASS
    }
    default:
      return custom satisfies never
  }
}

const UNRESTRICTED: Verdict = Object.freeze({ kind: 'allow', policy: null })
const IMPLICIT_DENY: Verdict = Object.freeze({ kind: 'deny', phase: 'allow', policy: 'none' })

function compileDecision(ir: PolicyIr): (facts: Facts) => Verdict {
  const deny =
    ir.deny === null
      ? never
      : compileRuleset(ir.deny, (rule): Verdict => Object.freeze({ kind: 'deny', phase: 'deny', policy: rule.id }))
  if (ir.allow === null) return (facts) => deny(facts) ?? UNRESTRICTED
  const allow = compileRuleset(ir.allow, (rule): Verdict => Object.freeze({ kind: 'allow', policy: rule.id }))
  return (facts) => deny(facts) ?? allow(facts) ?? IMPLICIT_DENY
}

function compileDryRun(ir: PolicyIr): (facts: Facts) => DryRun | null {
  const { shadowDeny, shadowAllow } = ir
  if (shadowDeny === null && shadowAllow === null) return never
  const result = (outcome: DryRunResult['result']) => (rule: RuleIr) =>
    Object.freeze({ result: outcome, policy: rule.id })
  const deny = shadowDeny === null ? null : compileRuleset(shadowDeny, result('denied'))
  const allow = shadowAllow === null ? null : compileRuleset(shadowAllow, result('allowed'))
  const enforced = ir.deny === null ? never : compileRuleset(ir.deny, () => true as const)
  const missed = (outcome: DryRunResult['result']): DryRunResult => ({ result: outcome, policy: null })
  return (facts) => {
    const denied = deny === null ? null : (deny(facts) ?? missed('allowed'))
    // A request that DENY refuses never reaches the filter that holds the ALLOW shadow rules.
    const allowed = allow === null || enforced(facts) !== null ? null : (allow(facts) ?? missed('denied'))
    if (denied === null && allowed === null) return null
    return { ...(allowed === null ? {} : { allow: allowed }), ...(denied === null ? {} : { deny: denied }) }
  }
}
