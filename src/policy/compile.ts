import { compileRule, type Test } from './compile-rule.ts'
import type { CustomVerdict, Decider, DryRun, DryRunResult, Verdict } from './decider.ts'
import type { Facts } from './facts.ts'
import { RuleIndex } from './index/rule-index.ts'
import type { PolicyIr, RuleIr, Ruleset } from './ir.ts'

/**
 * The engine of the data path. Everything that a decision can return is made here and frozen; deciding is loops over
 * arrays, in Envoy's order, without allocation. Rulesets of more than `few` rules are indexed.
 */
export function compile(ir: PolicyIr, { few = FEW }: { readonly few?: number } = {}): Decider {
  const compiler = new Compiler(few)
  const audit = ir.audit === null ? never : compiler.ruleset(ir.audit, () => true as const)
  return Object.freeze({
    custom: compileCustom(ir, compiler),
    decide: compileDecision(ir, compiler),
    audit: (facts: Facts) => audit(facts) !== null,
    dryRun: compileDryRun(ir, compiler),
  })
}

/** So few rules are tested one by one sooner than they are looked up. */
const FEW = 4

const never = () => null

class Compiler {
  readonly #few: number

  constructor(few: number) {
    this.#few = few
  }

  /** Finds the first rule that matches and gives what was made for it. */
  ruleset<T>(rules: Ruleset, make: (rule: RuleIr) => T): (facts: Facts) => T | null {
    const results: readonly T[] = rules.map(make)
    if (rules.length > this.#few) {
      const index = new RuleIndex(rules)
      return (facts) => {
        const rule = index.first(facts)
        return rule === -1 ? null : (results[rule] as T)
      }
    }
    const tests: readonly Test[] = rules.map(compileRule)
    const count = tests.length
    return (facts) => {
      for (let i = 0; i < count; i++) if ((tests[i] as Test)(facts)) return results[i] as T
      return null
    }
  }
}

const PASS: CustomVerdict = Object.freeze({ kind: 'pass' })

function compileCustom(ir: PolicyIr, compiler: Compiler): (facts: Facts) => CustomVerdict {
  const { custom } = ir
  const refusal = (rule: RuleIr): CustomVerdict => Object.freeze({ kind: 'deny', policy: rule.id })
  switch (custom.kind) {
    case 'none':
      return () => PASS
    case 'refuse': {
      // The rulesets stand one after the other, each in its own order.
      const refuse = compiler.ruleset(custom.rulesets.flat(), refusal)
      return (facts) => refuse(facts) ?? PASS
    }
    case 'ask': {
      const refuse = compiler.ruleset(custom.refused, refusal)
      const ask = compiler.ruleset(
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

function compileDecision(ir: PolicyIr, compiler: Compiler): (facts: Facts) => Verdict {
  const deny =
    ir.deny === null
      ? never
      : compiler.ruleset(ir.deny, (rule): Verdict => Object.freeze({ kind: 'deny', phase: 'deny', policy: rule.id }))
  if (ir.allow === null) return (facts) => deny(facts) ?? UNRESTRICTED
  const allow = compiler.ruleset(ir.allow, (rule): Verdict => Object.freeze({ kind: 'allow', policy: rule.id }))
  return (facts) => deny(facts) ?? allow(facts) ?? IMPLICIT_DENY
}

function compileDryRun(ir: PolicyIr, compiler: Compiler): (facts: Facts) => DryRun | null {
  const { shadowDeny, shadowAllow } = ir
  if (shadowDeny === null && shadowAllow === null) return never
  const result = (outcome: DryRunResult['result']) => (rule: RuleIr) =>
    Object.freeze({ result: outcome, policy: rule.id })
  const deny = shadowDeny === null ? null : compiler.ruleset(shadowDeny, result('denied'))
  const allow = shadowAllow === null ? null : compiler.ruleset(shadowAllow, result('allowed'))
  const enforced = ir.deny === null ? never : compiler.ruleset(ir.deny, () => true as const)
  const missed = (outcome: DryRunResult['result']): DryRunResult => ({ result: outcome, policy: null })
  return (facts) => {
    const denied = deny === null ? null : (deny(facts) ?? missed('allowed'))
    // A request that DENY refuses never reaches the filter that holds the ALLOW shadow rules.
    const allowed = allow === null || enforced(facts) !== null ? null : (allow(facts) ?? missed('denied'))
    if (denied === null && allowed === null) return null
    return { ...(allowed === null ? {} : { allow: allowed }), ...(denied === null ? {} : { deny: denied }) }
  }
}
