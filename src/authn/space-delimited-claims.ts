import type { Claims } from '../policy/facts.ts'
import type { Json } from '../source/document.ts'
import { Members } from './jwt/strict-json.ts'

/** The claims that are lists of words: RFC 8693's `scope`, Istio's `permission`, and those that a rule names. */
export function spaceDelimitedBy(named: readonly string[]): readonly string[] {
  return [...new Set(['scope', 'permission', ...named])]
}

/** Top-level strings of these names become lists; a string without any word stays as it is. */
export function splitClaims(payload: Claims, names: readonly string[]): Claims {
  let claims: { [key: string]: Json } | null = null
  for (const name of names) {
    const value = payload[name]
    if (typeof value !== 'string') continue
    const words = value.split(' ').filter((word) => word !== '')
    if (words.length === 0) continue
    claims ??= Object.assign(new Members(), payload)
    claims[name] = words
  }
  return claims ?? payload
}
