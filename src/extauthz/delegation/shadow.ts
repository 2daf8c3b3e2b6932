import type { CheckClient, CheckOutcome, CheckRequest } from '../check.ts'
import { failure } from '../client/failure.ts'

export interface ShadowOptions {
  /** Questions that are under way at a time; more are dropped. Default 64. */
  readonly maxChecks?: number
  /** Milliseconds after which nobody waits any more, whatever the provider's timeout: a question holds memory. */
  readonly patience?: number
}

/** Asks a provider beside requests: never before the work of the request at hand, never more than a few at a time. */
export class Shadow {
  readonly #client: CheckClient
  readonly #maxChecks: number
  readonly #patience: number
  #checks = 0

  constructor(client: CheckClient, { maxChecks = 64, patience = 10_000 }: ShadowOptions = {}) {
    this.#client = client
    this.#maxChecks = maxChecks
    this.#patience = patience
  }

  /** `request` must not change afterwards. Null when it was dropped: too many are under way. Never rejects. */
  ask(request: CheckRequest): Promise<CheckOutcome> | null {
    if (this.#checks >= this.#maxChecks) return null
    this.#checks++
    return this.#ask(request).finally(() => {
      this.#checks--
    })
  }

  async #ask(request: CheckRequest): Promise<CheckOutcome> {
    await new Promise((resolve) => setImmediate(resolve))
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), this.#patience)
    timer.unref()
    try {
      const outcome = await this.#client.check(request, abort.signal)
      return abort.signal.aborted ? failure('timeout', `no answer within ${this.#patience} ms`) : outcome
    } catch {
      return failure('unavailable', 'the check failed')
    } finally {
      clearTimeout(timer)
    }
  }
}
