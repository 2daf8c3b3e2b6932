import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { capture, packaged, root, which } from '../command.mjs'
import { buildAll, installPackages } from '../setup.mjs'
import { Report } from './report.mjs'
import { runFile } from './run-file.mjs'
import { compiled, findStages } from './stages.mjs'

/** Three times what the slowest file takes alone: shared machines are that much slower at their worst. */
const FILE_TIMEOUT_MS = 240_000
const CONCURRENCY = Math.min(2, availableParallelism())

const usage = `usage: npm test [-- [--only STAGE]... [FILE]...]

  --only STAGE   lint, types, unit, project, corpus, property, scenarios, interop, differential, soak
  FILE           a test file, by its source (src/match/ip.test.ts) or as compiled
`

/** Runs what the arguments ask for, everything by default; resolves to the exit code. */
export async function main(argv) {
  let options
  try {
    options = parseArgs({
      args: argv,
      options: { only: { type: 'string', multiple: true }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
  } catch (error) {
    return fail(`${error.message}\n\n${usage}`)
  }
  if (options.values.help) {
    process.stdout.write(usage)
    return 0
  }
  // Where a failure points at the source instead of at what was compiled from it.
  process.execArgv.push('--enable-source-maps')
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort())

  try {
    await installPackages()
  } catch (error) {
    return fail(`${error.message}\n`)
  }
  const report = new Report()
  const only = new Set(options.values.only ?? [])
  const everything = only.size === 0 && options.positionals.length === 0
  if (everything || only.has('lint')) await lint(report)
  if (!(await types(report, everything || only.has('types')))) {
    report.end()
    return 1
  }
  const plan = choose(only, options.positionals)
  if (typeof plan === 'string') return fail(`${plan}\n\n${usage}`)
  if (plan.has('interop') || plan.has('differential')) await installPeers()
  for (const [stage, files] of plan) {
    if (!stop.signal.aborted) await runStage(report, stage, files, stop.signal)
  }
  report.end()
  if (stop.signal.aborted) return 130
  return report.failed === 0 ? 0 : 1
}

async function lint(report) {
  const started = performance.now()
  const { code, output } = await capture(packaged('biome'), ['check', '.'])
  report.check('format and lint', code === 0 ? null : output, performance.now() - started)
}

/** Compiles everything, tests included. Says whether there is something to run. */
async function types(report, counted) {
  const started = performance.now()
  let failure = null
  try {
    await buildAll()
  } catch (error) {
    failure = error.message
  }
  if (counted || failure !== null) report.check('types', failure, performance.now() - started)
  if (failure !== null) report.line('tests', 'not run: there is no build to run them on')
  return failure === null
}

/** The stages and files to run, or what is wrong with the arguments. */
function choose(only, names) {
  const stages = findStages()
  const unknown = [...only].find((name) => !stages.has(name) && name !== 'lint' && name !== 'types')
  if (unknown !== undefined) return `no stage is called ${unknown}`
  if (names.length > 0) {
    const files = new Set()
    for (const name of names) {
      const file = compiled(name)
      if (file === null) return `${name} is no test file`
      files.add(file)
    }
    return new Map(
      [...stages].map(([stage, all]) => [stage, all.filter((file) => files.has(file))]).filter(([, f]) => f.length > 0),
    )
  }
  return only.size === 0 ? stages : new Map([...stages].filter(([stage]) => only.has(stage)))
}

async function runStage(report, stage, files, signal) {
  if (files.length === 0) {
    report.line(stage, 'no test files')
    return
  }
  const before = { passed: report.passed, failed: report.failed, skipped: report.skipped }
  const started = performance.now()
  const queue = files.values()
  const work = async () => {
    for (const file of queue) {
      if (signal.aborted) return
      report.file(file, await runFile(path.join(root, file), { timeout: FILE_TIMEOUT_MS, signal }))
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  const counts = ['passed', 'failed', 'skipped']
    .map((what) => [report[what] - before[what], what])
    .filter(([count, what]) => count > 0 || what === 'passed')
  report.line(stage, counts.map(([count, what]) => `${count} ${what}`).join(', '), performance.now() - started)
}

/** Fetches the real systems that the interop tests need, as far as this machine can. */
async function installPeers() {
  const names = []
  const must = (process.env.CI ?? '') !== ''
  if (must || which('python3') !== null) names.push('envoy')
  if (must || which('go') !== null) names.push('opa', 'go-authorizer', 'opa-authorizer', 'grpcurl', 'ghz', 'h2spec')
  if (must || which('h2load') !== null) names.push('h2load')
  const needs = { envoy: 'Python 3', opa: 'Go', h2load: 'nghttp2-client' }
  const missing = Object.keys(needs)
    .filter((name) => !names.includes(name))
    .map((name) => needs[name])
  if (missing.length > 0) {
    process.stderr.write(`  without ${missing.join(' and ')} the interop tests that need them are skipped\n`)
  }
  if (names.length === 0) return
  const args = names.flatMap((name) => ['--only', name])
  const code = await new Promise((resolve) => {
    const child = spawn('bash', [path.join(root, 'scripts/peers.sh'), ...args], { cwd: root, stdio: ['ignore', 2, 2] })
    child.once('error', () => resolve(null))
    child.once('close', resolve)
  })
  if (code !== 0) process.stderr.write('  interop tests whose peer is missing are skipped, or fail with CI set\n')
}

function fail(message) {
  process.stderr.write(message)
  return 2
}
