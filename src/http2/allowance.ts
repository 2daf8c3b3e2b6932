/**
 * How much a peer may ask for that is cheap to send and not to serve: PING, SETTINGS, empty frames, resets. It comes back
 * with time and with each message that the peer really exchanges, so that a flood ends and a busy caller goes on.
 */
export class Allowance {
  readonly #most: number
  readonly #perSecond: number
  readonly #now: () => number
  #left: number
  #at: number

  /** `now` in milliseconds. */
  constructor(most: number, perSecond: number, now: () => number) {
    this.#most = most
    this.#perSecond = perSecond
    this.#now = now
    this.#left = most
    this.#at = now()
  }

  earn(count: number): void {
    this.#left = Math.min(this.#most, this.#left + count)
  }

  /** False when there is nothing left. */
  spend(): boolean {
    if (this.#left < 1) {
      const now = this.#now()
      this.earn(((now - this.#at) / 1000) * this.#perSecond)
      this.#at = now
    }
    this.#left--
    return this.#left >= 0
  }
}
