import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { madeOf, type Piece } from './pieces.ts'

const repeated: readonly (readonly [Piece, string])[] = [
  [{ of: () => true, least: 0 }, '[^]*'],
  [{ of: (c) => c !== '/', least: 0 }, '[^/]*'],
  [{ of: (c) => c !== 'b', least: 1 }, '[^b]+'],
]

test('pieces match what the regular expression of their kind matches', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 8 })
  const literal = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 3 }).map((one) => [one, one] as const)
  const pattern = fc.array(fc.oneof(literal, fc.constantFrom(...repeated)), { maxLength: 5 })
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 8 }), (pieces, texts) => {
      const expression = new RegExp(`^${pieces.map(([, source]) => source).join('')}$`)
      for (const one of texts) {
        const found = madeOf(
          one,
          pieces.map(([piece]) => piece),
        )
        assert.equal(found, expression.test(one), `${expression} ${one}`)
      }
    }),
    { numRuns: 5000 },
  )
})

test('no pattern takes more than the product of the lengths', () => {
  const any: Piece = { of: () => true, least: 0 }
  const pieces = Array.from({ length: 100 }, () => [any, 'a']).flat()
  const start = process.hrtime.bigint()
  assert.equal(madeOf('a'.repeat(10_000), [...pieces, 'b']), false)
  assert.equal(madeOf('a'.repeat(10_000), pieces), true)
  // A regular expression would need longer than anybody waits; this is a second at most on a busy machine.
  assert.ok(process.hrtime.bigint() - start < 20_000_000_000n)
})
