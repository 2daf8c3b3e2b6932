import type { GrpcProvider } from '../../mesh/provider.ts'
import type { CheckClient, CheckOutcome, CheckRequest } from '../check.ts'
import { encodeCheckRequest } from '../check-request.ts'
import { frameMessage } from '../grpc-framing.ts'
import { type Connect, connectPlain } from './connect.ts'
import { type EndpointSource, Resolver, type Target } from './endpoints.ts'
import { type ClientOptions, closeGrace, defaultMaxChecks, failure, serviceHost, startTimer } from './failure.ts'
import { type Attempt, callCheck } from './grpc-call.ts'
import { GrpcConnection, type Opened } from './grpc-connection.ts'

/** How often a call that the server did not process is made again. */
const retries = 1

/**
 * Asks a provider over `envoy.service.auth.v3.Authorization/Check`, cleartext HTTP/2, with one connection an endpoint,
 * in turn. The provider's timeout covers everything, connecting and name resolution included.
 */
export function createGrpcClient(
  provider: GrpcProvider,
  endpoints: EndpointSource,
  options: ClientOptions = {},
): CheckClient {
  return new GrpcClient(provider, endpoints, options)
}

class GrpcClient implements CheckClient {
  readonly #provider: GrpcProvider
  readonly #endpoints: EndpointSource
  readonly #resolver: Resolver
  readonly #maxChecks: number
  readonly #connect: Connect
  readonly #authority: string
  readonly #packAsBytes: boolean
  readonly #connections = new Map<string, GrpcConnection>()
  #checks = 0
  #turn = 0
  #closed = false

  constructor(provider: GrpcProvider, endpoints: EndpointSource, options: ClientOptions) {
    this.#provider = provider
    this.#endpoints = endpoints
    this.#resolver = new Resolver(options.lookup)
    this.#connect = options.connect ?? connectPlain
    this.#maxChecks = options.maxChecks ?? defaultMaxChecks
    this.#authority = serviceHost(provider.service)
    this.#packAsBytes = provider.includeRequestBody?.packAsBytes ?? false
  }

  check(request: CheckRequest, signal: AbortSignal): Promise<CheckOutcome> {
    if (signal.aborted) return Promise.resolve(failure('cancelled', 'cancelled before it was asked'))
    if (this.#closed) return Promise.resolve(failure('unavailable', 'the client was closed'))
    if (this.#checks >= this.#maxChecks) return Promise.resolve(failure('unavailable', 'too many checks at a time'))
    this.#checks++
    const { timeout } = this.#provider
    return new Promise((resolve) => {
      const pending = new PendingCheck(performance.now() + timeout)
      const settle = (outcome: CheckOutcome) => {
        if (!pending.settle()) return
        this.#checks--
        clearTimeout(timer)
        signal.removeEventListener('abort', cancel)
        resolve(outcome)
      }
      const cancel = () => settle(failure('cancelled', 'cancelled while it was asked'))
      const timer = startTimer(timeout, () => {
        pending.connection?.doubt()
        settle(failure('timeout', `no answer within ${timeout} ms`))
      })
      signal.addEventListener('abort', cancel, { once: true })
      this.#ask(request, pending).then(settle, () => settle(failure('unavailable', 'the check could not be sent')))
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const connections = [...this.#connections.values()]
    this.#connections.clear()
    await Promise.all(connections.map((connection) => connection.close(closeGrace)))
  }

  async #ask(request: CheckRequest, pending: PendingCheck): Promise<CheckOutcome> {
    const message = frameMessage(encodeCheckRequest(request, { packAsBytes: this.#packAsBytes }))
    for (let retry = 0; ; retry++) {
      const resolved = this.#resolver.resolve(this.#endpoints())
      const targets = Array.isArray(resolved) ? resolved : await (resolved as Promise<readonly Target[]>)
      const opened = await this.#open(targets, pending)
      if (opened.kind === 'failed') return failure('unavailable', opened.message)
      if (pending.settled) return failure('cancelled', 'nobody waits any more')
      const attempt: Attempt = { authority: this.#authority, timeout: pending.left, message }
      const result = await callCheck(opened, attempt, pending)
      if (result.kind === 'answered') return result.outcome
      if (retry >= retries) return failure('unavailable', 'the provider refused the call twice without processing it')
    }
  }

  /** The next connection that stands, or the first that can be made. */
  async #open(targets: readonly Target[], pending: PendingCheck): Promise<Opened> {
    const connections = this.#inTurn(targets)
    // Checks go on with what stands while the one whose turn it was is made.
    if (connections[0]?.ready === null) void connections[0].open()
    for (const connection of connections) {
      const { ready } = connection
      if (ready === null) continue
      pending.connection = connection
      return ready
    }
    let opened: Opened = { kind: 'failed', message: 'there is no endpoint' }
    const failingLast = [
      ...connections.filter(({ failing }) => !failing),
      ...connections.filter(({ failing }) => failing),
    ]
    for (const connection of failingLast) {
      opened = await connection.open()
      pending.connection = connection
      if (opened.kind === 'open' || pending.settled) return opened
    }
    return opened
  }

  /** The connections of these targets, beginning with the one whose turn it is. */
  #inTurn(targets: readonly Target[]): GrpcConnection[] {
    if (this.#closed) return []
    this.#forgetOthers(targets)
    const start = targets.length === 0 ? 0 : this.#turn++ % targets.length
    return [...targets.slice(start), ...targets.slice(0, start)].map((target) => this.#connection(target))
  }

  #connection(target: Target): GrpcConnection {
    const found = this.#connections.get(target.key)
    if (found !== undefined) return found
    const connection = new GrpcConnection(target, this.#authority, this.#connect)
    this.#connections.set(target.key, connection)
    return connection
  }

  #forgetOthers(targets: readonly Target[]): void {
    for (const [key, connection] of this.#connections) {
      if (targets.some((target) => target.key === key)) continue
      this.#connections.delete(key)
      void connection.close(closeGrace)
    }
  }
}

/** What is under way for one check: settled once, by an answer, the timer or the caller. */
export class PendingCheck {
  connection: GrpcConnection | null = null
  /** Ends the call that is on the wire. */
  cancel: (() => void) | null = null
  #settled = false
  readonly #deadline: number

  constructor(deadline: number) {
    this.#deadline = deadline
  }

  get settled(): boolean {
    return this.#settled
  }

  /** Milliseconds until the timeout, at least 1. */
  get left(): number {
    return Math.max(1, this.#deadline - performance.now())
  }

  /** Returns false when it was settled before. */
  settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.cancel?.()
    return true
  }
}
