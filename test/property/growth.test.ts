import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Decider } from '#src/policy/decider.ts'
import type { Facts } from '#src/policy/facts.ts'
import { compiled } from './engines.ts'
import { families } from './families.ts'

/** The least of some rounds, in microseconds a decision: what disturbs a measurement only adds to it. */
function least(decider: Decider, facts: Facts): number {
  let best = Number.POSITIVE_INFINITY
  const until = performance.now() + 60
  for (let round = 0; round < 5 || (round < 400 && performance.now() < until); round++) {
    const started = performance.now()
    decider.decide(facts)
    best = Math.min(best, (performance.now() - started) * 1000)
  }
  return best
}

const SIZE = 500
const DOUBLINGS = 4

for (const [name, { policies, facts }] of Object.entries(families)) {
  test(`the time of a decision grows no faster than its input (${name})`, () => {
    const decider = compiled(policies, 'http')
    const sizes = Array.from({ length: DOUBLINGS + 1 }, (_, i) => SIZE * 2 ** i)
    const inputs = sizes.map(facts)
    assert.equal(decider.decide(inputs[0] as Facts).kind, 'deny', 'no rule ends the search')
    for (let round = 0; round < 30; round++) for (const input of inputs) decider.decide(input)
    const times = inputs.map((input) => least(decider, input))
    const [first = 0] = times
    const growth = (times.at(-1) as number) / Math.max(first, 1)
    // Of 16 times the input, its square would be 256 times as long.
    assert.ok(growth < 16 * 4, `${sizes.join(', ')}: ${times.map((time) => time.toFixed(1)).join(', ')} µs`)
  })
}
