import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from './document.ts'
import { parseSource } from './parse.ts'

function only(text: string): Json {
  const { documents, diagnostics } = parseSource('a.yaml', text)
  assert.deepEqual(diagnostics, [])
  assert.equal(documents.length, 1)
  return (documents[0] as { value: Json }).value
}

function problems(text: string): string[] {
  return parseSource('a.yaml', text).diagnostics.map((d) => `${d.code} ${d.line}:${d.column} ${d.message}`)
}

test('plain scalars mean what go-yaml makes of them', () => {
  const cases: [string, Json][] = [
    ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true', 'True', 'TRUE'].map((s): [string, Json] => [s, true]),
    ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'false', 'False'].map((s): [string, Json] => [s, false]),
    ...['', '~', 'null', 'Null', 'NULL'].map((s): [string, Json] => [s, null]),
    ['yEs', 'yEs'],
    ['0', 0],
    ['-12', -12],
    ['+12', 12],
    ['010', 8],
    ['0o10', 8],
    ['0x1F', 31],
    ['0b101', 5],
    ['-0b11', -3],
    ['1_000', 1000],
    ['08', 8],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['.5_5', 0.55],
    ['._5', '._5'],
    ['1.', 1],
    ['1e3', 1000],
    ['1e999', '1e999'],
    ['18446744073709551615', 2 ** 64],
    ['18446744073709551616', 2 ** 64],
    ['0x', '0x'],
    ['1:30', '1:30'],
    ['190:20:30', '190:20:30'],
    ['2001-12-14', '2001-12-14'],
    ['2001-12-14t21:59:43.10-05:00', '2001-12-14t21:59:43.10-05:00'],
    ['1.2.3.4', '1.2.3.4'],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['-', [null]],
    ['"yes"', 'yes'],
    ["'1'", '1'],
    ['!!str 1', '1'],
    ['!!str yes', 'yes'],
    ['!!int "7"', 7],
    ['!!float 1', 1],
    ['!!bool "on"', true],
    ['!!binary aGk=', 'hi'],
    ['! 12', '12'],
  ]
  for (const [text, value] of cases) assert.deepEqual(only(`a:\n  ${text}\n`), { a: value }, text)
})

test('block scalars keep their text', () => {
  assert.deepEqual(only('a: |-\n  x: 1\n  y\nb: >\n  x\n  y\n'), { a: 'x: 1\ny', b: 'x y\n' })
})

test('values that JSON does not have are refused', () => {
  assert.deepEqual(problems('a: .inf\nb: .NaN\n'), [
    'SP002 1:4 `.inf` has no meaning in JSON',
    'SP002 2:4 `.NaN` has no meaning in JSON',
  ])
  assert.deepEqual(problems('a: !thing 1\n'), ['SP002 1:11 the tag `!thing` is not known'])
  assert.deepEqual(problems('a: !!set {}\n'), ['SP002 1:10 the tag `!!set` is not known'])
  assert.deepEqual(problems('a: !!int x\n'), ['SP002 1:10 `x` cannot be read as `!!int`'])
})

test('keys become strings', () => {
  assert.deepEqual(only('1: a\ntrue: b\n1.5: c\n0x10: d\n"y": e\n'), { 1: 'a', true: 'b', '1.5': 'c', 16: 'd', y: 'e' })
  assert.deepEqual(problems('? [a]\n: b\n'), ['SP002 1:3 a key must be a string, not a list or a mapping'])
  assert.deepEqual(only('18446744073709551615: a\n'), { '18446744073709551615': 'a' })
  assert.deepEqual(problems('~: b\n'), ['SP002 1:1 a key must not be null'])
})

test('a key named __proto__ is a key', () => {
  const value = only('__proto__: { a: 1 }\n') as Record<string, Json>
  assert.deepEqual(Object.keys(value), ['__proto__'])
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
})

test('duplicate keys are refused where they stand', () => {
  assert.deepEqual(problems('a: 1\nb:\n  c: 1\n  c: 2\na: 3\n'), [
    'SP002 4:3 the key `c` is already set in this mapping',
    'SP002 5:1 the key `a` is already set in this mapping',
  ])
  assert.deepEqual(problems('{"1": 1, 1: 2}'), ['SP002 1:10 the key `1` is already set in this mapping'])
})

test('aliases and merge keys', () => {
  assert.deepEqual(only('a: &x { p: 1 }\nb: *x\nc:\n  <<: *x\n  q: 2\n'), {
    a: { p: 1 },
    b: { p: 1 },
    c: { p: 1, q: 2 },
  })
  assert.deepEqual(only('c:\n  <<: [{ p: 1, r: 1 }, { p: 2, s: 2 }]\n  r: 3\n'), { c: { p: 1, r: 3, s: 2 } })
  assert.deepEqual(only('a: &x 1\nb: &x 2\nc: *x\n'), { a: 1, b: 2, c: 2 })
  assert.deepEqual(only('a: { "<<": 1 }\n'), { a: { '<<': 1 } })
  assert.deepEqual(problems('a: *x\n'), ['SP002 1:4 the alias `*x` has no anchor before it'])
  assert.deepEqual(problems('a: &x [*x]\n'), ['SP002 1:8 the value of the anchor `&x` contains itself'])
  assert.deepEqual(problems('a: { <<: 1 }\n'), ['SP002 1:10 a merge key `<<` takes a mapping or a list of mappings'])
})

