import { isIdempotent } from '../../match/idempotent.ts'
import type { CheckHttpRequest } from '../check.ts'
import type { Connect } from './connect.ts'
import type { Target } from './endpoints.ts'
import { errorCode, failure } from './failure.ts'
import { Host, type HostListener } from './host.ts'
import { type HttpEnd, HttpExchange, type HttpMessage, whenConnected } from './http-exchange.ts'
import type { HttpRules } from './http-rules.ts'
import type { Attempt, PendingCheck } from './pending-check.ts'
import { ProviderAgent } from './provider-agent.ts'
import { Reconnect } from './reconnect.ts'

/** Milliseconds for an attempt to reach an endpoint that no check makes. */
const connectTimeout = 5000

/** Milliseconds after which an endpoint that no check has reached is looked after, so that its loss is known before one does. */
const confirmAfter = 5000

const deadlineHeader = 'x-envoy-expected-rq-timeout-ms'

export interface HttpHostOptions {
  readonly connect: Connect
  readonly rules: HttpRules
  readonly pathPrefix: string
  /** Milliseconds. */
  readonly timeout: number
  readonly maxConnections: number
  /** What an active health check asks for, and of which host. */
  readonly healthPath: string
  readonly healthHost: string
}

/**
 * An endpoint over HTTP/1.1. No connection waits for checks before the first one: servers close a connection that sends
 * nothing, and some log it. Whether the endpoint is there is found out by connecting and closing again.
 */
export class HttpHost extends Host {
  readonly #options: HttpHostOptions
  readonly #listener: HostListener
  readonly #agent: ProviderAgent
  readonly #reconnect = new Reconnect(() => this.#reach())
  readonly #attempts = new Set<HttpAttempt>()
  /** Null until something says. */
  #reachable: boolean | null = null
  /** When it was last known to be there, on the clock of `performance.now`. */
  #confirmed = 0
  #reaching: (() => void) | null = null
  #problem = ''
  #left: (() => void) | null = null

  constructor(target: Target, options: HttpHostOptions, listener: HostListener) {
    super(target)
    this.#options = options
    this.#listener = listener
    this.#agent = new ProviderAgent(options.connect, target, options.maxConnections)
  }

  override get available(): boolean {
    return this.#reachable !== false
  }

  override get proven(): boolean {
    return this.#reachable === true
  }

  override get opening(): boolean {
    return this.#reaching !== null || this.#reconnect.demanded
  }

  override get failing(): boolean {
    return this.#reconnect.failures > 0
  }

  override get doubtful(): boolean {
    return false
  }

  override get room(): number {
    return this.available ? this.#options.maxConnections - this.#attempts.size : 0
  }

  override get connections(): number {
    return this.#agent.connections
  }

  override get problem(): string {
    return this.#problem
  }

  override warm(): void {
    this.#reconnect.later()
  }

