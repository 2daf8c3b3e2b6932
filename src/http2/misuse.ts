import { Allowance } from './allowance.ts'
import { type Fault, fault } from './fault.ts'
import { ErrorCode } from './frames.ts'

/** What a peer may do that costs it little and this side more. A flood ends the connection. */
export class Misuse {
  readonly #control: Allowance
  #begun = 0
  #cut = 0

  /** `now` in milliseconds. */
  constructor(now: () => number) {
    this.#control = new Allowance(1000, 200, now)
  }

  /** A request has begun, of either side. */
  begun(): void {
    this.#begun++
    this.#control.earn(EARNED)
  }

  /** A part of a body was sent: a peer gives its windows back in pieces, and may measure the way meanwhile. */
  sent(): void {
    this.#control.earn(EARNED)
  }

  /** A frame that carries no message. */
  control(): Fault | null {
    return this.#control.spend() ? null : tooMany
  }

  /**
   * A request was given up by the client (CVE-2023-44487), or by this side because the client broke a rule with it
   * (CVE-2025-8671): that costs the server alone. Envoy's rule.
   */
  cut(): Fault | null {
    this.#cut++
    return this.#cut >= MOST_CUT && this.#cut * 2 > this.#begun ? tooManyCut : null
  }
}

/** What a request, or a part of a body, adds to the allowance: servers raise windows and measure by PING at each. */
const EARNED = 8
/** So many requests may be given up before their share counts. */
const MOST_CUT = 500

const tooMany = fault(ErrorCode.enhanceYourCalm, 'too many frames that are no message')
const tooManyCut = fault(ErrorCode.enhanceYourCalm, 'most requests are given up by the client')
