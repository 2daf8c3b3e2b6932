import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { peer } from '../interop/peers.ts'
import { Batch, type World } from './batch.ts'
import type { Outcomes } from './compare.ts'
import { writeCase } from './corpus-case.ts'
import type { EngineName } from './engine.ts'
import { startIstioCompiler } from './istio-compiler.ts'
import { describeDifference, describeDisagreement, describeTimes } from './report.ts'
import { type Disagreement, runCases } from './run.ts'
import { differenceOf, type Shrunk, shrink } from './shrink.ts'
import type { Case } from './spec.ts'
import { withWorld } from './world.ts'

const ENGINES: readonly EngineName[] = ['interpret', 'compile', 'proxy', 'rules', 'matcher', 'istio']
const NEEDS_ENVOY: ReadonlySet<EngineName> = new Set(['rules', 'matcher', 'istio'])

/** From so many cases on everything that the generator can make must have been made. */
const JUDGED = 20_000
/** Disagreements that are shrunk, and how long each may take, in milliseconds. */
const SHRUNK = Number(process.env.SHRUNK ?? 8)
const SHRINK_TIME = 60_000

const usage = `usage: npm run differential -- [--seed S] [--cases N] [--engines A,B,...] [--out DIR] [--keep]

Random meshes and requests through every engine: ${ENGINES.join(', ')}.

  --seed S      the same seed makes the same cases; default 7
  --cases N     requests; default 10000
  --engines     a comma between them; default all that are there
  --istio-every N   every so many-th mesh also runs with Istio's own filters; default 10
  --out DIR     where disagreements are written, as cases of test/corpus; default build/differential
  --keep        keeps the folder with Envoy's configurations and the certificates
`

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
process.exitCode = await main(process.argv.slice(2))

async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv)
  if (typeof options === 'string') {
    process.stderr.write(options)
    return 2
  }
  const envoy = peer('envoy')
  if ('skip' in envoy) process.stderr.write(`  ${envoy.skip}\n`)
  const engines = new Set(options.engines.filter((name) => 'path' in envoy || !NEEDS_ENVOY.has(name)))
  const istio = engines.has('istio') ? startIstioCompiler((note) => process.stderr.write(`  ${note}\n`)) : null
  if (istio === null) engines.delete('istio')
  try {
    return await withWorld({ envoy: 'path' in envoy ? envoy.path : null, istio, keep: options.keep }, (world) =>
      differential(world, { ...options, engines }),
    )
  } finally {
    istio?.close()
  }
}

interface Options {
  readonly seed: number
  readonly cases: number
  readonly istioEvery: number
  readonly out: string
  readonly keep: boolean
}

function readOptions(argv: readonly string[]): (Options & { readonly engines: readonly EngineName[] }) | string {
  let values: { readonly [name: string]: string | boolean | undefined }
  try {
    const text = { type: 'string' } as const
    const flag = { type: 'boolean' } as const
    values = parseArgs({
      args: [...argv],
      options: { seed: text, cases: text, engines: text, out: text, 'istio-every': text, keep: flag, help: flag },
    }).values
  } catch (error) {
    return `${error instanceof Error ? error.message : error}\n\n${usage}`
  }
  if (values.help === true) return usage
  const number = (name: string, fallback: number) => {
    const value = values[name] ?? fallback
    return /^[0-9]{1,9}$/.test(String(value)) ? Number(value) : null
  }
  const [seed, cases, istioEvery] = [number('seed', 7), number('cases', 10_000), number('istio-every', 10)]
  if (seed === null || cases === null || istioEvery === null || cases === 0) return `not a number\n\n${usage}`
  const names = String(values.engines ?? ENGINES.join(',')).split(',')
  const unknown = names.find((name) => !(ENGINES as readonly string[]).includes(name))
  if (unknown !== undefined) return `no engine is called ${unknown}\n\n${usage}`
  return {
    seed,
    cases,
    istioEvery,
    keep: values.keep === true,
    out: String(values.out ?? 'build/differential'),
    engines: names as EngineName[],
  }
}

