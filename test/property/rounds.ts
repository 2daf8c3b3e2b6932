import { Coverage } from './coverage.ts'
import { type Property, properties } from './properties.ts'
import { runProperty } from './run.ts'

/** Cases of all properties together in one round, which has one seed. */
export const ROUND = 2000

/** Every so many rounds, what the cases meet is counted; counting costs more than checking. */
const COUNTED = 10

export interface Rounds {
  readonly cases: number
  readonly seed: number
  /** Part of the name of the properties to run; empty for all. */
  readonly only: string
  readonly signal: AbortSignal
  /** After each property of each round. */
  readonly progress: (done: number) => void | Promise<void>
}

export interface RoundsResult {
  readonly done: number
  /** The smallest failing case, and how to see it again; null when all held. */
  readonly failure: string | null
  readonly coverage: Coverage
}

/** Runs the properties round by round, the first with `seed` and each next with one more, up to the first failure. */
export async function runRounds({ cases, seed, only, signal, progress }: Rounds): Promise<RoundsResult> {
  const coverage = new Coverage()
  const chosen = properties.filter(({ name }) => name.includes(only))
  let done = 0
  for (let round = 0; done < cases && !signal.aborted; round++) {
    for (const property of chosen) {
      const roundSeed = (seed + round) | 0
      const runs = runsOf(property)
      const counts = round % COUNTED === 0 && property.name.startsWith('the compiled decider')
      const failure = runProperty(property, {
        runs,
        seed: roundSeed,
        ...(counts ? { observe: ({ policies, asked }) => coverage.observe(policies, property.protocol, asked) } : {}),
      })
      if (failure !== null) {
        const again = `npm run property -- --seed ${roundSeed} --cases ${runs} --only ${JSON.stringify(property.name)}`
        return { done, failure: `${failure}\nto see it again: ${again}`, coverage }
      }
      done += runs
      await progress(done)
      if (done >= cases || signal.aborted) break
    }
  }
  return { done, failure: null, coverage }
}

function runsOf({ weight }: Property): number {
  const whole = properties.reduce((sum, { weight }) => sum + weight, 0)
  return Math.ceil((ROUND * weight) / whole)
}
