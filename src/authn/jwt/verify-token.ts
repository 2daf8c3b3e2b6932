import { type ClaimChecks, checkClaims } from './claim-checks.ts'
import type { KeySet } from './key-set.ts'
import { searchSignature, verifiesUnder } from './signature.ts'
import { parseToken, type Refused, refuse } from './token.ts'
import type { TokenVerifier } from './token-verifier.ts'
import { VerifiedToken } from './verified-token.ts'

/**
 * Parse, issuer, not before, expiry, audience, then key and signature: Envoy's order, so that a forged token for another
 * audience is refused for its audience. `now` is in milliseconds since the epoch.
 */
export function verifyToken(text: string, checks: ClaimChecks, keys: KeySet, now: number): VerifiedToken | Refused {
  const token = parseToken(text)
  if (token.kind === 'refused') return token
  const fault = checkClaims(token, checks, now)
  if (fault !== null) return refuse(fault)
  if (keys.kind === 'none') return refuse(keys.reason)
  const search = searchSignature(token, keys.keys)
  return search.keys.some((key) => verifiesUnder(token, key)) ? new VerifiedToken(token) : refuse(search.otherwise)
}

/** Verifies every token anew, and at once: for tools, and wherever nobody else waits. */
export const immediateVerifier: TokenVerifier = { verify: verifyToken }
