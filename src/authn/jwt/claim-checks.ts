import type { JwtFailure } from './failure.ts'
import type { TokenClaims } from './token.ts'

/** What a rule asks of claims, prepared once. */
export interface ClaimChecks {
  /** Null: any issuer, or none. */
  readonly issuer: string | null
  /** Normalized; empty: not checked. */
  readonly audiences: ReadonlySet<string>
}

/** Envoy's default tolerance for clocks that differ, in seconds. */
const clockSkew = 60

export function prepareClaimChecks(rule: {
  readonly issuer: string | null
  readonly audiences: readonly string[]
}): ClaimChecks {
  return { issuer: rule.issuer, audiences: new Set(rule.audiences.map(normalizeAudience)) }
}

/** In Envoy's order; `now` is in milliseconds since the epoch. Null when nothing is wrong. */
export function checkClaims(token: TokenClaims, checks: ClaimChecks, now: number): JwtFailure | null {
  if (checks.issuer !== null && checks.issuer !== token.issuer) return 'Jwt issuer is not configured'
  const second = Math.floor(now / 1000)
  if (second + clockSkew < token.notBefore) return 'Jwt not yet valid'
  if (token.expires !== 0 && second > token.expires + clockSkew) return 'Jwt is expired'
  if (
    checks.audiences.size > 0 &&
    !token.audiences.some((audience) => checks.audiences.has(normalizeAudience(audience)))
  )
    return 'Audiences in Jwt are not allowed'
  return null
}

/** Envoy compares audiences without `http(s)://` in front and one `/` behind. */
function normalizeAudience(audience: string): string {
  const start = audience.startsWith('http://') ? 7 : audience.startsWith('https://') ? 8 : 0
  const end = audience.endsWith('/') ? audience.length - 1 : audience.length
  return audience.slice(start, Math.max(start, end))
}
