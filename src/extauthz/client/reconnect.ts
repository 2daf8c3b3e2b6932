/** Milliseconds between attempts that nobody waits for, doubled from the first to the last, less up to half of it. */
const firstBackoff = 25
const lastBackoff = 1000

/** Milliseconds from one attempt to the next when somebody waits. */
const spacing = 25

/** When to try to reach an endpoint again: with growing pauses, and sooner while a check waits for it. */
export class Reconnect {
  readonly #attempt: () => void
  #failures = 0
  #began = Number.NEGATIVE_INFINITY
  #at = 0
  #timer: NodeJS.Timeout | null = null
  #demanded = false

  constructor(attempt: () => void) {
    this.#attempt = attempt
  }

  /** Attempts that have failed since one succeeded. */
  get failures(): number {
    return this.#failures
  }

  /** Whether an attempt is about to be made for a check that waits. */
  get demanded(): boolean {
    return this.#demanded
  }

  failed(): void {
    this.#failures++
  }

  succeeded(): void {
    this.#failures = 0
  }

  /** For nobody in particular. */
  later(): void {
    if (this.#timer !== null) return
    const backoff = this.#failures === 0 ? spacing : Math.min(lastBackoff, firstBackoff * 2 ** (this.#failures - 1))
    // Jitter keeps many proxies from coming back in step.
    const pause = backoff * (this.#failures === 0 ? Math.random() : 0.5 + Math.random() / 2)
    this.#schedule(performance.now() + pause)
  }

  /** A check waits. */
  soon(): void {
    const now = performance.now()
    const at = Math.max(now, this.#began + spacing)
    this.#demanded = true
    if (this.#timer === null || at < this.#at) this.#schedule(at)
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#demanded = false
  }

  #schedule(at: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#at = at
    const delay = at - performance.now()
    if (delay <= 0) this.#begin()
    else this.#timer = setTimeout(() => this.#begin(), Math.ceil(delay)).unref()
  }

  #begin(): void {
    this.#timer = null
    this.#demanded = false
    this.#began = performance.now()
    this.#attempt()
  }
}
