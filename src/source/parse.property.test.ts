import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import type { Json, Path } from './document.ts'
import { parseSource } from './parse.ts'

const scalar = fc.oneof(
  fc.constantFrom<Json>(
    null,
    true,
    false,
    0,
    -1,
    0.5,
    'yes',
    'n',
    '0x1F',
    '010',
    '1e3',
    '~',
    '<<',
    '',
    ' a',
    '*',
    '- x',
    'a: b',
  ),
  fc.integer(),
  fc.string({ unit: fc.constantFrom(...'ab :#-?,[]{}&*!|>\'"%@`\n\\0.~é'.split('')), maxLength: 12 }),
)
const key = fc.oneof(fc.constantFrom('a', 'b', 'yes', '1', '<<x', '__proto__', 'k: v'), fc.string({ maxLength: 5 }))
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(key, tie('json'), { maxKeys: 4 }),
  ),
}))

/**
 * Text that the writer does not write so that it can be read back: numbers that only go-yaml has, a key `<<`, and blank
 * lines alone.
 */
const unwritable = /"[-+.0-9][^"]*_|"[-+]?0[oOxXbB]|"<<":|"(?: |\\n)*\\n(?: |\\n)*"/

test('what a YAML 1.1 writer writes is read back', () => {
  fc.assert(
    fc.property(fc.dictionary(key, json, { minKeys: 1, maxKeys: 4 }), fc.constantFrom(0, 60), (value, lineWidth) => {
      const printed = JSON.stringify(value)
      fc.pre(!printed.includes('\\u') && !unwritable.test(printed))
      const text = stringify(value, { version: '1.1', lineWidth, aliasDuplicateObjects: false })
      const { documents, diagnostics } = parseSource('a', text)
      assert.deepEqual(diagnostics, [], text)
      assert.equal(JSON.stringify(documents[0]?.value), JSON.stringify(value), text)
    }),
    { numRuns: 1000 },
  )
})

test('every place of a document is found where it is written', () => {
  fc.assert(
    fc.property(fc.dictionary(key, json, { minKeys: 1, maxKeys: 4 }), fc.constantFrom(0, 2), (value, indent) => {
      fc.pre(!JSON.stringify(value).includes('\\u'))
      const text = `---\n---\n${JSON.stringify(value, null, indent)}`
      const document = parseSource('a', text).documents[0] ?? assert.fail(text)
      const lines = text.split('\n')
      for (const [path, inner] of places(document.value, [])) {
        const at = (what: 'key' | 'value') => {
          const { line, column } = document.locate(path, what)
          return (lines[line - 1] as string).slice(column - 1)
        }
        const last = path.at(-1)
        if (typeof last === 'string') assert.ok(at('key').startsWith(JSON.stringify(last)), text)
        if (inner === null || typeof inner !== 'object') assert.ok(at('value').startsWith(JSON.stringify(inner)), text)
      }
    }),
    { numRuns: 300 },
  )
})

function* places(value: Json, path: Path): Generator<[Path, Json]> {
  if (path.length > 0) yield [path, value]
  if (value === null || typeof value !== 'object') return
  for (const [step, inner] of Object.entries(value)) {
    yield* places(inner as Json, [...path, Array.isArray(value) ? Number(step) : step])
  }
}

test('no text makes the parser throw', () => {
  const parts = [
    'a',
    ':',
    ': ',
    '- ',
    '? ',
    '\n',
    ' ',
    '  ',
    '[',
    ']',
    '{',
    '}',
    ',',
    '&a ',
    '*a',
    '<<: ',
    '!',
    '!!str ',
    '|',
    '>-',
    '#',
    "'",
    '"',
    '\\',
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '\t',
    '\r\n',
    '\u0000',
    '\u001f',
    '\ufeff',
    '\ud800',
  ]
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 40 }), (chosen) => {
      const { documents, diagnostics } = parseSource('a', chosen.join(''))
      for (const document of documents) for (const [path] of places(document.value, [])) document.locate(path, 'value')
      for (const d of diagnostics) assert.ok((d.line ?? 0) >= 1 && (d.column ?? 0) >= 1)
    }),
    { numRuns: 1000 },
  )
})
