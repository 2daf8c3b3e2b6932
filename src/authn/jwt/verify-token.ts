import { type ClaimChecks, checkClaims } from './claim-checks.ts'
import type { VerificationKey } from './jwk.ts'
import { verifySignature } from './signature.ts'
import { parseToken, type Refused, refuse, type Token } from './token.ts'

/** The keys of a rule as they are now. */
export type KeySet =
  | { readonly kind: 'keys'; readonly keys: readonly VerificationKey[] }
  | {
      readonly kind: 'none'
      readonly reason: "Jwks doesn't have any valid public key" | 'Jwks remote fetch is failed'
    }

/**
 * Parse, issuer, not before, expiry, audience, then key and signature: Envoy's order, so that a forged token for another
 * audience is refused for its audience. `now` is in milliseconds since the epoch.
 */
export function verifyToken(text: string, checks: ClaimChecks, keys: KeySet, now: number): Token | Refused {
  const token = parseToken(text)
  if (token.kind === 'refused') return token
  const fault = checkClaims(token, checks, now)
  if (fault !== null) return refuse(fault)
  if (keys.kind === 'none') return refuse(keys.reason)
  const failure = verifySignature(token, keys.keys)
  return failure === null ? token : refuse(failure)
}
