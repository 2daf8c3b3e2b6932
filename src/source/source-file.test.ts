import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SourceDocument } from './document.ts'
import { parseSource } from './parse.ts'
import { SourceFile } from './source-file.ts'

const lines = fc.constantFrom(
  'a: 1',
  'b: [x, { y: 2 }]',
  'c: |',
  '  text --- in it',
  '---',
  '--- # comment',
  '---x',
  '...',
  '...x',
  '%YAML 1.1',
  '# %',
  '',
  ' d: "é"',
  'e: [1',
  '\ufeff',
)
const text = fc
  .tuple(fc.constantFrom('', '\ufeff'), fc.array(lines, { maxLength: 12 }), fc.constantFrom('', '\n'))
  .map(([mark, all, end]) => mark + all.join('\n') + end)

const edit = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(6), fc.array(lines, { maxLength: 3 }))

function places({ documents, diagnostics }: ReturnType<typeof parseSource>) {
  const place = (document: SourceDocument) => [
    document.value,
    document.linesBefore,
    document.locate([], 'key'),
    document.locate(['b', 1, 'y'], 'value'),
  ]
  return { documents: documents.map(place), diagnostics }
}

test('a changed text is read as if for the first time', () => {
  fc.assert(
    fc.property(text, fc.array(fc.oneof(text, edit), { maxLength: 6 }), (first, changes) => {
      const file = new SourceFile('a.yaml')
      let now = first
      file.parse(now)
      for (const change of changes) {
        if (typeof change === 'string') now = change
        else {
          const all = now.split('\n')
          all.splice(Math.floor(change[0] * all.length), change[1], ...change[2])
          now = all.join('\n')
        }
        const parsed = file.parse(now)
        assert.deepEqual(places(parsed), places(parseSource('a.yaml', now)), JSON.stringify(now))
        assert.equal(new Set(parsed.documents).size, parsed.documents.length, 'one object for each document')
      }
    }),
    { numRuns: 3000 },
  )
})

const documents = (names: readonly string[]) => names.map((name) => `---\nkind: ${name}\nlist:\n- 1\n`).join('')

test('documents that did not change are the same objects, with new positions', () => {
  const file = new SourceFile('a.yaml')
  const names = Array.from({ length: 50 }, (_, i) => `k${i}`)
  const before = file.parse(documents(names)).documents
  const changed = names.with(20, 'new\nand: longer')
  changed.splice(40, 0, 'inserted')
  changed.splice(30, 1)
  const after = file.parse(documents(changed)).documents
  const kept = after.filter((document) => before.includes(document))
  assert.equal(kept.length, 48)
  assert.equal(after[49], before[49])
  assert.deepEqual(after[49]?.locate(['kind'], 'key'), { line: 49 * 4 + 2 + 1, column: 1 })

  const again = file.parse(documents(changed)).documents
  assert.deepEqual(
    again.map((document, i) => document === after[i]),
    again.map(() => true),
  )
  const last = file.parse(documents(changed.slice(0, -1))).documents
  assert.deepEqual(
    last.map((document, i) => document === after[i]),
    last.map(() => true),
  )
  assert.deepEqual(file.parse('').documents, [])
})
