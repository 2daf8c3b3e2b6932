import { Buffer } from 'node:buffer'
import { Agent, type IncomingMessage, request as sendRequest } from 'node:http'
import type { Socket } from 'node:net'
import type { HttpProvider } from '../../mesh/provider.ts'
import type { CheckClient, CheckHttpRequest, CheckOutcome, CheckRequest } from '../check.ts'
import { type Connect, connectPlain } from './connect.ts'
import { type EndpointSource, Resolver, socketOptions, type Target } from './endpoints.ts'
import { type ClientOptions, closeGrace, defaultMaxChecks, errorCode, failure, startTimer } from './failure.ts'
import { createHttpRules, type HttpRules } from './http-rules.ts'

const maxConnections = 1024
const maxIdleConnections = 64

/** Bytes of an answer's head. More than Envoy's 60 KiB, which are counted without what is between the lines. */
const maxHeadBytes = 64 * 1024

/** Bytes of an answer's body that are read; a larger answer is a failure. */
const maxBodyBytes = 4 * 1024 * 1024

/**
 * Asks a provider with an HTTP request of its own for each check. Built on node:http, because undici sends no
 * `content-length: 0` with a GET, which Envoy does. The provider's timeout covers everything.
 */
export function createHttpClient(
  provider: HttpProvider,
  endpoints: EndpointSource,
  options: ClientOptions = {},
): CheckClient {
  return new HttpClient(provider, endpoints, options)
}

/** `unsent`: nothing of the request reached the provider, or a kept connection had been closed by it. */
type Exchange =
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly rawHeaders: readonly string[]
      readonly body: Buffer
    }
  | { readonly kind: 'unsent'; readonly message: string; readonly stale: boolean }
  | { readonly kind: 'failed'; readonly message: string }

/** Keeps connections that are made as the provider wants them. */
class ProviderAgent extends Agent {
  readonly #connect: Connect

  constructor(connect: Connect) {
    super({
      keepAlive: true,
      maxSockets: maxConnections,
      maxTotalSockets: maxConnections,
      maxFreeSockets: maxIdleConnections,
    })
    this.#connect = connect
  }

  override createConnection(options: object): Socket {
    return this.#connect((options as { readonly target: Target }).target)
  }
}

class HttpClient implements CheckClient {
  readonly #provider: HttpProvider
  readonly #endpoints: EndpointSource
  readonly #resolver: Resolver
  readonly #rules: HttpRules
  readonly #maxChecks: number
  readonly #agent: ProviderAgent
  readonly #idle = new Set<() => void>()
  #checks = 0
  #turn = 0
  #closed = false

  constructor(provider: HttpProvider, endpoints: EndpointSource, options: ClientOptions) {
    this.#provider = provider
    this.#endpoints = endpoints
    this.#resolver = new Resolver(options.lookup)
    this.#rules = createHttpRules(provider)
    this.#agent = new ProviderAgent(options.connect ?? connectPlain)
    this.#maxChecks = options.maxChecks ?? defaultMaxChecks
  }

  check(request: CheckRequest, signal: AbortSignal): Promise<CheckOutcome> {
    const { http } = request
    if (http === null) return Promise.resolve(failure('unavailable', 'an HTTP provider cannot judge a connection'))
    if (signal.aborted) return Promise.resolve(failure('cancelled', 'cancelled before it was asked'))
    if (this.#closed) return Promise.resolve(failure('unavailable', 'the client was closed'))
    if (this.#checks >= this.#maxChecks) return Promise.resolve(failure('unavailable', 'too many checks at a time'))
    this.#checks++
    const { timeout } = this.#provider
    const abort = new AbortController()
    return new Promise((resolve) => {
      const settle = (outcome: CheckOutcome) => {
        if (abort.signal.aborted) return
        this.#release()
        clearTimeout(timer)
        signal.removeEventListener('abort', cancel)
        resolve(outcome)
        abort.abort()
      }
      const cancel = () => settle(failure('cancelled', 'cancelled while it was asked'))
      const timer = startTimer(timeout, () => settle(failure('timeout', `no answer within ${timeout} ms`)))
      signal.addEventListener('abort', cancel, { once: true })
      this.#ask(request, http, abort.signal).then(settle, () =>
        settle(failure('unavailable', 'the check could not be sent')),
      )
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#checks > 0) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        this.#idle.add(resolve)
        timer = setTimeout(resolve, closeGrace)
      })
      clearTimeout(timer)
    }
    this.#agent.destroy()
  }

