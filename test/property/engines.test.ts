import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AuthorizationPolicy } from '#src/mesh/authorization-policy.ts'
import { compile } from '#src/policy/compile.ts'
import type { Decider } from '#src/policy/decider.ts'
import type { Facts } from '#src/policy/facts.ts'
import { createInterpreter } from '#src/policy/interpret.ts'
import { lower } from '#src/policy/lower.ts'
import { httpFacts, opa, policies, policyOf, tcpFacts } from './policies.ts'

const runs = Number(process.env.SALLYPORT_CASES ?? 20_000)
const seed = Number(process.env.SALLYPORT_SEED ?? Date.now() % 2 ** 31)

function ir(list: readonly AuthorizationPolicy[], protocol: 'http' | 'tcp') {
  return lower({
    policies: list,
    trustDomains: ['td1', 'old'],
    protocol,
    provider: (name) =>
      name === 'opa' ? { kind: 'usable', provider: opa } : { kind: 'unusable', reason: `no provider ${name}` },
  })
}

function everything(decider: Decider, facts: Facts) {
  return {
    custom: decider.custom(facts),
    decide: decider.decide(facts),
    audit: decider.audit(facts),
    dryRun: decider.dryRun(facts),
  }
}

function allows(list: readonly AuthorizationPolicy[], facts: Facts): boolean {
  return compile(ir(list, facts.http ? 'http' : 'tcp')).decide(facts).kind === 'allow'
}

for (const [protocol, facts] of [
  ['http', httpFacts],
  ['tcp', tcpFacts],
] as const) {
  test(`the compiled decider says what the interpreter says (${protocol}, seed ${seed})`, () => {
    fc.assert(
      fc.property(policies, fc.array(facts, { minLength: 1, maxLength: 4 }), (list, all) => {
        const lowered = ir(list, protocol)
        const interpreted = createInterpreter(lowered)
        const listed = compile(lowered, { few: Number.POSITIVE_INFINITY })
        const indexed = compile(lowered, { few: 0 })
        for (const one of all) {
          const expected = everything(interpreted, one)
          assert.deepEqual(everything(listed, one), expected, 'rules one by one')
          assert.deepEqual(everything(indexed, one), expected, 'rules by index')
        }
      }),
      { numRuns: runs / 2, seed },
    )
  })
}

test(`adding a DENY never allows more (seed ${seed})`, () => {
  fc.assert(
    fc.property(policies, policies, fc.oneof(httpFacts, tcpFacts), (list, more, facts) => {
      const denies = more.filter((policy) => policy.action === 'DENY').map((p) => ({ ...p, dryRun: false }))
      const renamed = denies.map((p) => ({ ...p, meta: { ...p.meta, name: `extra-${p.meta.name}` } }))
      if (!allows(list, facts)) assert.equal(allows([...list, ...renamed], facts), false)
    }),
    { numRuns: runs / 10, seed },
  )
})

test(`adding an ALLOW to a workload that has one never denies more (seed ${seed})`, () => {
  const first = policyOf('first', 'ALLOW', [])
  fc.assert(
    fc.property(policies, policies, fc.oneof(httpFacts, tcpFacts), (list, more, facts) => {
      const allowing = more.filter((policy) => policy.action === 'ALLOW').map((p) => ({ ...p, dryRun: false }))
      const renamed = allowing.map((p) => ({ ...p, meta: { ...p.meta, name: `extra-${p.meta.name}` } }))
      if (allows([first, ...list], facts)) assert.equal(allows([first, ...list, ...renamed], facts), true)
    }),
    { numRuns: runs / 10, seed },
  )
})

test(`the order of policies never matters (seed ${seed})`, () => {
  fc.assert(
    fc.property(policies, httpFacts, (list, facts) => {
      const forward = everything(compile(ir(list, 'http')), facts)
      assert.deepEqual(everything(compile(ir([...list].reverse(), 'http')), facts), forward)
    }),
    { numRuns: runs / 10, seed },
  )
})
