/** The longest delay of a timer. */
const MAX_DELAY = 2 ** 31 - 1

/** Milliseconds that a caller may take to acknowledge the first GOAWAY. */
export const DRAIN_PAUSE = 1000

/** When a connection is old, give or take a tenth: those that began together must not all come back together. */
export function spreadAge(maxConnectionAge: number): number {
  return maxConnectionAge * (0.9 + Math.random() / 5)
}

/** What a connection will do later. None of it keeps the process alive. */
export class ConnectionTimers {
  readonly #timers = new Set<NodeJS.Timeout>()

  /** `delay` in milliseconds. */
  after(delay: number, act: () => void): NodeJS.Timeout {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        act()
      },
      Math.min(delay, MAX_DELAY),
    )
    timer.unref()
    this.#timers.add(timer)
    return timer
  }

  cancel(timer: NodeJS.Timeout): void {
    clearTimeout(timer)
    this.#timers.delete(timer)
  }

  /** The connection is over. */
  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
