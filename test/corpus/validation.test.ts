import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadMesh } from '#src/mesh/load.ts'
import { validateMesh } from '#src/mesh/validate.ts'
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

function diagnosticsOf({ kind, spec, annotations = {} }: Recorded): Found {
  const metadata = { name: 'p', namespace: 'foo', annotations }
  const parsed = parseSource('p.json', JSON.stringify({ apiVersion: 'security.istio.io/v1', kind, metadata, spec }))
  const { mesh, diagnostics } = loadMesh(parsed.documents)
  const all = [...parsed.diagnostics, ...diagnostics, ...validateMesh(mesh)]
  return {
    errors: all.filter(({ severity }) => severity === 'error').map(({ code }) => code),
    warnings: all.filter(({ severity }) => severity === 'warning').map(({ code }) => code),
  }
}
