import type { Action } from '../mesh/authorization-policy.ts'
import type { Attribute } from './attribute.ts'
import type { Match } from './ir.ts'

/** Where a value stands, as far as it decides whether Envoy can be told about it. */
export interface Place {
  readonly action: Action
  readonly protocol: 'http' | 'tcp'
  /** The policy's own. */
  readonly namespace: string
}

/** What becomes of one value: the match, or what its policy loses because there can be none. */
export type Expressed = { readonly kind: 'match'; readonly match: Match } | { readonly kind: 'narrow' | 'widen' }

const NARROW: Expressed = { kind: 'narrow' }
const WIDEN: Expressed = { kind: 'widen' }

/**
 * The one place where a value that cannot be expressed (an HTTP-only attribute on a TCP connection, or a malformed
 * value) narrows or widens, in `values` and `notValues` alike, so that neither can allow what was meant to be refused:
 * an ALLOW rule falls away whole, with its other alternatives (`narrow`); a DENY, AUDIT or CUSTOM rule loses the value,
 * and a field without values left holds for everything (`widen`).
 */
export function expressValue(attribute: Attribute, value: string, { action, protocol, namespace }: Place): Expressed {
  const match = protocol === 'tcp' && attribute.httpOnly ? null : attribute.lower(value, namespace)
  if (match !== null) return { kind: 'match', match }
  switch (action) {
    case 'ALLOW':
      return NARROW
    case 'DENY':
    case 'AUDIT':
    case 'CUSTOM':
      return WIDEN
    default:
      return action satisfies never
  }
}
