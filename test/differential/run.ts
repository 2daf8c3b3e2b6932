import { Batch, type MeshCases, type World } from './batch.ts'
import { type Difference, differences, type Outcomes } from './compare.ts'
import { Coverage } from './coverage.ts'
import type { EngineName } from './engine.ts'
import { type Generated, generate, PER_MESH } from './generate.ts'
import type { Case } from './spec.ts'

export interface RunOptions {
  readonly seed: number
  readonly cases: number
  readonly engines: ReadonlySet<EngineName>
  /** Every so many-th mesh goes through Istio's compiler too. */
  readonly istioEvery: number
  /** Called now and then with the number of cases that are done. */
  readonly progress: (done: number, disagreements: number) => void
}

export interface Disagreement {
  readonly one: Case
  readonly mesh: number
  readonly request: number
  readonly difference: Difference
  readonly outcomes: Outcomes
}

export interface RunResult {
  readonly cases: number
  /** Those that are kept are the first ones. */
  readonly disagreements: readonly Disagreement[]
  readonly disagreed: number
  /** Meshes that Envoy or the compiler would not have, and filters that are not Istio's. */
  readonly problems: readonly { readonly mesh: number; readonly message: string }[]
  readonly coverage: Coverage
  /** Milliseconds spent in each part; parts overlap. */
  readonly times: { readonly prepare: number; readonly run: number; readonly close: number; readonly total: number }
  readonly istioCases: number
}

/** Meshes to a batch; two batches are open at once, one running and one being prepared. */
const PER_BATCH = 40
const MOST_KEPT = 500

/** Runs so many cases of a seed through the engines. */
export async function runCases(world: World, options: RunOptions): Promise<RunResult> {
  const { seed, cases, engines, istioEvery, progress } = options
  const coverage = new Coverage()
  const disagreements: Disagreement[] = []
  const problems: { mesh: number; message: string }[] = []
  const times = { prepare: 0, run: 0, close: 0, total: 0 }
  const began = performance.now()
  const counts = { done: 0, disagreed: 0, istio: 0 }
  const parts = batchesOf(seed, cases, engines.has('istio') && world.istio !== null ? istioEvery : 0)
  let half = 0
  const open = async (): Promise<{ readonly part: BatchPlan; readonly batch: Batch } | null> => {
    const { value: part } = parts.next() as { value: BatchPlan | undefined }
    if (part === undefined) return null
    half = 1 - half
    const at = performance.now()
    const batch = await Batch.open(world, part.cases, engines, half)
    times.prepare += performance.now() - at
    return { part, batch }
  }
  const done = (part: BatchPlan, index: number, request: number, outcomes: Outcomes) => {
    const generated = part.generated[index] as Generated
    const one: Case = { mesh: generated.spec, request: generated.requests[request] as Case['request'] }
    counts.done++
    if (outcomes.has('istio')) counts.istio++
    coverage.mesh(one.mesh)
    coverage.request(one.request, generated.tokenStates[request] ?? [])
    const reference = outcomes.get('rules') ?? outcomes.values().next().value
    if (reference !== undefined) coverage.outcome(one, reference)
    const found = differences(one, outcomes, (row) => coverage.listed(row))
    const [difference] = found
    if (difference !== undefined) {
      counts.disagreed++
      if (disagreements.length < MOST_KEPT) {
        disagreements.push({ one, mesh: part.first + index, request, difference, outcomes })
      }
    }
    if (counts.done % 100 === 0) progress(counts.done, counts.disagreed)
  }
  let next = open()
  for (;;) {
    const opened = await next
    if (opened === null) break
    const { part, batch } = opened
    next = open()
    // Whoever awaits it sees the failure; until then it must not end the process.
    next.catch(() => {})
    const at = performance.now()
    try {
      await batch.run((index, request, outcomes) => done(part, index, request, outcomes))
    } catch (error) {
      const prepared = await next.catch(() => null)
      await prepared?.batch.close()
      throw error
    } finally {
      times.run += performance.now() - at
      for (const { index, engine, message } of batch.refusals)
        problems.push({ mesh: part.first + index, message: `${engine}: ${message}` })
      for (const { index, message } of batch.filterDifferences) problems.push({ mesh: part.first + index, message })
      const closing = performance.now()
      await batch.close()
      times.close += performance.now() - closing
    }
  }
  times.total = performance.now() - began
  return {
    cases: counts.done,
    disagreements,
    disagreed: counts.disagreed,
    problems,
    coverage,
    times,
    istioCases: counts.istio,
  }
}

interface BatchPlan {
  /** The number of its first mesh. */
  readonly first: number
  readonly generated: readonly Generated[]
  readonly cases: readonly MeshCases[]
}

/** Generated when their turn comes: a run may have thousands of meshes. */
function* batchesOf(seed: number, cases: number, istioEvery: number): Generator<BatchPlan> {
  const meshes = Math.ceil(cases / PER_MESH)
  for (let first = 0; first < meshes; first += PER_BATCH) {
    const generated = Array.from({ length: Math.min(PER_BATCH, meshes - first) }, (_, i) => {
      const left = cases - (first + i) * PER_MESH
      return generate(seed, first + i, Math.min(PER_MESH, left))
    })
    const list = generated.map(({ spec, requests }, i) => ({
      spec,
      requests,
      istio: istioEvery > 0 && (first + i) % istioEvery === 0,
    }))
    yield { first, generated, cases: list }
  }
}
