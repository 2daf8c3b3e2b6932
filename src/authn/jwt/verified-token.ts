import type { Claims } from '../../policy/facts.ts'
import { splitClaims } from '../space-delimited-claims.ts'
import type { TokenClaims } from './token.ts'

/** What a token says, once its signature was verified. It may outlive the request, and holds no signature. */
export class VerifiedToken implements TokenClaims {
  readonly kind = 'verified'
  readonly payload: TokenClaims['payload']
  readonly payloadSegment: string
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly notBefore: number
  readonly expires: number
  #splitBy: readonly string[] | null = null
  #split: Claims | null = null

  constructor(token: TokenClaims) {
    this.payload = token.payload
    // A part of a string keeps all of it in memory: the token, with its signature.
    this.payloadSegment = Buffer.from(token.payloadSegment, 'latin1').toString('latin1')
    this.issuer = token.issuer
    this.audiences = token.audiences
    this.notBefore = token.notBefore
    this.expires = token.expires
  }

  /** The claims, those of these names as lists of words. The last answer is kept: most tokens meet one rule. */
  claims(spaceDelimited: readonly string[]): Claims {
    if (this.#split === null || this.#splitBy !== spaceDelimited) {
      this.#split = splitClaims(this.payload, spaceDelimited)
      this.#splitBy = spaceDelimited
    }
    return this.#split
  }
}
