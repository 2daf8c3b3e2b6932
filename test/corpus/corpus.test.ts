import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commands } from '#src/cli/commands.ts'
import type { Io } from '#src/cli/io.ts'
import { run } from '#src/cli/run.ts'

/** Decisions of real Istio with real Envoy: see README.md beside the cases. */
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
  test(`the command line agrees with Envoy on ${name}`, async () => {
    const folder = join(cases, name)
    const suite = JSON.parse(readFileSync(join(folder, 'suite.json'), 'utf8'))
    const expected = lines<Expected>(readFileSync(join(folder, 'expected.jsonl'), 'utf8'))
    const out = await explain(folder, suite)
    const answers = new Map(lines<Record<string, unknown>>(out).map((line) => [line.id, line]))
    for (const want of expected) {
      const got = answers.get(want.id)
      assert.ok(got, `no answer to ${want.id}`)
      assert.deepEqual(comparable(got, want), comparable(want, want), `${name} ${want.id}`)
    }
  })
}

/** What the corpus tells of a request; details are told for some only. */
function comparable(from: Readonly<Record<string, unknown>>, want: Expected): object {
  const decision = 'allowed' in from ? (from.allowed ? 'allow' : 'deny') : from.decision
  const told = Object.keys(want).filter((key) => key !== 'allowed' && key !== 'id')
  return { decision, ...Object.fromEntries(told.map((key) => [key, from[key] ?? null])) }
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
