// npm run property [-- --cases N --seed S --only TEXT]: the properties of policies at length.
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { properties } from './properties.ts'
import { ROUND, runRounds } from './rounds.ts'

const usage = `usage: npm run property [-- --cases N] [--seed S] [--only TEXT]

  --cases N    how many cases, of all properties together (1000000)
  --seed S     from which all of them follow (another one each time)
  --only TEXT  the properties whose name holds this text

${properties.map(({ name }) => `  ${name}\n`).join('')}`

const EVERY_MS = 10_000

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = read(args)
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n\n${usage}`)
    return 2
  }
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  const { cases, seed, only } = options
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  process.stdout.write(`${cases} cases from seed ${seed}\n`)
  const started = performance.now()
  let told = started
  const { done, failure, coverage } = await runRounds({
    cases,
    seed,
    only,
    signal: stop.signal,
    progress: async (done) => {
      const now = performance.now()
      if (now - told < EVERY_MS) return
      told = now
      const left = ((now - started) / done) * (cases - done)
      process.stderr.write(`  ${done} cases (${((done / cases) * 100).toFixed(1)}%), ${minutes(left)} left\n`)
      // Where a signal is heard.
      await setImmediate()
    },
  })
  if (failure !== null) {
    process.stdout.write(`${failure}\n`)
    return 1
  }
  process.stdout.write(
    `${coverage.table()}\n${done} cases from seed ${seed} in ${minutes(performance.now() - started)}\n`,
  )
  if (stop.signal.aborted) return 130
  // Few cases do not reach everything.
  const gaps = only === '' && cases >= 10 * ROUND ? coverage.gaps() : []
  for (const gap of gaps) process.stdout.write(`never reached: ${gap}\n`)
  return gaps.length === 0 ? 0 : 1
}

function read(args: readonly string[]) {
  let values: { cases?: string; seed?: string; only?: string; help?: boolean }
  try {
    const text = { type: 'string' } as const
    const options = { cases: text, seed: text, only: text, help: { type: 'boolean', short: 'h' } } as const
    values = parseArgs({ args: [...args], options }).values
  } catch (error) {
    return (error as Error).message
  }
  const { only = '', help = false } = values
  const cases = Number(values.cases ?? 1_000_000)
  const seed = Number(values.seed ?? Date.now() % 2 ** 31)
  if (!Number.isSafeInteger(cases) || cases < 1) return '--cases is a number of cases'
  if (!Number.isSafeInteger(seed)) return '--seed is a whole number'
  if (!properties.some(({ name }) => name.includes(only))) return `no property is called ${only}`
  return { cases, seed, only, help }
}

function minutes(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
