import assert from 'node:assert/strict'
import type { AuthorizationPolicy } from '#src/mesh/authorization-policy.ts'
import { compile } from '#src/policy/compile.ts'
import type { Decider } from '#src/policy/decider.ts'
import type { Facts } from '#src/policy/facts.ts'
import { createInterpreter } from '#src/policy/interpret.ts'
import { lower } from '#src/policy/lower.ts'
import type { Tuning } from '#src/policy/rule-table.ts'
import { inputOf } from './policies.ts'

export type Protocol = 'http' | 'tcp'

/** Rules one by one; all by index; all by index, divided as far as it goes, and every list of values looked up. */
export const tunings: Readonly<Record<string, Partial<Tuning>>> = {
  'rules one by one': { few: Number.POSITIVE_INFINITY },
  'rules by index': { few: 0 },
  'everything divided': { few: 0, split: 1, many: 0 },
}

export function everything(decider: Decider, facts: Facts) {
  return {
    custom: decider.custom(facts),
    decide: decider.decide(facts),
    audit: decider.audit(facts),
    dryRun: decider.dryRun(facts),
  }
}

/** Without the names of policies. */
export function outcomes(decider: Decider, facts: Facts) {
  const { custom, decide, audit, dryRun } = everything(decider, facts)
  return {
    custom: custom.kind,
    decide: decide.kind === 'allow' ? 'allow' : decide.phase,
    audit,
    dryRun: dryRun === null ? null : { allow: dryRun.allow?.result, deny: dryRun.deny?.result },
  }
}

export function compiled(policies: readonly AuthorizationPolicy[], protocol: Protocol): Decider {
  return compile(lower(inputOf(policies, protocol)))
}

export function allows(policies: readonly AuthorizationPolicy[], facts: Facts): boolean {
  return compiled(policies, facts.http ? 'http' : 'tcp').decide(facts).kind === 'allow'
}

/** Both engines, the compiled one in all its forms, say the same. */
export function assertAgree(policies: readonly AuthorizationPolicy[], protocol: Protocol, all: readonly Facts[]): void {
  const ir = lower(inputOf(policies, protocol))
  const interpreted = createInterpreter(ir)
  const expected = all.map((facts) => everything(interpreted, facts))
  for (const [name, tuning] of Object.entries(tunings)) {
    const decider = compile(ir, tuning)
    for (const [i, facts] of all.entries()) {
      const verdicts = everything(decider, facts)
      assert.deepEqual(verdicts, expected[i], name)
      for (const verdict of [verdicts.custom, verdicts.decide, verdicts.dryRun]) assert.ok(Object.isFrozen(verdict))
    }
  }
}
