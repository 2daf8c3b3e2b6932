import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Coverage } from './coverage.ts'
import { type Case, properties } from './properties.ts'
import { runProperty } from './run.ts'
import { testShare } from './share.ts'

testShare(({ name }) => name.startsWith('the compiled decider'))

test('random policies and requests reach every field, both ways', () => {
  const coverage = new Coverage()
  for (const property of properties.slice(0, 2)) {
    const observe = ({ policies, asked }: Case) => coverage.observe(policies, property.protocol, asked)
    // Always the same cases: that of so few each thing is among them is luck.
    assert.equal(runProperty(property, { runs: 2500, seed: 1, observe }), null)
  }
  assert.deepEqual(coverage.gaps(), [])
  assert.ok(coverage.matched() > 0.4 && coverage.matched() < 0.8, coverage.table())
})

test('the interpreter takes no matching from elsewhere but what its comment says', () => {
  const source = readFileSync(new URL('../../../src/policy/interpret.ts', import.meta.url), 'utf8')
  const imports = [...source.matchAll(/^import (?!type ){ (.*) } from '(.*)'$/gm)].map(([, names, from]) => ({
    from,
    names: names?.split(', ').filter((name) => !name.startsWith('type ')),
  }))
  assert.deepEqual(imports, [
    { from: './header-lines.ts', names: ['isJoinedHeader', 'isPseudoHeader', 'joinLines'] },
    { from: './pieces.ts', names: ['madeOf'] },
    { from: './trace.ts', names: ['actualOf'] },
  ])
})

test('a failure is told with its seed and the smallest case, and comes again', () => {
  const [property] = properties
  assert.ok(property)
  const failing = {
    ...property,
    name: 'no policy denies',
    cases: property.cases.map((one) => ({
      ...one,
      check: () => assert.ok(!one.policies.some(({ action }) => action === 'DENY'), 'one denies'),
    })),
  }
  const [told, again] = [1, 2].map(() => runProperty(failing, { runs: 1000, seed: 3 }))
  assert.match(told ?? '', /does not hold: no policy denies\nseed 3, case \d+, made smaller \d+ times:\npolicy\n/)
  assert.match(told ?? '', /"action":"DENY","rules":\[\]}}\nrequest\n.*\n.*one denies/s)
  assert.equal(told?.match(/^policy$/gm)?.length, 1, 'one policy is enough')
  assert.equal(again, told)
})
