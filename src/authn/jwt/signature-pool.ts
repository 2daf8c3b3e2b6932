import type { VerificationKey } from './jwk.ts'
import { verifyInPool } from './signature.ts'
import type { Token } from './token.ts'

export interface SignaturePoolLimits {
  /**
   * Verifications that the thread pool has at a time: enough that its threads need not wait for the event loop, few
   * enough that files and names that are looked up there need not wait for a flood of tokens.
   */
  readonly running: number
  /** Those that may wait behind them. */
  readonly waiting: number
}

interface Job {
  readonly token: Token
  readonly keys: readonly VerificationKey[]
  /** Which of the keys is tried. */
  index: number
  readonly resolve: (verifies: boolean) => void
}

/** Verifies signatures off the event loop, first come first served, with a bound on how many wait. */
export class SignaturePool {
  readonly #limits: SignaturePoolLimits
  readonly #waiting: Job[] = []
  #running = 0

  constructor(limits: SignaturePoolLimits) {
    this.#limits = limits
  }

  /** How many wait now. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Whether one of the keys verifies the token; null when too many wait. Never rejects. */
  verify(token: Token, keys: readonly VerificationKey[]): Promise<boolean> | null {
    if (this.#running >= this.#limits.running && this.#waiting.length >= this.#limits.waiting) return null
    return new Promise((resolve) => {
      this.#waiting.push({ token, keys, index: 0, resolve })
      this.#next()
    })
  }

  #next(): void {
    while (this.#running < this.#limits.running) {
      const job = this.#waiting.shift()
      if (job === undefined) return
      this.#running++
      this.#try(job)
    }
  }

  /** One key after the other, so that a token that names none takes no more of the pool than any other. */
  #try(job: Job): void {
    const key = job.keys[job.index++]
    if (key === undefined) {
      this.#done(job, false)
      return
    }
    try {
      verifyInPool(job.token, key, (verifies) => (verifies ? this.#done(job, true) : this.#try(job)))
    } catch {
      this.#try(job)
    }
  }

  #done(job: Job, verifies: boolean): void {
    this.#running--
    this.#next()
    job.resolve(verifies)
  }
}
