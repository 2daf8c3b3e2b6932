/** Collects decisions to lines, many of which are sent at once. */
export class DecisionLines {
  readonly #send: (lines: string, dropped: number) => boolean
  #lines = ''
  #dropped = 0
  #timer: NodeJS.Timeout | null = null

  /** `send` says whether it took the lines; `dropped` is how many were left out before. */
  constructor(send: (lines: string, dropped: number) => boolean) {
    this.#send = send
  }

  add(decision: object): void {
    if (this.#lines.length > mostCharacters) {
      this.#dropped++
      return
    }
    this.#lines += `${JSON.stringify(decision)}\n`
    if (this.#lines.length > enough) this.flush()
    else if (this.#timer === null) this.#timer = setTimeout(() => this.flush(), latest)
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#lines === '') return
    if (this.#send(this.#lines, this.#dropped)) {
      this.#lines = ''
      this.#dropped = 0
    } else this.#timer = setTimeout(() => this.flush(), latest)
  }
}

/** Characters at which lines are sent at once, and beyond which no more are taken. */
const enough = 64 * 1024
const mostCharacters = 4 * 1024 * 1024
/** Milliseconds that a line waits. */
const latest = 50
