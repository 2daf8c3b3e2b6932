import type { CheckClient, CheckOutcome, CheckRequest } from '../check.ts'
import { failure } from '../client/failure.ts'

/** Questions of one shadow that are under way at a time; more are dropped. */
const MAX_CHECKS = 64

/** Milliseconds after which nobody waits for a shadow any more, whatever its provider's timeout: it holds memory. */
const PATIENCE = 10_000

/** Asks a provider beside requests: never before the work of the request at hand, never more than a few at a time. */
export class Shadow {
  readonly #client: CheckClient
  readonly #maxChecks: number
  #checks = 0

  constructor(client: CheckClient, maxChecks: number = MAX_CHECKS) {
    this.#client = client
    this.#maxChecks = maxChecks
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
    const timer = setTimeout(() => abort.abort(), PATIENCE)
    timer.unref()
    try {
      const outcome = await this.#client.check(request, abort.signal)
      return abort.signal.aborted ? failure('timeout', `no answer within ${PATIENCE} ms`) : outcome
    } catch {
      return failure('unavailable', 'the check failed')
    } finally {
      clearTimeout(timer)
    }
  }
}
