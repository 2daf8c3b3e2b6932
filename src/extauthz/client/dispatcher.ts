import type { CheckOutcome, CheckRequest } from '../check.ts'
import { type CheckResult, type ClientEvents, noEvents } from './client-events.ts'
import type { ClientStatus, ProviderClient } from './client-status.ts'
import { Deadlines } from './deadlines.ts'
import type { EndpointSource } from './endpoints.ts'
import { failure, unwritable } from './failure.ts'
import type { Host } from './host.ts'
import { HostSet, type MakeHost } from './host-set.ts'
import { type ClientOptions, defaultMaxChecks, defaultMaxPending } from './options.ts'
import { type CheckOwner, PendingCheck } from './pending-check.ts'

/** Endpoints that a check is given to without anything having been sent. */
const maxMoves = 8

/**
 * What clients of both protocols have in common: the limits, the deadlines, the endpoint of each check, and the one time
 * that a check is made again.
 */
export class Dispatcher implements CheckOwner, ProviderClient {
  readonly #timeout: number
  readonly #maxChecks: number
  readonly #maxPending: number
  readonly #events: ClientEvents
  readonly #deadlines = new Deadlines()
  /** In the order of their coming. */
  readonly #waiting = new Set<PendingCheck>()
  readonly #hosts: HostSet
  #inFlight = 0
  #closed = false

  /** `timeout` in milliseconds. */
  constructor(timeout: number, source: EndpointSource, makeHost: MakeHost, options: ClientOptions) {
    this.#timeout = timeout
    this.#maxChecks = options.maxChecks ?? defaultMaxChecks
    this.#maxPending = options.maxPending ?? defaultMaxPending
    this.#events = options.events ?? noEvents
    this.#hosts = new HostSet(source, makeHost, options, () => {
      if (this.#waiting.size > 0) this.#flush()
    })
  }

  check(request: CheckRequest, signal: AbortSignal): Promise<CheckOutcome> {
    if (signal.aborted) return this.#refused('cancelled', failure('cancelled', 'cancelled before it was asked'))
    if (this.#closed) return this.#refused('failed', failure('unavailable', 'the client was closed'))
    if (this.#inFlight >= this.#maxChecks) {
      return this.#refused('overflow', failure('unavailable', 'too many checks at a time'))
    }
    return new Promise((resolve) => {
      const check = new PendingCheck(this, request, this.#timeout, signal, resolve)
      this.#inFlight++
      this.#deadlines.add(check)
      this.#route(check)
    })
  }

  warm(): void {
    if (!this.#closed) this.#hosts.warm()
  }

  status(): ClientStatus {
    return {
      reachable: this.#hosts.reachable,
      inFlight: this.#inFlight,
      waiting: this.#waiting.size,
      endpoints: this.#hosts.status(),
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#failWaiting('the client was closed')
    await this.#hosts.close()
  }

  answered(check: PendingCheck, outcome: CheckOutcome, endpointFailed: boolean): void {
    const { host } = check
    if (host !== null) {
      if (endpointFailed) this.#hosts.failed(host, 'failed')
      else this.#hosts.succeeded(host)
    }
    this.#settle(check, outcome.kind === 'error' ? 'failed' : 'answered', outcome)
  }

  notProcessed(check: PendingCheck, message: string, endpointRefuses: boolean): void {
    if (check.host !== null) this.#hosts.notProcessed(check.host, endpointRefuses)
    if (check.retried) {
      this.#settle(check, 'failed', failure('unavailable', message))
      return
    }
    check.retried = true
    this.#events.retried()
    this.#again(check)
  }

  unsent(check: PendingCheck, message: string): void {
    if (++check.moves > maxMoves) this.#settle(check, 'failed', failure('unavailable', message))
    else this.#again(check)
  }

  expired(check: PendingCheck): void {
    const { host } = check
    if (host !== null) {
      this.#hosts.failed(host, 'timeout')
      host.late(check)
    }
    this.#settle(check, 'timeout', failure('timeout', `no answer within ${this.#timeout} ms`))
  }

  cancelled(check: PendingCheck): void {
    this.#settle(check, 'cancelled', failure('cancelled', 'cancelled while it was asked'))
  }

  #refused(result: CheckResult, outcome: CheckOutcome): Promise<CheckOutcome> {
    this.#events.checked(result, 0)
    return Promise.resolve(outcome)
  }

  #route(check: PendingCheck): void {
    const host = this.#hosts.pick(check.avoid)
    if (host !== null) this.#begin(check, host)
    else if (this.#closed) this.#settle(check, 'failed', failure('unavailable', 'the client was closed'))
    else if (this.#hosts.empty) this.#settle(check, 'failed', failure('unavailable', 'there is no endpoint'))
    else if (this.#waiting.size >= this.#maxPending) {
      this.#settle(check, 'overflow', failure('unavailable', 'too many checks wait for a connection'))
    } else {
      this.#waiting.add(check)
      this.#hosts.open()
    }
  }

  #begin(check: PendingCheck, host: Host): void {
    check.host = host
    host.inFlight++
    try {
      host.ask(check)
    } catch {
      // The client's own doing, and nothing that the provider could be forgiven for.
      this.#settle(check, 'failed', unwritable)
    }
  }

  /** Gives a check to another host, or to the same one if there is no other. */
  #again(check: PendingCheck): void {
    check.avoid = check.host
    this.#release(check)
    this.#route(check)
  }

  #release(check: PendingCheck): void {
    if (check.host !== null) check.host.inFlight--
    check.host = null
  }

  #settle(check: PendingCheck, result: CheckResult, outcome: CheckOutcome): void {
    if (!check.settle(outcome)) return
    this.#deadlines.remove(check)
    this.#inFlight--
    this.#events.checked(result, (performance.now() - check.began) / 1000)
    if (check.host === null) this.#waiting.delete(check)
    else this.#release(check)
    if (this.#waiting.size > 0) this.#flush()
  }

  /** Begins the checks that wait, as far as there is room; when nobody can come any more, none waits in vain. */
  #flush(): void {
    for (const check of this.#waiting) {
      const host = this.#hosts.pick(check.avoid)
      if (host === null) break
      this.#waiting.delete(check)
      this.#begin(check, host)
    }
    if (this.#waiting.size === 0) return
    if (this.#hosts.hopeful) this.#hosts.grow()
    else this.#failWaiting(this.#hosts.problem)
  }

  #failWaiting(message: string): void {
    const checks = [...this.#waiting]
    this.#waiting.clear()
    for (const check of checks) this.#settle(check, 'failed', failure('unavailable', message))
  }
}
