import type { JwtRule } from '../mesh/request-authentication.ts'
import { type ClaimChecks, prepareClaimChecks } from './jwt/claim-checks.ts'
import type { JwtFailure } from './jwt/failure.ts'
import type { Refused } from './jwt/token.ts'
import type { TokenVerifier } from './jwt/token-verifier.ts'
import type { VerifiedToken } from './jwt/verified-token.ts'
import type { KeySource, RuleKeys } from './key-source.ts'
import { type OutputHeaders, outputHeaderNames, prepareOutputHeaders } from './output-headers.ts'
import { spaceDelimitedBy } from './space-delimited-claims.ts'
import { prepareLocations, type TokenLocations } from './token-locations.ts'

/** A rule with everything prepared that does not depend on a request. */
export interface PreparedRule {
  readonly locations: TokenLocations
  readonly checks: ClaimChecks
  readonly keys: RuleKeys
  readonly verifier: TokenVerifier
  readonly forward: boolean
  readonly output: OutputHeaders
  readonly outputNames: readonly string[]
  readonly spaceDelimited: readonly string[]
}

export type Verdict = VerifiedToken | Refused

export function prepareRule(rule: JwtRule, keys: KeySource, verifier: TokenVerifier): PreparedRule {
  const output = prepareOutputHeaders(rule)
  return {
    locations: prepareLocations(rule),
    checks: prepareClaimChecks(rule),
    keys: keys.keysFor(rule),
    verifier,
    forward: rule.forwardOriginalToken,
    output,
    outputNames: outputHeaderNames(output),
    spaceDelimited: spaceDelimitedBy(rule.spaceDelimitedClaims),
  }
}

/**
 * Judges one token under one rule. A token that the keys at hand cannot judge waits for a fetch of others, unless its
 * rule is among those that have `waited`, where it is put then. A promise never rejects.
 */
export function verifyUnder(
  rule: PreparedRule,
  text: string,
  now: number,
  waited: PreparedRule[],
): Verdict | Promise<Verdict> {
  const keys = rule.keys.current()
  const verdict = rule.verifier.verify(text, rule.checks, keys, now)
  if (verdict instanceof Promise) {
    // Keys that were replaced meanwhile have no say any more.
    return verdict.then((late) =>
      rule.keys.current() === keys ? afterRefetch(rule, text, now, waited, late) : verifyUnder(rule, text, now, waited),
    )
  }
  return afterRefetch(rule, text, now, waited, verdict)
}

function afterRefetch(
  rule: PreparedRule,
  text: string,
  now: number,
  waited: PreparedRule[],
  verdict: Verdict,
): Verdict | Promise<Verdict> {
  if (verdict.kind !== 'refused' || !otherKeysMightHelp(verdict.reason) || waited.includes(rule)) return verdict
  waited.push(rule)
  const fetched = rule.keys.refetch()
  return fetched === null ? verdict : fetched.then(() => verifyUnder(rule, text, now, waited))
}

function otherKeysMightHelp(reason: JwtFailure): boolean {
  switch (reason) {
    case "Jwks doesn't have key to match kid or alg from Jwt":
    case "Jwks doesn't have any valid public key":
    case 'Jwks remote fetch is failed':
      return true
    default:
      return false
  }
}

/** Of several failures Envoy answers with the last one that is more than an unknown issuer. */
export function moreTelling(before: JwtFailure | null, now: JwtFailure): JwtFailure {
  return before !== null && now === 'Jwt issuer is not configured' ? before : now
}
