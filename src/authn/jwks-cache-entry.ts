import { hash } from 'node:crypto'
import type { JwtKeys } from '../mesh/request-authentication.ts'
import type { Logger } from '../observe/log.ts'
import type { MetricsRegistry } from '../observe/metrics.ts'
import type { JwksMetrics } from './jwks-cache-metrics.ts'
import { parseJwks } from './jwt/jwk.ts'
import type { KeySet } from './jwt/key-set.ts'
import { parseJsonObject } from './jwt/strict-json.ts'
import type { RuleKeys } from './key-source.ts'

/**
 * Gets the text at an http or https URI. `timeout` is in milliseconds and covers everything; an answer longer than
 * `maxBytes` or other than 2xx is a failure. Resolves in every case; a failure's reason holds no secret.
 */
export type FetchKeys = (
  uri: string,
  options: { readonly timeout: number; readonly maxBytes: number; readonly signal: AbortSignal },
) => Promise<Fetched>

export type Fetched =
  | { readonly kind: 'ok'; readonly body: string }
  | { readonly kind: 'failed'; readonly reason: string }

/** All in milliseconds. */
export interface JwksTiming {
  /** From one successful fetch to the next, less up to a tenth at random: 20 minutes, as istiod. */
  readonly refresh: number
  /** After a failure, doubling up to `retryMost`: 1 minute, 1 hour. */
  readonly retryLeast: number
  readonly retryMost: number
  /** Tokens cause at most one fetch of a URI in this time: 10 seconds. */
  readonly refetch: number
  /** Keys that could not be refreshed for so long are no longer used: 7 days. */
  readonly keep: number
  /** Keys that no token needed for so long are fetched again only when one does. Default: they are always refreshed. */
  readonly idle: number
}

export interface JwksCacheOptions {
  readonly fetch: FetchKeys
  readonly logger: Logger
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly metrics?: MetricsRegistry
  /** From 0 to 1, for the spread of refreshes. Default: `Math.random`. */
  readonly random?: () => number
  readonly timing?: Partial<JwksTiming>
}

const minute = 60_000
const defaultTiming: JwksTiming = {
  refresh: 20 * minute,
  retryLeast: minute,
  retryMost: 60 * minute,
  refetch: 10_000,
  keep: 7 * 24 * 60 * minute,
  idle: Number.POSITIVE_INFINITY,
}

const maxBytes = 1024 * 1024

/** Proxies that started together must not fetch together for ever. */
const jitter = 0.1

export type RemoteKeys = Exclude<JwtKeys, { readonly kind: 'inline' }>

/** The keys at one URI, refreshed until closed. */
export class RemoteJwks implements RuleKeys {
  /** For logs, metrics and health: without credentials, query or fragment. */
  readonly name: string
  readonly #keys: RemoteKeys
  readonly #metrics: JwksMetrics
  readonly #random: () => number
  readonly #fetch: FetchKeys
  readonly #logger: Logger
  readonly #now: () => number
  readonly #timing: JwksTiming
  readonly #abort = new AbortController()
  #timeout = 0
  #set: KeySet = { kind: 'none', reason: 'Jwks remote fetch is failed' }
  /** Of the text that the set was read from. */
  #digest = ''
  #problem: string | null = null
  #fetchedAt = 0
  #attemptedAt = Number.NEGATIVE_INFINITY
  #neededAt: number
  /** No refresh is planned, because nobody needed the keys. */
  #asleep = false
  #failures = 0
  #running: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined

  constructor(
    keys: RemoteKeys,
    { fetch, logger, now = Date.now, random = Math.random, timing }: JwksCacheOptions,
    metrics: JwksMetrics,
  ) {
    this.name = nameOf(keys)
    this.#keys = keys
    this.#metrics = metrics
    this.#random = random
    this.#fetch = fetch
    this.#logger = logger
    this.#now = now
    this.#timing = { ...defaultTiming, ...timing }
    this.#neededAt = now()
  }

  current(): KeySet {
    this.#neededAt = this.#now()
    if (this.#asleep && !this.#abort.signal.aborted) {
      this.#asleep = false
      void this.#run()
    }
    return this.#usable(this.#neededAt)
  }

