import type { VerificationKey } from './jwk.ts'

/**
 * The keys of a rule as they are now. Other keys are another object: what was verified belongs to the object that
 * verified it.
 */
export type KeySet =
  | { readonly kind: 'keys'; readonly keys: readonly VerificationKey[] }
  | {
      readonly kind: 'none'
      readonly reason: "Jwks doesn't have any valid public key" | 'Jwks remote fetch is failed'
    }
