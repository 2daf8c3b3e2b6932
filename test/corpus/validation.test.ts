import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadMesh } from '#src/mesh/load.ts'
import { validateMesh } from '#src/mesh/validate.ts'
import type { Diagnostic } from '#src/source/diagnostic.ts'
import { parseSource } from '#src/source/parse.ts'

/** What Istio's own validation says of each document: see README.md beside it. */
const file = join(dirname(fileURLToPath(import.meta.url)), '../../../test/corpus/validation/documents.jsonl')

interface Recorded {
  readonly kind: string
  readonly spec: unknown
  readonly annotations?: Readonly<Record<string, string>>
  readonly refused?: readonly string[] | 'schema' | 'decoding'
  readonly warnings?: readonly string[]
}

const warningCodes = ['SP250', 'SP251', 'SP252']

test('every document is refused or accepted as Istio and the API server do it', () => {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  assert.ok(lines.length > 1300)
  const wrong: string[] = []
  for (const line of lines) {
    const recorded = JSON.parse(line) as Recorded
    const problem = difference(recorded, diagnosticsOf(recorded))
    if (problem !== null) wrong.push(`${problem}: ${line.slice(0, 300)}`)
  }
  assert.deepEqual(wrong, [])
})

test('each diagnostic points at a key or an item, never at what stands behind it', () => {
  for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) {
    // With each key and each item on a line of its own, a place is the beginning of one.
    const text = JSON.stringify(resource(JSON.parse(line) as Recorded), null, 2)
    const lines = text.split('\n')
    for (const one of diagnosticsIn(text)) {
      const { code, message, line: row = 0, column = 0 } = one
      const before = (lines[row - 1] ?? '').slice(0, column - 1)
      assert.match(before, /^ *$/, `${code} ${message} at ${row}:${column} of ${line.slice(0, 300)}`)
      if (row > 1) assert.match(lines[row - 1] ?? '', /^ +[^\s\]}]/)
    }
  }
})

interface Found {
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
}

function difference({ refused, warnings = [] }: Recorded, found: Found): string | null {
  const decoding = found.errors.some((code) => code.startsWith('SP1'))
  if (refused === undefined) {
    if (found.errors.length > 0) return `accepted, but found ${found.errors}`
  } else if (typeof refused === 'string') {
    return found.errors.length > 0 ? null : `refused by ${refused}, but nothing found`
  } else if (!decoding) {
    const missing = refused.filter((code) => !found.errors.includes(code))
    if (missing.length > 0) return `nothing found of ${missing}, but ${found.errors}`
  }
  // Istio stops at a wrong annotation.
  if (decoding || (Array.isArray(refused) && refused.some((code) => code === 'SP216' || code === 'SP218'))) return null
  const told = found.warnings.filter((code) => warningCodes.includes(code)).sort()
  return told.join() === [...warnings].sort().join() ? null : `warnings ${warnings}, but found ${told}`
}

function diagnosticsOf(recorded: Recorded): Found {
  const all = diagnosticsIn(JSON.stringify(resource(recorded)))
  return {
    errors: all.filter(({ severity }) => severity === 'error').map(({ code }) => code),
    warnings: all.filter(({ severity }) => severity === 'warning').map(({ code }) => code),
  }
}

function resource({ kind, spec, annotations = {} }: Recorded): object {
  return { apiVersion: 'security.istio.io/v1', kind, metadata: { name: 'p', namespace: 'foo', annotations }, spec }
}

function diagnosticsIn(text: string): Diagnostic[] {
  const parsed = parseSource('p.json', text)
  const { mesh, diagnostics } = loadMesh(parsed.documents)
  return [...parsed.diagnostics, ...diagnostics, ...validateMesh(mesh)]
}
