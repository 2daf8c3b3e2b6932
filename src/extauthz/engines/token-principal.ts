import type { Claims } from '../../policy/facts.ts'

/** Whom a verified token names, in the terms of Istio's `request.auth` keys; what the token does not say is absent. */
export interface TokenPrincipal {
  /** `ISSUER/SUBJECT`. */
  readonly principal?: string
  readonly audiences: readonly string[]
  /** Claim `azp`. */
  readonly presenter?: string
}

export function principalOf({ iss, sub, aud, azp }: Claims): TokenPrincipal {
  const audiences =
    typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud.filter((one) => typeof one === 'string') : []
  return {
    ...(typeof iss === 'string' && typeof sub === 'string' ? { principal: `${iss}/${sub}` } : {}),
    audiences,
    ...(typeof azp === 'string' ? { presenter: azp } : {}),
  }
}
