import { isDeepStrictEqual } from 'node:util'
import type { EngineName } from './engine.ts'
import type { Outcome } from './outcome.ts'

/** What two engines say differently about one request. */
export interface Difference {
  readonly reference: EngineName
  readonly engine: EngineName
  /** The first of the fields that differ, and both values. */
  readonly field: string
  readonly expected: unknown
  readonly actual: unknown
}

export type Outcomes = ReadonlyMap<EngineName, Outcome>

/** Whose word counts, in this order: real Envoy with Istio's own filters, then with ours. */
const authorities: readonly EngineName[] = ['istio', 'rules', 'matcher', 'interpret', 'compile', 'proxy']

export function differences(outcomes: Outcomes): readonly Difference[] {
  const reference = authorities.find((name) => outcomes.has(name))
  if (reference === undefined) return []
  const expected = outcomes.get(reference) as Outcome
  const found: Difference[] = []
  for (const [engine, outcome] of outcomes) {
    const difference = engine === reference ? null : firstDifference(expected, outcome)
    if (difference !== null) found.push({ reference, engine, ...difference })
  }
  return found
}

type Fields = readonly (readonly [name: string, value: unknown])[]

export function firstDifference(expected: Outcome, actual: Outcome): Omit<Difference, 'reference' | 'engine'> | null {
  const both = expected.wire !== null && actual.wire !== null
  const fields = (outcome: Outcome): Fields => [
    ...(['decision', 'status', 'policy', 'body', 'grpc', 'details', 'dryRun', 'audit', 'checks'] as const).map(
      (name) => [name, outcome[name]] as const,
    ),
    ...(both
      ? ([
          ['received', outcome.wire?.received],
          ['headers of the answer', outcome.wire?.headers],
        ] as const)
      : []),
  ]
  const others = fields(actual)
  for (const [i, [field, value]] of fields(expected).entries()) {
    const other = others[i]?.[1]
    if (!isDeepStrictEqual(value, other)) return { field, expected: value, actual: other }
  }
  return null
}
