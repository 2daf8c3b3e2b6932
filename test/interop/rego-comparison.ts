import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunOpa } from '#src/extauthz/engines/rego/compile.ts'
import { printGoJson } from '#src/extauthz/engines/rego/go/json.ts'
import { loadPolicy } from '#src/extauthz/engines/rego/load.ts'
import { parseJson } from '#src/extauthz/engines/rego/text.ts'
import { RegoSet, type RegoValue } from '#src/extauthz/engines/rego/value.ts'
import type { Logger } from '#src/observe/log.ts'

/** A call of a built-in with arguments that JSON can say, or an expression of Rego. */
export type Call = readonly [name: string, ...args: readonly unknown[]]

const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }

export function opaRunner(opa: string): RunOpa {
  return (args) =>
    new Promise((resolve) => {
      execFile(opa, [...args], { timeout: 60_000, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        resolve({ kind: 'ended', code: error === null ? 0 : 1, output: stdout + (error === null ? '' : stderr) })
      })
    })
}

/** What differs between OPA and the engine, call by call, of calls and of expressions; undefined is `undefined`. */
export async function differences(opa: string, calls: readonly Call[], expressions: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-test-'))
  try {
    const policy = join(folder, 'cases.rego')
    const input = JSON.stringify({ calls: grouped(calls) })
    await writeFile(policy, policyOf(calls, expressions))
    await writeFile(join(folder, 'input.json'), input)
    const theirs = await evaluateByOpa(opa, policy, join(folder, 'input.json'))
    const ours = await evaluateHere(opa, policy, input)
    const keys = [...calls.map((call, i): [string, unknown] => [String(i), call])]
    for (const [i, expression] of expressions.entries()) keys.push([`e${i}`, expression])
    return keys.flatMap(([key, what]) => {
      const [our, their] = [canonical(ours[key]), canonical(theirs[key])]
      return our === their ? [] : [{ what, ours: our, theirs: their }]
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * The same text for the same value: OPA's WebAssembly writes members and items in an order of its own. Numbers stay as
 * they were written.
 */
function canonical(result: string | undefined): string | undefined {
  const parsed = result === undefined ? null : parseJson(result)
  if (parsed === null) return undefined
  const [type, value] = parsed.value as readonly RegoValue[]
  return printGoJson(type === 'set' ? new RegoSet(value as readonly RegoValue[]) : (value as RegoValue))
}

const kindOf = ([name, ...args]: Call) => `${name}/${args.length}`

/** By built-in and number of arguments, and by index. */
function grouped(calls: readonly Call[]): Record<string, Record<string, readonly unknown[]>> {
  const groups: Record<string, Record<string, readonly unknown[]>> = {}
  for (const [index, call] of calls.entries()) {
    const kind = kindOf(call)
    groups[kind] ??= {}
    groups[kind][index] = call.slice(1)
  }
  return groups
}

/** One rule for each built-in and number of arguments, and one for each expression. */
function policyOf(calls: readonly Call[], expressions: readonly string[]): string {
  const kinds = new Map(calls.map((call) => [kindOf(call), call]))
  const rules = [...kinds].map(([kind, [name, ...args]]) => {
    const given = args.map((_, i) => `args[${i}]`).join(', ')
    return `results[i] := json.marshal([type_name(x), x]) if {\n\tsome i, args in input.calls["${kind}"]\n\tx := ${name}(${given})\n}`
  })
  const own = expressions.map(
    (expression, i) => `results["e${i}"] := json.marshal([type_name(x), x]) if {\n\tx := ${expression}\n}`,
  )
  return ['package cases', 'import rego.v1', ...rules, ...own].join('\n\n')
}

async function evaluateByOpa(opa: string, policy: string, input: string): Promise<Record<string, string>> {
  const args = ['eval', '--format', 'raw', '--data', policy, '--input', input, 'data.cases.results']
  const run = await opaRunner(opa)(args)
  assert.ok(run.kind === 'ended' && run.code === 0, JSON.stringify(run).slice(0, 4000))
  return JSON.parse(run.output)
}

async function evaluateHere(opa: string, policy: string, input: string): Promise<Record<string, string>> {
  const loading = await loadPolicy(policy, 'data.cases.results', { logger: silent, runOpa: opaRunner(opa) })
  assert.ok(loading.kind === 'loaded', JSON.stringify(loading).slice(0, 4000))
  const query = { now: BigInt(Date.now()) * 1_000_000n, drawn: new Map(), print() {} }
  const outcome = loading.machine.evaluate(input, query)
  assert.ok(outcome.kind === 'defined', JSON.stringify(outcome).slice(0, 4000))
  return outcome.value as Record<string, string>
}
