/** Iterations of macros (`all`, `exists`, `map`, ..) that one evaluation may take, nested ones counted each. */
const MOST_STEPS = 10_000
/** Milliseconds that an evaluation with macros may take. */
const MOST_TIME = 250
/** The clock is looked at once in so many steps. */
const CLOCK = 16
/** Characters of a text that an expression makes of others. */
const LONGEST_TEXT = 1024 * 1024

/**
 * Bounds what an evaluation costs: macros over lists that a client makes as long as it likes could otherwise be nested.
 * Once it is used up it stays so until the next evaluation, whatever the expression makes of the error.
 */
export class CelBudget {
  #left = 0
  #started = 0

  start(): void {
    this.#left = MOST_STEPS
    this.#started = 0
  }

  /** Throws when there is nothing left. */
  step(): void {
    if (this.#left <= 0) throw new Error(EXHAUSTED)
    this.#left--
    if (this.#left % CLOCK !== 0) return
    const now = performance.now()
    if (this.#started === 0) this.#started = now
    else if (now - this.#started > MOST_TIME) {
      this.#left = 0
      throw new Error(EXHAUSTED)
    }
  }

  get exhausted(): boolean {
    return this.#left <= 0
  }
}

export const EXHAUSTED = 'the expression takes too long on this request'

/** Throws where a text would become too long. */
export function boundText(length: number): void {
  if (length > LONGEST_TEXT) throw new Error(`a text would be longer than ${LONGEST_TEXT} characters`)
}
