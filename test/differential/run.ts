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
  /** Milliseconds spent in each part, over both lanes. */
  readonly times: { readonly prepare: number; readonly run: number; readonly close: number; readonly total: number }
  readonly istioCases: number
}

/** Meshes to a batch; two batches are open at once. */
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
  const lane = async (half: number) => {
    for (const part of parts) {
      const at = performance.now()
      const batch = await Batch.open(world, part.cases, engines, half)
      const ready = performance.now()
      times.prepare += ready - at
      try {
        await batch.run((index, request, outcomes) => done(part, index, request, outcomes))
      } finally {
        times.run += performance.now() - ready
        for (const { index, engine, message } of batch.refusals) {
          problems.push({ mesh: part.first + index, message: `${engine}: ${message}` })
        }
        for (const { index, message } of batch.filterDifferences) problems.push({ mesh: part.first + index, message })
        const closing = performance.now()
        await batch.close()
        times.close += performance.now() - closing
      }
    }
  }
  // One lane makes its meshes ready, or waits for a silent authorizer, while the other is busy.
  const lanes = await Promise.allSettled([lane(0), lane(1)])
  for (const one of lanes) if (one.status === 'rejected') throw one.reason
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
