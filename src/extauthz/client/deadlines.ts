/** The longest delay of a timer. */
const maxDelay = 2 ** 31 - 1

/** What ends by itself at a time; in one `Deadlines` at most. */
export abstract class Timed {
  /** On the clock of `performance.now`. */
  readonly deadline: number
  before: Timed | null = null
  after: Timed | null = null

  constructor(deadline: number) {
    this.deadline = deadline
  }

  abstract expire(): void
}

/**
 * Many deadlines behind one timer. Each is as long after its beginning as any other, so that a list in the order of
 * arrival is in the order of expiry, and the timer need not be set anew when one is removed.
 */
export class Deadlines {
  #first: Timed | null = null
  #last: Timed | null = null
  #timer: NodeJS.Timeout | null = null
  readonly #run = () => this.#expire()

  /** `timed.deadline` is not before that of any other. */
  add(timed: Timed): void {
    const last = this.#last
    this.#last = timed
    if (last !== null) {
      last.after = timed
      timed.before = last
      return
    }
    this.#first = timed
    if (this.#timer === null) this.#arm(timed)
    else this.#timer.ref()
  }

  remove(timed: Timed): void {
    const { before, after } = timed
    if (before === null) {
      if (this.#first !== timed) return
      this.#first = after
    } else before.after = after
    if (after === null) this.#last = before
    else after.before = before
    timed.before = null
    timed.after = null
    // The timer stays for whoever comes next, but keeps nothing running.
    if (this.#first === null) this.#timer?.unref()
  }

  #arm(timed: Timed): void {
    const delay = Math.max(1, Math.ceil(timed.deadline - performance.now()))
    this.#timer = setTimeout(this.#run, Math.min(delay, maxDelay))
  }

  #expire(): void {
    this.#timer = null
    const now = performance.now()
    for (let first = this.#first; first !== null && first.deadline <= now; first = this.#first) {
      this.remove(first)
      first.expire()
    }
    // Whoever was added meanwhile has armed it.
    if (this.#first !== null && this.#timer === null) this.#arm(this.#first)
  }
}
