import assert from 'node:assert/strict'
import { test } from 'node:test'
import { milliseconds } from './duration.ts'

test('durations are seconds with as many digits as protobuf writes', () => {
  const cases = [
    [600_000, '600s'],
    [0, '0s'],
    [500, '0.500s'],
    [1250, '1.250s'],
    [0.25, '0.000250s'],
    [0.000001, '0.000000001s'],
    [1.0005, '0.001000500s'],
  ] as const
  for (const [value, text] of cases) assert.equal(milliseconds(value), text)
})
