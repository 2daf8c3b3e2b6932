import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson, parseValue, printJson, printValue } from './text.ts'
import { compareValues, equals, fromJson, Numeral, RegoSet, type RegoValue } from './value.ts'

const { value: values } = fc.letrec<{ value: RegoValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    fc.string({ unit: 'grapheme' }),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.bigInt({ min: 2n ** 60n, max: 2n ** 80n }).map((number) => new Numeral(number.toString())),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => new RegoSet(items)),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
  ),
}))

test('what is printed reads back as the same value', () => {
  fc.assert(
    fc.property(values, (value) => {
      const parsed = parseValue(printValue(value))
      assert.ok(parsed !== null)
      assert.equal(printValue(parsed.value), printValue(value))
      assert.ok(equals(parsed.value, value))
    }),
  )
})

test('JSON is read as JavaScript reads it, and printed so that it reads the same', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const parsed = parseJson(text)
      assert.ok(parsed !== null)
      const plain = JSON.parse(text)
      assert.deepEqual(JSON.parse(printJson(parsed.value)), JSON.parse(JSON.stringify(plain)))
      assert.ok(equals(parsed.value, fromJson(plain)))
    }),
  )
})

test('no text that JavaScript refuses is JSON', () => {
  const texts = fc.array(
    fc.constantFrom('{', '}', '[', ']', ',', ':', '"', 'a', '1', '-', '.', 'e', '0', 'null', ' ', '\\', '\n'),
  )
  fc.assert(
    fc.property(texts, (parts) => {
      const text = parts.join('')
      let accepted = true
      try {
        JSON.parse(text)
      } catch {
        accepted = false
      }
      assert.equal(parseJson(text) !== null, accepted, text)
    }),
  )
})

test('sets and keys of any type are of Rego only', () => {
  assert.deepEqual(parseValue('{1, {2: [set()]}}')?.value, new RegoSet([1, new Map([[2, [new RegoSet([])]]])]))
  for (const text of ['{1}', '{1: 2}', 'set()']) assert.equal(parseJson(text), null)
})

test('numbers keep what a double would lose', () => {
  assert.equal(
    printValue(parseJson('[12345678901234567890,1.0,-0,1e999]')?.value ?? null),
    '[12345678901234567890,1.0,-0,1e999]',
  )
})

test('values have one order', () => {
  const ordered: RegoValue[] = [
    null,
    false,
    true,
    new Numeral('-1e30'),
    0,
    1,
    new Numeral('1.5'),
    new Numeral('1e30'),
    '',
    'a',
    'é',
    '\uffee',
    '😀',
    [],
    [1],
    new Map(),
    new Map([['a', 1]]),
    new RegoSet([]),
    new RegoSet([1]),
  ]
  for (const [i, a] of ordered.entries()) {
    for (const [j, b] of ordered.entries()) assert.equal(Math.sign(compareValues(a, b)), Math.sign(i - j), `${i} ${j}`)
  }
  assert.ok(equals(new Numeral('1.0'), 1))
  assert.ok(equals(new RegoSet([1, 2, 1]), new RegoSet([2, 1])))
})