  override open(): void {
    if (this.#left === null && !this.available && this.#reaching === null) this.#reconnect.soon()
  }

  override ask(check: PendingCheck): void {
    const message = this.#messageOf(check)
    const attempt = new HttpAttempt(check, (end) => this.#ended(attempt, end))
    check.attempt = attempt
    this.#attempts.add(attempt)
    attempt.begin(this.target, message, check.retried ? () => this.#fresh() : this.#agent, () => this.#done(attempt))
  }

  override late({ attempt }: PendingCheck): void {
    if (attempt instanceof HttpAttempt && !attempt.connected) this.#unreachable('not connected in time')
  }

  override tend(now: number): void {
    if (this.#reachable === true && now - this.#confirmed > confirmAfter) this.#connectAndClose()
  }

  override renew(): void {}

  override probe(timeout: number): Promise<boolean | null> {
    if (!this.available) return Promise.resolve(null)
    const { healthPath, healthHost } = this.#options
    const message = { method: 'GET', path: healthPath, headers: ['host', healthHost], body: null }
    return new Promise((resolve) => {
      const exchange = new HttpExchange(
        this.target,
        message,
        () => this.#fresh(),
        (end) => {
          clearTimeout(timer)
          resolve(end.kind === 'answered' && end.answer.status === 200)
        },
      )
      const timer = setTimeout(() => {
        exchange.cancel()
        resolve(false)
      }, timeout)
      timer.unref()
    })
  }

  override leave(): Promise<void> {
    this.#reconnect.stop()
    this.#reaching?.()
    return new Promise((resolve) => {
      this.#left = resolve
      this.#leaveIfDone()
    })
  }

  override end(): void {
    for (const attempt of this.#attempts) attempt.fail()
  }

  #messageOf(check: PendingCheck): HttpMessage {
    const { rules, pathPrefix, timeout } = this.#options
    const http = check.request.http as CheckHttpRequest
    const headers = rules.requestHeaders(check.request, http)
    if (check.retried || check.left < timeout - 5) {
      const at = headers.indexOf(deadlineHeader)
      if (at !== -1) headers[at + 1] = String(Math.ceil(check.left))
    }
    return { method: http.method, path: pathPrefix + http.path, headers, body: http.body?.bytes ?? null }
  }

  #fresh() {
    return this.#options.connect(this.target)
  }

  #ended({ check }: HttpAttempt, end: HttpEnd): void {
    switch (end.kind) {
      case 'answered': {
        this.#reached()
        const { status } = end.answer
        check.answered(this.#options.rules.outcome(end.answer), status >= 500 && status <= 599)
        break
      }
      case 'unsent':
        this.#unreachable(end.message)
        check.unsent(end.message)
        break
      case 'stale':
        if (isIdempotent(check.request.http?.method ?? '')) check.notProcessed(end.message, false)
        else check.answered(failure('unavailable', end.message), true)
        break
      case 'failed':
        check.answered(failure('unavailable', end.message), true)
        break
      default:
        end satisfies never
    }
  }

  #done(attempt: HttpAttempt): void {
    if (!this.#attempts.delete(attempt)) return
    this.#leaveIfDone()
    this.#listener.roomier()
  }

  #leaveIfDone(): void {
    if (this.#left === null || this.#attempts.size > 0) return
    this.#agent.destroy()
    this.#left()
  }

  #unreachable(problem: string): void {
    this.#problem = problem
    this.#reconnect.failed()
    if (this.#left === null) this.#reconnect.later()
    this.#reachable = false
    this.#listener.changed(this)
  }

  #reached(): void {
    this.#confirmed = performance.now()
    if (this.#reachable === true) return
    this.#reconnect.succeeded()
    this.#problem = ''
    this.#reachable = true
    this.#listener.changed(this)
  }

  /** Tries whether a connection comes about, unless checks are doing that. */
  #reach(): void {
    if (this.#reachable === true || (this.#reachable === null && this.#agent.connections > 0)) return
    this.#connectAndClose()
  }

  #connectAndClose(): void {
    if (this.#left !== null || this.#reaching !== null) return
    const socket = this.#fresh()
    const finish = (problem: string | null) => {
      if (this.#reaching !== stop) return
      stop()
      if (problem === null) this.#reached()
      else this.#unreachable(problem)
    }
    const stop = () => {
      this.#reaching = null
      clearTimeout(timer)
      socket.destroy()
    }
    const timer = setTimeout(() => finish('cannot connect: not in time'), connectTimeout).unref()
    this.#reaching = stop
    whenConnected(socket, () => finish(null))
    socket.on('error', (error) => finish(`cannot connect: ${errorCode(error)}`))
  }
}

/** One check at this endpoint. */
class HttpAttempt implements Attempt {
  readonly check: PendingCheck
  readonly #ended: (end: HttpEnd) => void
  #exchange: HttpExchange | null = null
  #done: () => void = () => {}

  constructor(check: PendingCheck, ended: (end: HttpEnd) => void) {
    this.check = check
    this.#ended = ended
  }

  get connected(): boolean {
    return this.#exchange?.connected ?? false
  }

  begin(
    target: Target,
    message: HttpMessage,
    via: ProviderAgent | (() => ReturnType<Connect>),
    done: () => void,
  ): void {
    this.#done = done
    this.#exchange = new HttpExchange(target, message, via, (end) => {
      this.#ended(end)
      done()
    })
  }

  cancel(): void {
    this.#exchange?.cancel()
    this.#done()
  }

  fail(): void {
    this.#exchange?.cancel()
    this.#ended({ kind: 'failed', message: 'the client was closed' })
    this.#done()
  }
}
