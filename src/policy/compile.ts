import type { CustomVerdict, Decider, DryRun, DryRunResult, Verdict } from './decider.ts'
import type { Facts } from './facts.ts'
import type { CustomIr, PolicyIr, RuleIr, Ruleset } from './ir.ts'
import { RuleTable, TUNING, type Tuning } from './rule-table.ts'
import type { RulesetChange } from './ruleset-change.ts'

/**
 * The engine of the data path. Everything that a decision can return is made here and frozen; deciding is loops over
 * arrays, in Envoy's order, without allocation. Rulesets of more than a few rules are indexed.
 */
export function compile(ir: PolicyIr, tuning: Partial<Tuning> = {}): Decider {
  return deciderOf(tablesOf(ir, { ...TUNING, ...tuning }))
}

/** The rules of a workload, ruleset by ruleset, ready to be searched. */
export interface Tables {
  /** They stand one after the other, each in its own order. */
  readonly custom: readonly RuleTable<CustomVerdict>[]
  readonly audit: RuleTable<true> | null
  readonly deny: RuleTable<Verdict> | null
  readonly allow: RuleTable<Verdict> | null
  readonly shadowDeny: RuleTable<DryRunResult> | null
  readonly shadowAllow: RuleTable<DryRunResult> | null
}

/** What an earlier version leaves to the next: its tables, and how rulesets that are not the same differ from its own. */
export interface Earlier {
  readonly tables: Tables
  readonly changes: ReadonlyMap<Ruleset, RulesetChange>
}

export function tablesOf(ir: PolicyIr, tuning: Tuning, earlier: Earlier | null = null): Tables {
  const old = earlier?.tables
  const table = <T>(rules: Ruleset, make: (rule: RuleIr) => T, last: RuleTable<T> | null | undefined) => {
    if (last?.rules === rules) return last
    const change = earlier?.changes.get(rules)
    return last == null || change === undefined ? RuleTable.of(rules, make, tuning) : last.edit(rules, change)
  }
  const maybe = <T>(rules: Ruleset | null, make: (rule: RuleIr) => T, last: RuleTable<T> | null | undefined) =>
    rules === null ? null : table(rules, make, last)
  return {
    custom: customRulesets(ir.custom).map(({ rules, make }, i) => table(rules, make, old?.custom[i])),
    audit: maybe(ir.audit, () => true as const, old?.audit),
    deny: maybe(ir.deny, (rule): Verdict => Object.freeze({ kind: 'deny', phase: 'deny', policy: rule.id }), old?.deny),
    allow: maybe(ir.allow, (rule): Verdict => Object.freeze({ kind: 'allow', policy: rule.id }), old?.allow),
    shadowDeny: maybe(ir.shadowDeny, shadowResult('denied'), old?.shadowDeny),
    shadowAllow: maybe(ir.shadowAllow, shadowResult('allowed'), old?.shadowAllow),
  }
}

/** What refuses stands before what asks. */
function customRulesets(
  custom: CustomIr,
): readonly { readonly rules: Ruleset; readonly make: (rule: RuleIr) => CustomVerdict }[] {
  const refusal = (rule: RuleIr): CustomVerdict => Object.freeze({ kind: 'deny', policy: rule.id })
  switch (custom.kind) {
    case 'none':
      return []
    case 'refuse':
      return custom.rulesets.map((rules) => ({ rules, make: refusal }))
    case 'ask': {
      const { provider, refused, rules } = custom
      const ask = (rule: RuleIr): CustomVerdict => Object.freeze({ kind: 'ask', provider, policy: rule.id })
      return [
        { rules: refused, make: refusal },
        { rules, make: ask },
      ]
    }
    default:
      return custom satisfies never
  }
}

function shadowResult(result: DryRunResult['result']) {
  return (rule: RuleIr): DryRunResult => Object.freeze({ result, policy: rule.id })
}

const PASS: CustomVerdict = Object.freeze({ kind: 'pass' })
const UNRESTRICTED: Verdict = Object.freeze({ kind: 'allow', policy: null })
const IMPLICIT_DENY: Verdict = Object.freeze({ kind: 'deny', phase: 'allow', policy: 'none' })

export function deciderOf(tables: Tables): Decider {
  const { audit } = tables
  return Object.freeze({
    custom: compileCustom(tables),
    decide: compileDecision(tables),
    audit: (facts: Facts) => audit !== null && audit.first(facts) !== null,
    dryRun: compileDryRun(tables),
  })
}

function compileCustom({ custom }: Tables): (facts: Facts) => CustomVerdict {
  return (facts) => {
    for (let i = 0; i < custom.length; i++) {
      const verdict = (custom[i] as RuleTable<CustomVerdict>).first(facts)
      if (verdict !== null) return verdict
    }
    return PASS
  }
}

function compileDecision({ deny, allow }: Tables): (facts: Facts) => Verdict {
  if (deny === null && allow === null) return () => UNRESTRICTED
  if (deny === null) return (facts) => allow?.first(facts) ?? IMPLICIT_DENY
  if (allow === null) return (facts) => deny.first(facts) ?? UNRESTRICTED
  return (facts) => deny.first(facts) ?? allow.first(facts) ?? IMPLICIT_DENY
}

const MISSED_DENY: DryRunResult = Object.freeze({ result: 'allowed', policy: null })
const MISSED_ALLOW: DryRunResult = Object.freeze({ result: 'denied', policy: null })

/** Allocates the answer, which has two parts; without dry-run policies there is none. */
function compileDryRun({ deny, shadowDeny, shadowAllow }: Tables): (facts: Facts) => DryRun | null {
  if (shadowDeny === null && shadowAllow === null) return () => null
  return (facts) => {
    const denied = shadowDeny === null ? null : (shadowDeny.first(facts) ?? MISSED_DENY)
    // A request that DENY refuses never reaches the filter that holds the ALLOW shadow rules.
    const reached = shadowAllow !== null && (deny === null || deny.first(facts) === null)
    const allowed = reached ? (shadowAllow.first(facts) ?? MISSED_ALLOW) : null
    if (denied === null && allowed === null) return null
    return Object.freeze({
      ...(allowed === null ? {} : { allow: allowed }),
      ...(denied === null ? {} : { deny: denied }),
    })
  }
}