test('streams', () => {
  const values = (text: string) => parseSource('a.yaml', text).documents.map((d) => d.value)
  assert.deepEqual(values('a: 1\n---\nb: 2\n'), [{ a: 1 }, { b: 2 }])
  assert.deepEqual(values('---\n---\n# only a comment\n---\na: 1\n...\n---\n'), [{ a: 1 }])
  assert.deepEqual(values('--- {a: 1}\n--- "x"\n'), [{ a: 1 }, 'x'])
  assert.deepEqual(values('# head\n%YAML 1.1\n---\na: 1\n...\nb: 2\n'), [{ a: 1 }, { b: 2 }])
  assert.deepEqual(values('a: 1\r\n---\r\nb: |\r\n  x\r\n'), [{ a: 1 }, { b: 'x\n' }])
  assert.deepEqual(values('\ufeffa: 1\n'), [{ a: 1 }])
  assert.deepEqual(values('{"a": [1, true, null, "\\u0041"]}'), [{ a: [1, true, null, 'A'] }])
  assert.deepEqual(values('a: |\n  ---\n  x\nb: x---\n'), [{ a: '---\nx\n', b: 'x---' }])
  assert.deepEqual(values(''), [])
  assert.deepEqual(values('# nothing\n'), [])
  assert.deepEqual(values('""'), [''])
})

test('every syntax error is reported, and the good documents come out', () => {
  const text = 'a: 1\n---\nb: [1, 2\n---\nc: "x\n---\nd: 4\n---\n  e: 1\n f: 2\n'
  const { documents, diagnostics } = parseSource('a.yaml', text)
  assert.deepEqual(
    documents.map((d) => d.value),
    [{ a: 1 }, { d: 4 }],
  )
  assert.deepEqual(
    [...new Set(diagnostics.map((d) => d.line))].map((line) => (line === undefined ? 0 : line)),
    [4, 6, 10],
  )
  for (const d of diagnostics) {
    assert.equal(d.code, 'SP002')
    assert.equal(d.file, 'a.yaml')
    assert.ok((d.column ?? 0) >= 1)
    assert.doesNotMatch(d.message, /^[A-Z]|\.$/)
  }
})

test('control characters are refused where they stand', () => {
  assert.deepEqual(problems('a: 1\n---\nb: x\u0000y\n---\nc: \u001f\n'), [
    'SP002 3:5 the control character U+0000 is not allowed',
    'SP002 5:4 the control character U+001F is not allowed',
  ])
})

test('nesting has a limit that no parser reaches by recursion', () => {
  const deep = /^SP003 \d+:\d+ the document is nested more than 128 levels deep$/
  const texts = ['[', '{a: ', '- ', '? '].map((part) => part.repeat(100_000))
  texts.push(`${'['.repeat(129)}${']'.repeat(129)}`)
  texts.push(Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'))
  const nested = Array.from(
    { length: 5 },
    (_, i) => `a${i}: &a${i} ${'['.repeat(30)}${i === 0 ? '' : `*a${i - 1}`}${']'.repeat(30)}`,
  )
  texts.push(nested.join('\n'))
  for (const text of texts) {
    const found = problems(`${text}\n---\n{}\n`)
    assert.equal(found.length, 1, text.slice(0, 10))
    assert.match(found[0] as string, deep)
    assert.equal(parseSource('a', `${text}\n---\nb: 1\n`).documents.length, 1)
  }
  const most = `${'['.repeat(128)}${']'.repeat(128)}`
  assert.equal(parseSource('a', most).documents.length, 1)
})

test('alias expansion has a limit', () => {
  const levels = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 12; i++) {
    const name = String.fromCharCode(97 + i)
    const before = String.fromCharCode(96 + i)
    levels.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${before}`).join(', ')}]`)
  }
  assert.deepEqual(problems(levels.join('\n')), [
    'SP003 6:36 the document holds more than 1000000 values once its aliases are expanded',
  ])
})

test('long texts, long documents and too many documents end in one diagnostic', () => {
  const code = (text: string) => parseSource('a', text).diagnostics.map((d) => d.code)
  assert.deepEqual(code(' '.repeat(64 * 1024 * 1024 + 1)), ['SP003'])
  assert.deepEqual(code(`a: ${'x'.repeat(16 * 1024 * 1024)}`), ['SP003'])
  assert.deepEqual(code('---\n'.repeat(200_001)), ['SP003'])
  assert.deepEqual(code(`a: b\n---\n[${'a,'.repeat(1_600_000)}`), ['SP003'])
})
