import { isDeepStrictEqual } from 'node:util'
import type { EngineName } from './engine.ts'
import { listedRow } from './listed.ts'
import type { Outcome } from './outcome.ts'
import { type Row, rewritings } from './rewritings.ts'
import type { Case, Line } from './spec.ts'

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
const envoys: ReadonlySet<EngineName> = new Set(['istio', 'rules', 'matcher'])

/** Every difference but the listed ones; `listed` hears of each of those that showed. */
export function differences(one: Case, outcomes: Outcomes, listed: (row: Row) => void): readonly Difference[] {
  const reference = authorities.find((name) => outcomes.has(name))
  if (reference === undefined) return []
  const expected = outcomes.get(reference) as Outcome
  const found: Difference[] = []
  for (const [engine, outcome] of outcomes) {
    if (engine === reference) continue
    const own = envoys.has(reference) && !envoys.has(engine)
    if (own && one.request.listed !== null) {
      const { row, shows } = listedRow(one.request.listed)
      if (shows(expected, outcome)) listed(row)
      else found.push({ reference, engine, field: `listed: ${row}`, expected, actual: outcome })
      continue
    }
    const wanted = own ? rewritten(one, expected, outcome, listed) : expected
    const edge = one.mesh.role === 'gateway' || one.mesh.role === 'gatewayApi'
    const difference = firstDifference(edge ? anyOwnAddress(wanted) : wanted, edge ? anyOwnAddress(outcome) : outcome)
    if (difference !== null) found.push({ reference, engine, ...difference })
  }
  return found
}

function rewritten(one: Case, expected: Outcome, ours: Outcome, listed: (row: Row) => void): Outcome {
  let wanted = expected
  for (const { row, apply } of rewritings) {
    const changed = apply(wanted, one, ours)
    if (changed !== wanted) listed(row)
    wanted = changed
  }
  return wanted
}

type Fields = readonly (readonly [name: string, value: unknown])[]

export function firstDifference(expected: Outcome, actual: Outcome): Omit<Difference, 'reference' | 'engine'> | null {
  const both = expected.wire !== null && actual.wire !== null
  const fields = (outcome: Outcome): Fields => [
    ...(['decision', 'status', 'policy', 'body', 'grpc', 'details', 'dryRun', 'audit'] as const).map(
      (name) => [name, outcome[name]] as const,
    ),
    ['checks', onceEach(outcome.checks)],
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

/** A check whose connection ended without an answer may be made again. */
function onceEach(checks: readonly unknown[]): readonly unknown[] {
  return checks.filter((check, i) => i === 0 || !isDeepStrictEqual(check, checks[i - 1]))
}

/**
 * An edge adds its own address to X-Forwarded-For where the peer is on the same machine: Envoy takes that of a network
 * interface, and explain the one that the request was sent to.
 */
function anyOwnAddress(outcome: Outcome): Outcome {
  const line = ([name, value]: Line): Line =>
    name === 'x-forwarded-for' ? [name, value.replace(/[^,]*$/, 'own')] : [name, value]
  const changed = (check: unknown) => {
    const { headers } = check as { readonly headers?: readonly Line[] }
    return headers === undefined ? check : { ...(check as object), headers: headers.map(line) }
  }
  const wire = outcome.wire && {
    ...outcome.wire,
    received: outcome.wire.received.map((one) => ({ ...one, headers: one.headers.map(line) })),
  }
  return { ...outcome, wire, checks: outcome.checks.map(changed) }
}
