import type { Workload } from '../mesh/workload.ts'
import type { LowerInput } from '../policy/lower.ts'
import { type Compiled, recompile } from '../policy/recompile.ts'

/**
 * Compiles the policies of workloads, and again when they change: only what changed, as long as the policies that did not
 * are the same objects.
 */
export class CompiledPolicies {
  #last = new Map<string, Compiled>()
  #next = new Map<string, Compiled>()

  compile({ namespace, name }: Workload, input: LowerInput): Compiled {
    const key = `${input.protocol} ${namespace}/${name}`
    const compiled = recompile(this.#last.get(key) ?? null, input)
    this.#next.set(key, compiled)
    return compiled
  }

  /** What was not compiled since the last call is forgotten. */
  settle(): void {
    this.#last = this.#next
    this.#next = new Map()
  }
}
