import type { JwtFailure } from './failure.ts'
import type { KeySet } from './key-set.ts'
import type { VerifiedToken } from './verified-token.ts'

/** A token that some set of keys has verified, and what sets said of it. */
export class KnownToken {
  readonly token: VerifiedToken
  /** How long its text was: about what it takes in memory. */
  readonly length: number
  /** The last set that verified it. */
  #good: KeySet
  /** What others said: none for nearly every token. */
  #others: { readonly keys: KeySet; readonly verdict: JwtFailure | null }[] | null = null

  /** `keys` verified it. */
  constructor(token: VerifiedToken, length: number, keys: KeySet) {
    this.token = token
    this.length = length
    this.#good = keys
  }

  /** Null when these very keys verify it, a failure when they do not, undefined when they were not tried. */
  under(keys: KeySet): JwtFailure | null | undefined {
    if (keys === this.#good) return null
    return this.#others?.find((one) => one.keys === keys)?.verdict
  }

  judged(keys: KeySet, verdict: JwtFailure | null): void {
    if (this.under(keys) !== undefined) return
    this.#others ??= []
    if (this.#others.length === maxOthers) this.#others.shift()
    this.#others.push(verdict === null ? { keys: this.#good, verdict } : { keys, verdict })
    if (verdict === null) this.#good = keys
  }
}

/** More than rules of one issuer have key sets, and old sets must not be kept for long. */
const maxOthers = 4

export interface KnownTokensLimits {
  /** Most tokens. */
  readonly entries: number
  /** Most bytes of their texts. */
  readonly bytes: number
}

/**
 * Verified tokens by the digest of their texts: never by the texts themselves, and never a bad one. Two generations
 * stand in for an order of use: what was not asked for while the younger one filled up, goes.
 */
export class KnownTokens {
  readonly #limits: KnownTokensLimits
  #young = new Map<string, KnownToken>()
  #old = new Map<string, KnownToken>()
  #youngBytes = 0

  /** Each generation has half of `limits`. */
  constructor(limits: KnownTokensLimits) {
    this.#limits = { entries: Math.ceil(limits.entries / 2), bytes: Math.floor(limits.bytes / 2) }
  }

  /** How many there are. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  find(digest: string): KnownToken | undefined {
    const young = this.#young.get(digest)
    if (young !== undefined) return young
    const old = this.#old.get(digest)
    if (old === undefined) return undefined
    this.#old.delete(digest)
    this.#insert(digest, old)
    return old
  }

  /** Adds one that is not there. One that is too long for a generation is not kept. */
  add(digest: string, known: KnownToken): void {
    if (known.length <= this.#limits.bytes) this.#insert(digest, known)
  }

  #insert(digest: string, known: KnownToken): void {
    if (this.#young.size >= this.#limits.entries || this.#youngBytes + known.length > this.#limits.bytes) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngBytes = 0
    }
    this.#young.set(digest, known)
    this.#youngBytes += known.length
  }
}