  refetch(): Promise<void> | null {
    if (this.#abort.signal.aborted) return null
    if (this.#running !== null) return this.#running
    const since = this.#now() - this.#attemptedAt
    // A clock that was set back says nothing about how long it is.
    return since >= 0 && since < this.#timing.refetch ? null : this.#run()
  }

  /** Of several rules the most patient one counts. */
  allow(timeout: number): void {
    this.#timeout = Math.max(this.#timeout, timeout)
  }

  start(): void {
    if (this.#attemptedAt === Number.NEGATIVE_INFINITY) void this.#run()
  }

  /** Why the last fetch failed and what it means, or null. */
  problem(): string | null {
    if (this.#problem === null) return null
    const meaning =
      this.#usable(this.#now()).kind === 'keys' ? 'the last good ones are in use' : 'tokens that need them are refused'
    return `keys at ${this.name} could not be fetched (${this.#problem}): ${meaning}`
  }

  settled(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#abort.abort()
  }

  #usable(now: number): KeySet {
    if (this.#set.kind === 'keys' && now - this.#fetchedAt > this.#timing.keep)
      this.#set = { kind: 'none', reason: 'Jwks remote fetch is failed' }
    return this.#set
  }

  #refresh(): void {
    if (this.#abort.signal.aborted) return
    if (this.#now() - this.#neededAt > this.#timing.idle) this.#asleep = true
    else void this.#run()
  }

  #run(): Promise<void> {
    clearTimeout(this.#timer)
    this.#attemptedAt = this.#now()
    this.#running = this.#load().then((fetched) => {
      this.#running = null
      if (this.#abort.signal.aborted) return
      const delay = this.#take(fetched)
      this.#timer = setTimeout(() => this.#refresh(), delay)
      this.#timer.unref()
    })
    return this.#running
  }

  /** Takes over what was fetched, if it is of use; returns the time to the next fetch. */
  #take(fetched: Fetched): number {
    const jwks = fetched.kind === 'ok' ? parseJwks(fetched.body) : null
    if (jwks?.kind === 'keys') {
      const digest = hash('sha256', (fetched as { readonly body: string }).body)
      // The same text again is the same set, so that tokens that it has verified stay known.
      if (this.#set.kind === 'none' || digest !== this.#digest) this.#set = { kind: 'keys', keys: jwks.keys }
      this.#digest = digest
      this.#fetchedAt = this.#now()
      this.#failures = 0
      this.#problem = null
      this.#metrics.fetched(this.name, 'ok', jwks.keys.length, this.#fetchedAt)
      this.#logger.debug('keys fetched', { uri: this.name, keys: jwks.keys.length, skipped: jwks.skipped })
      return this.#timing.refresh * (1 - jitter * this.#random())
    }
    // A set without usable keys does not replace a good one: it is far more often an accident than a revocation.
    if (jwks !== null && this.#set.kind === 'none')
      this.#set = { kind: 'none', reason: "Jwks doesn't have any valid public key" }
    const delay = Math.min(this.#timing.retryLeast * 2 ** this.#failures, this.#timing.retryMost)
    this.#failures++
    const reason = jwks?.reason ?? (fetched.kind === 'failed' ? fetched.reason : '')
    const current = this.#usable(this.#now())
    this.#problem = reason
    this.#metrics.fetched(this.name, 'failed', current.kind === 'keys' ? current.keys.length : 0, this.#fetchedAt)
    this.#logger.warn('keys could not be fetched', {
      uri: this.name,
      reason,
      keysKept: current.kind === 'keys',
      nextAttemptMs: delay,
    })
    return delay
  }

  async #load(): Promise<Fetched> {
    const deadline = this.#now() + this.#timeout
    if (this.#keys.kind === 'uri') return this.#get(this.#keys.uri, deadline)
    const document = await this.#get(configurationUri(this.#keys.issuer), deadline)
    if (document.kind === 'failed') return document
    const uri = parseJsonObject(Buffer.from(document.body, 'utf8'))?.jwks_uri
    if (typeof uri !== 'string') return { kind: 'failed', reason: 'the OpenID configuration has no jwks_uri' }
    return this.#get(uri, deadline)
  }

  async #get(uri: string, deadline: number): Promise<Fetched> {
    const timeout = Math.min(Math.max(1, deadline - this.#now()), this.#timeout)
    try {
      return await this.#fetch(uri, { timeout, maxBytes, signal: this.#abort.signal })
    } catch (error) {
      return { kind: 'failed', reason: error instanceof Error ? error.message : 'unknown' }
    }
  }
}

function nameOf(keys: RemoteKeys): string {
  const uri = keys.kind === 'uri' ? keys.uri : configurationUri(keys.issuer)
  if (!URL.canParse(uri)) return 'invalid'
  const { origin, pathname } = new URL(uri)
  return origin + pathname
}

/** OpenID Connect Discovery 1.0 section 4. */
function configurationUri(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
}
