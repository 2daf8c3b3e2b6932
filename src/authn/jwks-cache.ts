import type { JwtKeys, JwtRule } from '../mesh/request-authentication.ts'
import type { Logger } from '../observe/log.ts'
import { parseJwks } from './jwt/jwk.ts'
import type { KeySet } from './jwt/key-set.ts'
import { parseJsonObject } from './jwt/strict-json.ts'
import { fixedKeys, type KeySource, type RuleKeys } from './key-source.ts'

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
  /** From one successful fetch to the next: 20 minutes, as istiod. */
  readonly refresh: number
  /** After a failure, doubling up to `retryMost`: 1 minute, 1 hour. */
  readonly retryLeast: number
  readonly retryMost: number
  /** Tokens cause at most one fetch of a URI in this time: 10 seconds. */
  readonly refetch: number
  /** Keys that could not be refreshed for so long are no longer used: 7 days. */
  readonly keep: number
}

export interface JwksCacheOptions {
  readonly fetch: FetchKeys
  readonly logger: Logger
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly timing?: Partial<JwksTiming>
}

/** Fetched keys, one copy for all rules that name the same URI. Timers never keep the process alive. */
export interface JwksCache extends KeySource {
  /** Starts fetching for these rules and forgets what only others used. To be called with every new configuration. */
  use(rules: readonly JwtRule[]): void
  /** Resolves when each set of keys in use has been fetched, or could not be. Never rejects. */
  ready(): Promise<void>
  /** Ends every timer and fetch. Keys at hand stay usable. */
  close(): void
}

const minute = 60_000
const defaultTiming: JwksTiming = {
  refresh: 20 * minute,
  retryLeast: minute,
  retryMost: 60 * minute,
  refetch: 10_000,
  keep: 7 * 24 * 60 * minute,
}

const maxBytes = 1024 * 1024

type RemoteKeys = Exclude<JwtKeys, { readonly kind: 'inline' }>

export function createJwksCache(options: JwksCacheOptions): JwksCache {
  const entries = new Map<string, RemoteJwks>()
  let closed = false

  function entryFor(keys: RemoteKeys, timeout: number): RemoteJwks {
    const id = `${keys.kind} ${keys.kind === 'uri' ? keys.uri : keys.issuer}`
    let entry = entries.get(id)
    if (entry === undefined) {
      entry = new RemoteJwks(keys, options)
      entries.set(id, entry)
    }
    entry.allow(timeout)
    if (closed) entry.close()
    else entry.start()
    return entry
  }

  return {
    keysFor: (rule): RuleKeys =>
      rule.keys.kind === 'inline' ? fixedKeys(rule.keys.jwks) : entryFor(rule.keys, rule.timeout),
    use(rules) {
      const used = new Set<RemoteJwks>()
      for (const rule of rules) if (rule.keys.kind !== 'inline') used.add(entryFor(rule.keys, rule.timeout))
      for (const [id, entry] of entries) {
        if (used.has(entry)) continue
        entry.close()
        entries.delete(id)
      }
    },
    async ready() {
      await Promise.all([...entries.values()].map((entry) => entry.settled()))
    },
    close() {
      closed = true
      for (const entry of entries.values()) entry.close()
    },
  }
}

/** The keys at one URI, refreshed until closed. */
class RemoteJwks implements RuleKeys {
  readonly #keys: RemoteKeys
  readonly #fetch: FetchKeys
  readonly #logger: Logger
  readonly #now: () => number
  readonly #timing: JwksTiming
  readonly #abort = new AbortController()
  #timeout = 0
  #set: KeySet = { kind: 'none', reason: 'Jwks remote fetch is failed' }
  #fetchedAt = 0
  #attemptedAt = Number.NEGATIVE_INFINITY
  #failures = 0
  #running: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined

  constructor(keys: RemoteKeys, { fetch, logger, now = Date.now, timing }: JwksCacheOptions) {
    this.#keys = keys
    this.#fetch = fetch
    this.#logger = logger
    this.#now = now
    this.#timing = { ...defaultTiming, ...timing }
  }

  current(): KeySet {
    if (this.#set.kind === 'keys' && this.#now() - this.#fetchedAt > this.#timing.keep)
      this.#set = { kind: 'none', reason: 'Jwks remote fetch is failed' }
    return this.#set
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

  settled(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#abort.abort()
  }

  #run(): Promise<void> {
    clearTimeout(this.#timer)
    this.#attemptedAt = this.#now()
    this.#running = this.#load().then((fetched) => {
      this.#running = null
      if (this.#abort.signal.aborted) return
      const delay = this.#take(fetched)
      this.#timer = setTimeout(() => void this.#run(), delay)
      this.#timer.unref()
    })
    return this.#running
  }

  /** Takes over what was fetched, if it is of use; returns the time to the next fetch. */
  #take(fetched: Fetched): number {
    const jwks = fetched.kind === 'ok' ? parseJwks(fetched.body) : null
    if (jwks?.kind === 'keys') {
      this.#set = { kind: 'keys', keys: jwks.keys }
      this.#fetchedAt = this.#now()
      this.#failures = 0
      this.#logger.debug('keys fetched', { uri: this.#name(), keys: jwks.keys.length, skipped: jwks.skipped })
      return this.#timing.refresh
    }
    // A set without usable keys does not replace a good one: it is far more often an accident than a revocation.
    if (jwks !== null && this.#set.kind === 'none')
      this.#set = { kind: 'none', reason: "Jwks doesn't have any valid public key" }
    const delay = Math.min(this.#timing.retryLeast * 2 ** this.#failures, this.#timing.retryMost)
    this.#failures++
    this.#logger.warn('keys could not be fetched', {
      uri: this.#name(),
      reason: jwks?.reason ?? (fetched.kind === 'failed' ? fetched.reason : ''),
      keysKept: this.current().kind === 'keys',
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

  /** For the log: without credentials, query or fragment. */
  #name(): string {
    const uri = this.#keys.kind === 'uri' ? this.#keys.uri : configurationUri(this.#keys.issuer)
    if (!URL.canParse(uri)) return 'invalid'
    const { origin, pathname } = new URL(uri)
    return origin + pathname
  }
}

/** OpenID Connect Discovery 1.0 section 4. */
function configurationUri(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
}
