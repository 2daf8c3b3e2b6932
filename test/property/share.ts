import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Property, properties } from './properties.ts'
import { runProperty } from './run.ts'

const cases = Number(process.env.SALLYPORT_CASES ?? 20_000)
const seed = Number(process.env.SALLYPORT_SEED ?? 20261122)
const whole = properties.reduce((sum, { weight }) => sum + weight, 0)

/** Makes a test of each property of the choice, with its share of all cases (SALLYPORT_CASES, SALLYPORT_SEED). */
export function testShare(choose: (property: Property) => boolean): void {
  for (const property of properties.filter(choose)) {
    test(`${property.name} (seed ${seed})`, () => {
      const failure = runProperty(property, { runs: Math.ceil((cases * property.weight) / whole), seed })
      assert.equal(failure, null, failure ?? '')
    })
  }
}
