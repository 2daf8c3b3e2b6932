import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HpackDecoder } from './decoder.ts'
import { HpackEncoder } from './encoder.ts'

const limits = { table: 4096, list: 65_536, fields: 100 }

function fieldsOf(decoder: HpackDecoder, block: Uint8Array): readonly string[] {
  const decoded = decoder.decode(block)
  return decoded.kind === 'fields' ? decoded.fields : assert.fail(JSON.stringify(decoded))
}

test('a field that is larger than the table empties it, also for what was written before', () => {
  const encoder = new HpackEncoder()
  const decoder = new HpackDecoder(limits)
  encoder.resize(100)
  const small = ['a', 'b']
  const large = ['x-large', 'y'.repeat(200)]
  for (const list of [small, small, small, large, small, large, large, small, small]) {
    assert.deepEqual(fieldsOf(decoder, encoder.encode(list)), list)
  }
})

test('lists that are given again mean what they meant, whatever comes between', () => {
  const field = fc.tuple(
    fc.constantFrom('a', 'b', 'x-team', ':status', 'authorization', 'grpc-timeout', 'content-type'),
    fc.oneof(fc.constantFrom('', '1', '200', 'application/grpc'), fc.stringMatching(/^[a-z]{1,120}$/)),
  )
  const lists = fc.array(
    fc.array(field, { maxLength: 5 }).map((pairs) => pairs.flat()),
    { minLength: 1, maxLength: 8 },
  )
  const step = fc.oneof({ weight: 6, arbitrary: fc.nat(7) }, fc.constantFrom('0', '34', '60', '100', '300', '4096'))
  fc.assert(
    fc.property(lists, fc.array(step, { maxLength: 60 }), (known, steps) => {
      const encoder = new HpackEncoder()
      const decoder = new HpackDecoder(limits)
      for (const one of steps) {
        if (typeof one === 'string') {
          encoder.resize(Number(one))
          continue
        }
        const list = known[one % known.length] as readonly string[]
        const block = encoder.encode(list)
        assert.deepEqual(fieldsOf(decoder, block), list)
      }
    }),
    { numRuns: 3000 },
  )
})
