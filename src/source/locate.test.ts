import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Path } from './document.ts'
import { embedded } from './embedded.ts'
import { parseSource } from './parse.ts'

function locate(text: string, path: Path, at: 'key' | 'value' = 'key', index = 0): string {
  const document = parseSource('a.yaml', text).documents[index]
  assert.ok(document)
  const { line, column } = document.locate(path, at)
  return `${line}:${column}`
}

const text = `# head
a: 1
---
kind: Thing
list:
- name: x
  value: [p, { q: r }]
- &anchor
  name: y
other:
  <<: *anchor
  ref: *anchor
empty:
10: ten
`

test('keys and values are found again', () => {
  const cases: [Path, string, string][] = [
    [[], '4:1', '4:1'],
    [['kind'], '4:1', '4:7'],
    [['list', 0], '6:3', '6:3'],
    [['list', 0, 'name'], '6:3', '6:9'],
    [['list', 0, 'value', 0], '7:11', '7:11'],
    [['list', 0, 'value', 1, 'q'], '7:16', '7:19'],
    [['list', 1, 'name'], '9:3', '9:9'],
    [['other', 'name'], '9:3', '9:9'],
    [['other', 'ref', 'name'], '9:3', '9:9'],
    [['empty'], '13:1', '13:1'],
    [['10'], '14:1', '14:5'],
  ]
  for (const [path, key, value] of cases) {
    assert.equal(locate(text, path, 'key', 1), key, `${path.join('.')} key`)
    assert.equal(locate(text, path, 'value', 1), value, `${path.join('.')} value`)
  }
})

test('a path that leads nowhere ends at its nearest ancestor', () => {
  assert.equal(locate(text, ['list', 7, 'name'], 'key', 1), '5:1')
  assert.equal(locate(text, ['kind', 'of'], 'key', 1), '4:1')
  assert.equal(locate(text, ['nothing'], 'key', 1), '4:1')
})

function inside(text: string, path: Path, at: 'key' | 'value' = 'key'): string {
  const outer = parseSource('a.yaml', text).documents[0]
  assert.ok(outer)
  const { document, diagnostics } = embedded(outer, ['data', 'mesh'])
  assert.deepEqual(diagnostics, [])
  assert.ok(document)
  const inner = document.locate(path, at)
  assert.deepEqual(outer.locate(['data', 'mesh', ...path], at), inner)
  return `${inner.line}:${inner.column}`
}

test('places inside the text of a literal block', () => {
  const map = 'data:\n  mesh: |-\n\n    # mesh\n    a:\n    - b: 1\n      c: x\n  other: 1\n'
  assert.equal(inside(map, ['a']), '5:5')
  assert.equal(inside(map, ['a', 0, 'c']), '7:7')
  assert.equal(inside(map, ['a', 0, 'c'], 'value'), '7:10')
  assert.equal(inside('---\n# x\ndata:\n  mesh: |2\n     a: 1\n', ['a']), '5:6')
  assert.equal(inside('data:\r\n  mesh: |\r\n    a:\r\n      b: 1\r\n', ['a', 'b']), '4:7')
})

test('places inside text in other styles', () => {
  assert.equal(inside('data:\n  mesh: "a: {b: 1}\\nc: 2"\n', ['c']), '2:21')
  assert.equal(inside("data:\n  mesh: 'a: {b: 1}'\n", ['a', 'b']), '2:14')
  assert.equal(inside('data: {"mesh": "{\\"a\\": 1}"}', ['a']), '1:18')
  assert.equal(inside('data:\n  mesh: >\n    {a: 1,\n    b: 2}\n', ['b']), '2:9')
})

test('what is wrong inside the text is reported where it stands in the file', () => {
  const outer = parseSource('a.yaml', 'data:\n  mesh: |\n    a: 1\n    a: 2\n    b: [\n').documents[0]
  assert.ok(outer)
  const { document, diagnostics } = embedded(outer, ['data', 'mesh'])
  assert.equal(document, null)
  assert.deepEqual(
    diagnostics.map((d) => [d.code, d.line]),
    [['SP002', 6]],
  )
  const twice = parseSource('a.yaml', 'data:\n  mesh: |\n    a: 1\n    a: 2\n').documents[0]
  assert.ok(twice)
  const [duplicate] = embedded(twice, ['data', 'mesh']).diagnostics
  assert.deepEqual([duplicate?.line, duplicate?.column], [4, 5])
})