async function differential(
  world: World,
  options: Options & { readonly engines: ReadonlySet<EngineName> },
): Promise<number> {
  const { seed, cases, engines, istioEvery } = options
  process.stderr.write(`  seed ${seed}, ${cases} cases, engines: ${[...engines].join(', ')}\n`)
  let told = performance.now()
  const result = await runCases(world, {
    ...{ seed, cases, engines, istioEvery },
    progress: (done, disagreements) => {
      if (performance.now() - told < 10_000) return
      told = performance.now()
      process.stderr.write(`  ${done} cases, ${disagreements} disagreements\n`)
    },
  })
  const print = (text: string) => process.stdout.write(`${text}\n`)
  const { confirmed, passing } = await confirm(world, engines, result.disagreements)
  await explainAll(world, options, confirmed, print)
  for (const { mesh, message } of result.problems.slice(0, 20)) print(`mesh ${mesh}: ${message.slice(0, 2000)}\n`)
  print(result.coverage.table())
  print('')
  print(describeTimes(result))
  if (passing.length > 0) {
    const kinds = new Set(
      passing
        .slice(0, 20)
        .map(
          ({ mesh, request, difference: { engine, field, expected, actual } }) =>
            `mesh ${mesh}, request ${request}: ${engine} ${field}: ${JSON.stringify(expected)?.slice(0, 100)} ${JSON.stringify(actual)?.slice(0, 100)}`,
        ),
    )
    print(`${passing.length} cases differed once and not again, by a timeout under load or a race, in:`)
    for (const kind of kinds) print(`  ${kind}`)
  }
  const missing = result.coverage.missing()
  const judged = cases >= JUDGED && engines.size >= 5
  if (judged && missing.length > 0) print(`not reached: ${missing.join('; ')}`)
  // Beyond those that are kept nothing is known but that they differed.
  const unknown = result.disagreed - result.disagreements.length
  const count = confirmed.length + unknown + result.problems.length
  print(`${count} disagreements in ${result.cases} cases`)
  return count > 0 || (judged && missing.length > 0) ? 1 : 0
}

/** A disagreement is one that shows again: a machine under load can make any timeout expire. */
async function confirm(world: World, engines: ReadonlySet<EngineName>, all: readonly Disagreement[]) {
  const confirmed: Disagreement[] = []
  const known = new Set<string>()
  const passing: Disagreement[] = []
  for (const one of all) {
    const kind = kindOf(one)
    const again = known.has(kind) || (await showsAgain(world, engines, one.one))
    if (!again) {
      passing.push(one)
      continue
    }
    known.add(kind)
    confirmed.push(one)
  }
  return { confirmed, passing }
}

async function showsAgain(world: World, engines: ReadonlySet<EngineName>, one: Case): Promise<boolean> {
  for (let i = 0; i < 3; i++) if ((await differenceOf(world, engines, one)) !== null) return true
  return false
}

function kindOf({ difference: { engine, field } }: Disagreement): string {
  return `${engine} ${field}`
}

/** One of each kind is shrunk, printed and written. */
async function explainAll(
  world: World,
  options: Options & { readonly engines: ReadonlySet<EngineName> },
  confirmed: readonly Disagreement[],
  print: (text: string) => void,
) {
  const kinds = new Map<string, Disagreement[]>()
  for (const one of confirmed) kinds.set(kindOf(one), [...(kinds.get(kindOf(one)) ?? []), one])
  let number = 0
  for (const [kind, list] of kinds) {
    const [first] = list
    if (first === undefined) continue
    print(`${kind}: ${list.length} cases, the first is mesh ${first.mesh}, request ${first.request}`)
    if (++number > SHRUNK) {
      print(describeDifference(first.difference))
      continue
    }
    const shrunk = await shrink(world, options.engines, first.one, first.difference, SHRINK_TIME)
    print(describeDisagreement(shrunk, world))
    const folder = join(options.out, `seed-${options.seed}-${kind.replace(/[^a-z0-9]+/gi, '-').slice(0, 60)}`)
    mkdirSync(options.out, { recursive: true })
    writeCase(folder, shrunk, await outcomesOf(world, options.engines, shrunk), world)
    print(`  written: ${folder}\n`)
  }
}

async function outcomesOf(world: World, engines: ReadonlySet<EngineName>, { one }: Shrunk): Promise<Outcomes> {
  const istio = engines.has('istio')
  const batch = await Batch.open(world, [{ spec: one.mesh, requests: [one.request], istio }], engines, 0)
  let found: Outcomes = new Map()
  try {
    await batch.run((_mesh, _request, outcomes) => {
      found = outcomes
    })
  } finally {
    await batch.close()
  }
  return found
}
