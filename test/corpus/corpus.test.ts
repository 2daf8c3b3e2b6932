import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createOfflineKeySource } from '#src/authn/key-source.ts'
import { commands } from '#src/cli/commands.ts'
import type { Io } from '#src/cli/io.ts'
import { run } from '#src/cli/run.ts'
import { loadMesh } from '#src/mesh/load.ts'
import { createInterpreter } from '#src/policy/interpret.ts'
import { parseSource } from '#src/source/parse.ts'
import { createExplainer } from '#src/tools/explain.ts'
import { isProblem, parseRequest } from '#src/tools/request.ts'

/** Decisions of real Istio with real Envoy: see README.md beside this file. */
const cases = join(dirname(fileURLToPath(import.meta.url)), '../../../test/corpus/cases')

interface Expected {
  readonly id: string
  readonly allowed?: boolean
  readonly decision?: 'allow' | 'deny'
  readonly status?: number
  readonly body?: string | null
  readonly policy: string | null
  readonly [extra: string]: unknown
}

for (const name of readdirSync(cases).sort()) {
  const folder = join(cases, name)
  const suite = JSON.parse(readFileSync(join(folder, 'suite.json'), 'utf8'))
  const expected = lines<Expected>(readFileSync(join(folder, 'expected.jsonl'), 'utf8'))
  test(`the command line agrees with Envoy on ${name}`, async () => {
    const answers = new Map(lines<Record<string, unknown>>(await explain(folder, suite)).map((line) => [line.id, line]))
    compare(name, expected, (id) => answers.get(id))
  })
  test(`the interpreter agrees with Envoy on ${name}`, async () => {
    const { mesh } = loadMesh(parseSource('mesh.yaml', readFileSync(join(folder, 'mesh.yaml'), 'utf8')).documents)
    const workload = mesh.workloads.get(suite.workload) ?? assert.fail(suite.workload)
    const explainer = createExplainer({
      ...{ mesh, workload, port: suite.port, now: Date.now, ask: null, engine: createInterpreter },
      keys: createOfflineKeySource(new Map()),
    })
    const answers = new Map<string, Record<string, unknown>>()
    for (const line of readFileSync(join(folder, 'requests.jsonl'), 'utf8').split('\n')) {
      if (line === '') continue
      const request = parseRequest(line)
      if (isProblem(request)) assert.fail(request.message)
      const explanation = await explainer.explain(request, { trace: false })
      if (isProblem(explanation)) assert.fail(explanation.message)
      answers.set(String(explanation.id), { ...explanation.decision })
    }
    compare(name, expected, (id) => answers.get(id))
  })
}

function compare(
  name: string,
  expected: readonly Expected[],
  answer: (id: string) => Readonly<Record<string, unknown>> | undefined,
): void {
  for (const want of expected) {
    const got = answer(want.id)
    assert.ok(got, `no answer to ${want.id}`)
    assert.deepEqual(comparable(got, want), comparable(want, want), `${name} ${want.id}`)
  }
}

/** What the corpus tells of a request; details are told for some only, and of shadow and AUDIT rules over HTTP only. */
function comparable(from: Readonly<Record<string, unknown>>, want: Expected): object {
  const decision = 'allowed' in from ? (from.allowed ? 'allow' : 'deny') : from.decision
  const told = new Set(Object.keys(want).filter((key) => key !== 'allowed' && key !== 'id'))
  if (!('allowed' in want)) for (const key of ['dryRun', 'audit', 'grpcStatus', 'grpcMessage']) told.add(key)
  return { decision, ...Object.fromEntries([...told].map((key) => [key, from[key] ?? null])) }
}

function lines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

async function explain(folder: string, suite: { readonly workload: string; readonly port: number }): Promise<string> {
  let out = ''
  let talk = ''
  const io: Io = {
    stdout: (text) => {
      out += text
    },
    stderr: (text) => {
      talk += text
    },
    backlog: () => 0,
    terminal: false,
    stdin: async function* () {},
    env: {},
    cwd: folder,
    color: { stdout: false, stderr: false },
    stop: new AbortController().signal,
    now: Date.now,
  }
  const argv = ['-f', 'mesh.yaml', '--workload', suite.workload, '--port', String(suite.port)]
  const code = await run(['explain', ...argv, '--requests', 'requests.jsonl', '-o', 'jsonl'], commands, '0', io)
  assert.equal(code, 0, talk)
  return out
}