  #release(): void {
    this.#checks--
    if (this.#checks > 0) return
    for (const wake of this.#idle) wake()
    this.#idle.clear()
  }

  async #ask(request: CheckRequest, http: CheckHttpRequest, signal: AbortSignal): Promise<CheckOutcome> {
    const resolved = this.#resolver.resolve(this.#endpoints())
    const targets = resolved instanceof Promise ? await resolved : resolved
    const headers = this.#rules.requestHeaders(request, http)
    const start = targets.length === 0 ? 0 : this.#turn++ % targets.length
    let message = 'there is no endpoint'
    for (const target of [...targets.slice(start), ...targets.slice(0, start)]) {
      let exchange = await this.#exchange(target, http, headers, signal)
      // The provider closed an idle connection just when it was picked.
      if (exchange.kind === 'unsent' && exchange.stale && !signal.aborted) {
        exchange = await this.#exchange(target, http, headers, signal)
      }
      if (exchange.kind === 'answered') return this.#rules.outcome(exchange)
      if (exchange.kind === 'failed' || signal.aborted) return failure('unavailable', exchange.message)
      message = exchange.message
    }
    return failure('unavailable', message)
  }

  #exchange(target: Target, http: CheckHttpRequest, headers: string[], signal: AbortSignal): Promise<Exchange> {
    if (signal.aborted) return Promise.resolve({ kind: 'failed', message: 'nobody waits any more' })
    return new Promise((resolve) => {
      const path = this.#provider.pathPrefix + http.path
      const options = {
        ...socketOptions(target),
        method: http.method,
        path,
        setHost: false,
        agent: this.#agent,
        target,
        maxHeaderSize: maxHeadBytes,
      }
      // Node's types do not know the flat form, which keeps order and repeats.
      const message = sendRequest({ ...options, headers: headers as never })
      const abort = () => message.destroy()
      signal.addEventListener('abort', abort, { once: true })
      let begun = false
      let connected = false
      message.once('socket', (socket) => {
        connected = !socket.connecting
        if (connected) return
        socket.once('connect', () => {
          connected = true
        })
      })
      message.once('response', (response) => {
        begun = true
        readBody(response).then((body) => {
          signal.removeEventListener('abort', abort)
          if (body === null) resolve({ kind: 'failed', message: 'the answer was cut short or is too large' })
          else resolve({ kind: 'answered', status: response.statusCode ?? 0, rawHeaders: response.rawHeaders, body })
        })
      })
      // Answers that change the protocol are no answers.
      const refuse = () => {
        resolve({ kind: 'failed', message: 'the provider switched protocols' })
        message.destroy()
      }
      message.once('upgrade', refuse)
      message.once('connect', refuse)
      message.on('error', (error) => {
        signal.removeEventListener('abort', abort)
        const stale = message.reusedSocket && !begun && ['ECONNRESET', 'EPIPE'].includes(errorCode(error))
        if (!connected) resolve({ kind: 'unsent', stale: false, message: `cannot connect: ${errorCode(error)}` })
        else if (stale) resolve({ kind: 'unsent', stale, message: errorCode(error) })
        else resolve({ kind: 'failed', message: `the exchange failed: ${errorCode(error)}` })
      })
      message.end(http.body === null ? undefined : http.body.bytes)
    })
  }
}

/** Null when it ended early or exceeds the limit. */
async function readBody(response: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > maxBodyBytes) return null
      chunks.push(chunk)
    }
  } catch {
    return null
  }
  return response.complete ? Buffer.concat(chunks) : null
}
