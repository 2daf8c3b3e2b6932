import fc from 'fast-check'
import { manifestOf } from './manifest.ts'
import type { Case, Property } from './properties.ts'

/** What a run of a property came to: null, or the smallest case that was found to fail, as text. */
export function runProperty(
  { name, cases }: Property,
  { runs, seed, observe }: { readonly runs: number; readonly seed: number; readonly observe?: (one: Case) => void },
): string | null {
  const details = fc.check(
    fc.property(cases, (one) => {
      observe?.(one)
      one.check()
    }),
    { numRuns: runs, seed },
  )
  if (!details.failed) return null
  const { counterexample, numRuns, numShrinks, errorInstance } = details
  const [smallest] = counterexample ?? []
  return [
    `does not hold: ${name}`,
    `seed ${seed}, case ${numRuns}, made smaller ${numShrinks} times:`,
    ...(smallest === undefined ? [] : describe(smallest)),
    errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance),
  ].join('\n')
}

function describe({ policies, more, asked, steps = [] }: Case): readonly string[] {
  const documents = (title: string, list: readonly object[]) => list.flatMap((one) => [title, JSON.stringify(one)])
  return [
    ...documents(
      'policy',
      policies.map((policy) => manifestOf(policy)),
    ),
    ...documents(
      'and then',
      more.map((policy) => manifestOf(policy)),
    ),
    ...steps.map((step, i) => `step ${i + 1}: ${step}`),
    ...documents('request', asked),
  ]
}
