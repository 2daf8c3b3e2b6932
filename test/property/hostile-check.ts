import { createOfflineKeySource } from '#src/authn/key-source.ts'
import { loadMesh } from '#src/mesh/load.ts'
import { validateMesh } from '#src/mesh/validate.ts'
import type { Diagnostic } from '#src/source/diagnostic.ts'
import { parseSource } from '#src/source/parse.ts'
import { analyze } from '#src/tools/analyze/analyze.ts'
import { createExplainer } from '#src/tools/explain.ts'
import { isProblem, parseRequest } from '#src/tools/request.ts'
import { hostileFiles } from './hostile-files.ts'

/** What became of one file; times in milliseconds, and the longest message in characters. */
export interface Outcome {
  readonly name: string
  readonly codes: readonly string[]
  readonly longest: number
  readonly time: number
  readonly decisions: readonly string[]
}

// Runs in a process of its own, whose memory the test limits. One line of JSON for each file.
const workload = 'apiVersion: v1\nkind: Pod\nmetadata: { name: w, namespace: foo, labels: { app: w } }\n'
const paths = ['/a', '/'.repeat(30_000), '/a'.repeat(15_000), `/${'%2F'.repeat(10_000)}`]

for (const { name, text } of hostileFiles) {
  const written = text()
  const start = performance.now()
  const parsed = parseSource('a.yaml', written)
  const added = parseSource('w.yaml', workload)
  const { mesh, diagnostics } = loadMesh([...parsed.documents, ...added.documents])
  const found: Diagnostic[][] = [parsed.diagnostics, diagnostics, validateMesh(mesh), [...analyze(mesh)]]
  const target = mesh.workloads.get('foo/w')
  if (target === undefined) throw new Error('the workload is gone')
  const keys = createOfflineKeySource(new Map())
  const explainer = createExplainer({ mesh, workload: target, port: 80, now: Date.now, ask: null, keys })
  const decisions: string[] = []
  for (const path of paths) {
    const request = parseRequest(JSON.stringify({ method: 'GET', path }))
    const answer = isProblem(request) ? request : await explainer.explain(request, { trace: false })
    decisions.push(isProblem(answer) ? answer.message : answer.decision.decision)
  }
  const outcome: Outcome = {
    name,
    codes: [...new Set(found.flatMap((list) => list.map(({ code }) => code)))].sort(),
    longest: found.flat().reduce((most, one) => Math.max(most, one.message.length + (one.help ?? '').length), 0),
    time: Math.round(performance.now() - start),
    decisions,
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}
