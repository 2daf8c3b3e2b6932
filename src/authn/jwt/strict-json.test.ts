import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson, parseJsonObject } from './strict-json.ts'

const parse = (text: string) => parseJsonObject(Buffer.from(text, 'utf8'))
/** Without the difference that our objects have no prototype. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value))

test('reads what JSON.parse reads', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), fc.nat(4), (object, indent) => {
      const text = JSON.stringify(object, null, indent)
      assert.deepEqual(plain(parse(text)), JSON.parse(text))
    }),
  )
})

test('agrees with JSON.parse on damaged text', () => {
  const sample = '{"a":[1,-2.5e3,"x\\n\\u00e9",true,null,{"b":{}}],"c":false}'
  fc.assert(
    fc.property(fc.nat(sample.length - 1), fc.constantFrom(...'{}[]",:\\ 0-.eE+tfn\n\u0001'), (at, char) => {
      const text = sample.slice(0, at) + char + sample.slice(at + 1)
      let expected: unknown
      try {
        expected = JSON.parse(text)
      } catch {
        expected = null
      }
      assert.deepEqual(plain(parse(text)), expected)
    }),
    { numRuns: 1000 },
  )
})

test('refuses members that repeat, at any depth and however written', () => {
  assert.equal(parse('{"a":1,"a":1}'), null)
  assert.equal(parse('{"a":[{"b":1,"\\u0062":2}]}'), null)
  assert.notEqual(parse('{"a":{"a":1},"b":[{"a":1},{"a":1}]}'), null)
})

test('refuses anything but one object', () => {
  for (const text of ['', ' ', '[]', '1', '"a"', 'null', '{} {}', '{},', "{'a':1}", '{a:1}', '{"a":1,}', '\ufeff{}'])
    assert.equal(parse(text), null, text)
})

test('refuses invalid UTF-8, unpaired surrogates, and numbers that are not finite', () => {
  assert.equal(parseJsonObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), null)
  assert.equal(parse('{"a":"\\ud800"}'), null)
  assert.equal(parse('{"a":1e999}'), null)
})

test('has a limit on depth instead of overflowing the stack', () => {
  assert.notEqual(parse(`{"a":${'['.repeat(98)}${']'.repeat(98)}}`), null)
  assert.equal(parse(`{"a":${'['.repeat(100_000)}`), null)
})

test('has no inherited members', () => {
  const object = parse('{"__proto__":{"x":1}}')
  assert.equal((object as { x?: unknown }).x, undefined)
  assert.equal(object?.constructor, undefined)
  assert.deepEqual(Object.keys(object ?? {}), ['__proto__'])
})

test('reads any value where no object is demanded, as strictly', () => {
  const read = (text: string) => parseJson(Buffer.from(text))
  assert.deepEqual(read(' [1, "a", null] '), [1, 'a', null])
  assert.equal(read('false'), false)
  assert.equal(read('null'), null)
  for (const text of ['', '[1] 2', '[{"a":1,"a":2}]', '01', 'nil']) assert.equal(read(text), undefined, text)
})
