import { hash } from 'node:crypto'
import type { Logger } from '../../observe/log.ts'
import type { MetricsRegistry } from '../../observe/metrics.ts'
import { type ClaimChecks, checkClaims } from './claim-checks.ts'
import type { JwtFailure } from './failure.ts'
import type { KeySet } from './key-set.ts'
import { KnownToken, KnownTokens, type KnownTokensLimits } from './known-tokens.ts'
import { type SignatureSearch, searchSignature, verifiesUnder } from './signature.ts'
import { SignaturePool, type SignaturePoolLimits } from './signature-pool.ts'
import { parseToken, type Refused, refuse, type Token } from './token.ts'
import { VerifiedToken } from './verified-token.ts'

/** Judges one token under one rule; `now` is in milliseconds since the epoch. A promise never rejects. */
export interface TokenVerifier {
  verify(
    text: string,
    checks: ClaimChecks,
    keys: KeySet,
    now: number,
  ): VerifiedToken | Refused | Promise<VerifiedToken | Refused>
}

export interface TokenVerifierOptions {
  readonly logger: Logger
  readonly metrics: MetricsRegistry
  /** Default: 20,000 tokens and 32 MiB of their texts. */
  readonly known?: KnownTokensLimits
  /** Default: 16 at a time, and 1024 that wait. */
  readonly pool?: SignaturePoolLimits
}

const defaultKnown: KnownTokensLimits = { entries: 20_000, bytes: 32 * 1024 * 1024 }
const defaultPool: SignaturePoolLimits = { running: 16, waiting: 1024 }

/** How often the log says that tokens were refused because too many wait, in milliseconds. */
const warnEvery = 10_000

/** Remembers good tokens, and verifies others off the event loop. One for all rules of a process. */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  return new RememberingVerifier(options)
}

/**
 * A token that was verified before is judged at once: its claims by the rule and the clock, its signature by what these
 * very keys said. Others wait for their turn; one text that comes several times waits once. Bad tokens are never
 * remembered, so that a flood of them displaces nothing.
 */
class RememberingVerifier implements TokenVerifier {
  readonly #known: KnownTokens
  readonly #pool: SignaturePool
  /** What is being verified; as many as the pool takes at most. */
  readonly #open = new Map<string, { readonly keys: KeySet; readonly verdict: Promise<VerifiedToken | Refused> }>()
  readonly #logger: Logger
  readonly #count: (outcome: 'known' | 'verified' | 'refused' | 'overloaded') => void
  readonly #gauge: () => void
  #warnedAt = Number.NEGATIVE_INFINITY
  #unsaid = 0

  constructor({ logger, metrics, known = defaultKnown, pool = defaultPool }: TokenVerifierOptions) {
    this.#known = new KnownTokens(known)
    this.#pool = new SignaturePool(pool)
    this.#logger = logger
    const counter = metrics.counter('sallyport_jwt_tokens_total', 'Tokens by what verified or refused them.', [
      'outcome',
    ])
    const remembered = metrics.gauge('sallyport_jwt_tokens_known', 'Verified tokens that are remembered.')
    const waiting = metrics.gauge('sallyport_jwt_verifications_waiting', 'Tokens that wait for their verification.')
    const labels = { known: ['known'], verified: ['verified'], refused: ['refused'], overloaded: ['overloaded'] }
    this.#count = (outcome) => counter.inc(labels[outcome])
    this.#gauge = () => {
      remembered.set(this.#known.size)
      waiting.set(this.#pool.waiting)
    }
    this.#gauge()
  }

  verify(text: string, checks: ClaimChecks, keys: KeySet, now: number) {
    const digest = hash('sha256', text, 'base64url')
    const known = this.#known.find(digest)
    if (known !== undefined) {
      const verdict = this.#recall(known, checks, keys, now)
      if (verdict !== null) return verdict
    }
    const token = parseToken(text)
    if (token.kind === 'refused') return this.#refuse(token.reason)
    const fault = checkClaims(token, checks, now)
    if (fault !== null) return this.#refuse(fault)
    if (keys.kind === 'none') return this.#refuse(keys.reason)
    const search = searchSignature(token, keys.keys)
    if (search.keys.length === 0) return this.#judged(digest, token, text, keys, search.otherwise)
    if (token.algorithm.kind === 'hmac') {
      const verifies = search.keys.some((key) => verifiesUnder(token, key))
      return this.#judged(digest, token, text, keys, verifies ? null : search.otherwise)
    }
    return this.#enqueue(digest, token, text, keys, search, now)
  }

  /** Null when these keys have not been tried on it yet. */
  #recall(known: KnownToken, checks: ClaimChecks, keys: KeySet, now: number): VerifiedToken | Refused | null {
    const fault = checkClaims(known.token, checks, now)
    if (fault !== null) return this.#refuse(fault)
    if (keys.kind === 'none') return this.#refuse(keys.reason)
    const failure = known.under(keys)
    if (failure === undefined) return null
    if (failure !== null) return this.#refuse(failure)
    this.#count('known')
    return known.token
  }

  #enqueue(
    digest: string,
    token: Token,
    text: string,
    keys: KeySet,
    search: SignatureSearch,
    now: number,
  ): Refused | Promise<VerifiedToken | Refused> {
    const open = this.#open.get(digest)
    if (open !== undefined && open.keys === keys) return open.verdict
    const verifies = this.#pool.verify(token, search.keys)
    if (verifies === null) return this.#overloaded(now)
    const verdict = verifies.then((good) => {
      if (this.#open.get(digest)?.verdict === verdict) this.#open.delete(digest)
      const judged = this.#judged(digest, token, text, keys, good ? null : search.otherwise)
      this.#gauge()
      return judged
    })
    this.#open.set(digest, { keys, verdict })
    this.#gauge()
    return verdict
  }

  #judged(
    digest: string,
    token: Token,
    text: string,
    keys: KeySet,
    failure: JwtFailure | null,
  ): VerifiedToken | Refused {
    let known = this.#known.find(digest)
    known?.judged(keys, failure)
    if (failure !== null) return this.#refuse(failure)
    if (known === undefined) {
      known = new KnownToken(new VerifiedToken(token), text.length, keys)
      this.#known.add(digest, known)
      this.#gauge()
    }
    this.#count('verified')
    return known.token
  }

  #refuse(reason: JwtFailure): Refused {
    this.#count('refused')
    return refuse(reason)
  }

  #overloaded(now: number): Refused {
    this.#count('overloaded')
    this.#unsaid++
    const since = now - this.#warnedAt
    // A clock that was set back must not silence it.
    if (since < 0 || since >= warnEvery) {
      this.#logger.warn('tokens are refused with 503: too many wait for their verification', { refused: this.#unsaid })
      this.#warnedAt = now
      this.#unsaid = 0
    }
    return refuse('Jwt verification is overloaded')
  }
}
