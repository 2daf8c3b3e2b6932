import type { Buffer } from 'node:buffer'
import type { CheckOutcome, CheckRequest } from '../check.ts'
import { Timed } from './deadlines.ts'
import type { Host } from './host.ts'

/** Who is told how a check goes. */
export interface CheckOwner {
  answered(check: PendingCheck, outcome: CheckOutcome, endpointFailed: boolean): void
  notProcessed(check: PendingCheck, message: string, endpointRefuses: boolean): void
  unsent(check: PendingCheck, message: string): void
  expired(check: PendingCheck): void
  cancelled(check: PendingCheck): void
}

/** What is under way for a check at an endpoint. */
export interface Attempt {
  /** Ends it; the check is told nothing more. */
  cancel(): void
}

/** One check, from when it comes until it is settled: once, by an answer, its deadline or its caller. */
export class PendingCheck extends Timed {
  readonly request: CheckRequest
  readonly began: number
  /** What goes over the wire, once it has been made. */
  message: Buffer | null = null
  /** Where it is being asked. */
  host: Host | null = null
  attempt: Attempt | null = null
  /** Where it was asked before, in vain. */
  avoid: Host | null = null
  /** Whether it has been made again. */
  retried = false
  /** Endpoints that it was given to without anything having been sent. */
  moves = 0
  settled = false
  readonly #owner: CheckOwner
  readonly #signal: AbortSignal
  readonly #resolve: (outcome: CheckOutcome) => void

  /** `timeout` in milliseconds. */
  constructor(
    owner: CheckOwner,
    request: CheckRequest,
    timeout: number,
    signal: AbortSignal,
    resolve: (outcome: CheckOutcome) => void,
  ) {
    const now = performance.now()
    super(now + timeout)
    this.began = now
    this.request = request
    this.#owner = owner
    this.#signal = signal
    this.#resolve = resolve
    signal.addEventListener('abort', this)
  }

  /** Milliseconds until the deadline, at least 1. */
  get left(): number {
    return Math.max(1, this.deadline - performance.now())
  }

  /** Returns false when it was settled before. */
  settle(outcome: CheckOutcome): boolean {
    if (this.settled) return false
    this.settled = true
    this.#signal.removeEventListener('abort', this)
    const { attempt } = this
    this.attempt = null
    attempt?.cancel()
    this.#resolve(outcome)
    return true
  }

  /** `endpointFailed`: whether what came says that the endpoint does not work. */
  answered(outcome: CheckOutcome, endpointFailed: boolean): void {
    this.attempt = null
    if (!this.settled) this.#owner.answered(this, outcome, endpointFailed)
  }

  /** The endpoint did nothing for it: it can be made again. `endpointRefuses`: and would do the same with the next. */
  notProcessed(message: string, endpointRefuses: boolean): void {
    this.attempt = null
    if (!this.settled) this.#owner.notProcessed(this, message, endpointRefuses)
  }

  /** Not a byte of it left: another endpoint can be asked. */
  unsent(message: string): void {
    this.attempt = null
    if (!this.settled) this.#owner.unsent(this, message)
  }

  override expire(): void {
    this.#owner.expired(this)
  }

  /** Of the signal. */
  handleEvent(): void {
    this.#owner.cancelled(this)
  }
}
