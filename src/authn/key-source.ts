import type { JwtRule } from '../mesh/request-authentication.ts'
import { parseJwks } from './jwt/jwk.ts'
import type { KeySet } from './jwt/key-set.ts'

/** Where rules get their keys. */
export interface KeySource {
  /** Called once for each rule when a set of rules is loaded, never for a request. Never throws. */
  keysFor(rule: JwtRule): RuleKeys
}

/** The keys of one rule, which may change over time. */
export interface RuleKeys {
  /** What is at hand. */
  current(): KeySet
  /**
   * For a token that the current keys cannot judge: resolves, never rejects, when a fetch that may bring other keys has
   * ended. Null when the source has none to offer now, which bounds how often tokens can cause a fetch.
   */
  refetch(): Promise<void> | null
}

/** Keys that stay as they are: inline ones, or those of a file. */
export function fixedKeys(jwks: string): RuleKeys {
  const parsed = parseJwks(jwks)
  const set: KeySet =
    parsed.kind === 'keys'
      ? { kind: 'keys', keys: parsed.keys }
      : { kind: 'none', reason: "Jwks doesn't have any valid public key" }
  return { current: () => set, refetch: () => null }
}

const absent: KeySet = { kind: 'none', reason: 'Jwks remote fetch is failed' }

/**
 * A source that opens no socket: inline keys, and for the rules of an issuer the set given for it (the text of a JWKS).
 * Other remote keys count as a failed fetch.
 */
export function createOfflineKeySource(jwksByIssuer: ReadonlyMap<string, string> = new Map()): KeySource {
  return {
    keysFor: (rule) => {
      if (rule.keys.kind === 'inline') return fixedKeys(rule.keys.jwks)
      const jwks = rule.issuer === null ? undefined : jwksByIssuer.get(rule.issuer)
      return jwks === undefined ? { current: () => absent, refetch: () => null } : fixedKeys(jwks)
    },
  }
}
