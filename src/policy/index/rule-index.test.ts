import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeaderMap } from '../../match/header-map.ts'
import { parseIp } from '../../match/ip.ts'
import { principalPattern } from '../../match/spiffe.ts'
import { parseStringMatch } from '../../match/string-match.ts'
import type { AuthorizationPolicy } from '../../mesh/authorization-policy.ts'
import { compileRule } from '../compile-rule.ts'
import { Facts } from '../facts.ts'
import type { Condition, Match, RuleIr, Ruleset } from '../ir.ts'
import { RuleIndex } from './rule-index.ts'

// Few values for many rules: each is shared, so that buckets are divided and rules without anchors form groups.
const path = (text: string): Match => ({ written: text, kind: 'path', match: parseStringMatch(text) })
const method = (text: string): Match => ({ written: text, kind: 'method', match: parseStringMatch(text) })
const peer = (text: string): Match => ({ written: text, kind: 'peer', pattern: principalPattern(text) })
const header = (text: string): Match => ({ written: text, kind: 'header', name: 'x', match: parseStringMatch(text) })

function condition(values: readonly Match[]): fc.Arbitrary<Condition> {
  const list = (weight: number) =>
    fc.oneof(
      { weight, arbitrary: fc.constant<Match[]>([]) },
      { weight: 4, arbitrary: fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }) },
    )
  return fc.record({ field: fc.constant('field'), any: list(4), none: list(8), at: fc.constant([]) })
}

const paths = ['/a', '/b', '/a*', '*b', '/ab'].map(path)
const methods = ['GET', 'POST'].map(method)
const peers = ['td/1', 'td/2', '*2', 'td/*'].map(peer)
const headers = ['1', '2', '3'].map(header)
const alternatives = (...of: readonly fc.Arbitrary<Condition>[]) =>
  fc.array(fc.tuple(...of), { minLength: 1, maxLength: 2 })

const bodies = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      permissions: alternatives(condition(paths), condition(methods)),
      principals: alternatives(condition(peers), condition(headers)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      permissions: condition(paths).map((one) => [[{ ...one, any: [] }]]),
      principals: condition(peers).map((one) => [[{ ...one, any: [] }]]),
    }),
  },
)

type Body = Pick<RuleIr, 'permissions' | 'principals'>

const make = (rule: RuleIr) => ({ rule, test: compileRule(rule), result: rule })

function ruleOf(id: number, body: Body): RuleIr {
  return { id: String(id).padStart(6, '0'), policy: {} as AuthorizationPolicy, index: 0, ...body }
}

const requests: readonly Facts[] = ['/a', '/b', '/ab', '/c'].flatMap((path) =>
  ['GET', 'POST'].flatMap((method) =>
    ['td/1', 'td/2', 'other/2'].flatMap((peer) =>
      [[], ['1'], ['2', '3', '2']].map((lines) => {
        const ip = parseIp('10.0.0.1')
        assert.ok(ip)
        return Facts.ofRequest(
          { peer: `spiffe://${peer}`, sourceIp: ip, destinationIp: ip, destinationPort: 80, sni: '' },
          {
            method,
            path,
            host: 'h',
            scheme: 'http',
            headers: HeaderMap.from(lines.map((line) => ['x', line] as const)),
            remoteIp: ip,
          },
        )
      }),
    ),
  ),
)

function firstOf(rules: Ruleset): readonly (string | null)[] {
  const tests = rules.map((rule) => compileRule(rule))
  return requests.map((facts) => rules[tests.findIndex((test) => test(facts))]?.id ?? null)
}

/** Replaces, removes or adds rules at these places of the id order, each between its neighbours. */
interface Edit {
  readonly gone: readonly number[]
  readonly came: readonly { readonly id: number; readonly body: Body }[]
}

const edits: fc.Arbitrary<Edit> = fc.record({
  gone: fc.uniqueArray(fc.nat({ max: 60 }), { maxLength: 4 }),
  came: fc.oneof(
    fc.constant([]),
    fc.uniqueArray(fc.record({ id: fc.nat({ max: 99_999 }), body: bodies }), {
      maxLength: 4,
      selector: ({ id }) => id,
    }),
  ),
})

test('an index, however it came about, finds the first rule that matches, and stays as it was', () => {
  fc.assert(
    fc.property(
      fc.array(bodies, { maxLength: 60 }),
      fc.array(edits, { maxLength: 6 }),
      fc.constantFrom(1, 2, 4),
      (all, steps, split) => {
        let rules: Ruleset = all.map((body, i) => ruleOf(i * 1000 + 500, body))
        let index = RuleIndex.of(rules, make, split)
        const found = (one: RuleIndex<RuleIr>) => requests.map((facts) => one.first(facts)?.id ?? null)
        const versions = [{ index, expected: firstOf(rules) }]
        for (const { gone, came } of steps) {
          const old = rules
          const goneRules = new Set(gone.flatMap((place) => old[place] ?? []))
          const kept = old.filter((rule) => !goneRules.has(rule))
          const taken = new Set(kept.map(({ id }) => id))
          const fresh = came.map(({ id, body }) => ruleOf(id, body)).filter(({ id }) => !taken.has(id))
          rules = [...kept, ...fresh].sort((a, b) => (a.id < b.id ? -1 : 1))
          const places = (of: Ruleset, chosen: ReadonlySet<RuleIr>) =>
            of.flatMap((rule, place) => (chosen.has(rule) ? [place] : []))
          index = index.edit(rules, { gone: places(old, goneRules), came: places(rules, new Set(fresh)) }, make)
          versions.push({ index, expected: firstOf(rules) })
        }
        for (const { index, expected } of versions) assert.deepEqual(found(index), expected)
      },
    ),
    { numRuns: 400 },
  )
})
