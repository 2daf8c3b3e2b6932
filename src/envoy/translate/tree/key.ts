import type { IpBlock } from '../../../match/ip.ts'
import type { Conjunction, Match, RuleIr } from '../../../policy/ir.ts'

/**
 * What the value of one attribute must look like for a rule to match: it is `text`, or (`open`) starts with it, or the
 * address is in `block`.
 */
export type Key =
  | { readonly kind: 'text'; readonly text: string; readonly open: boolean }
  | { readonly kind: 'block'; readonly block: IpBlock }

/** The keys of one value of a field, or null when it says nothing that can be looked up. */
export type KeysOfMatch = (match: Match) => readonly Key[] | null

/**
 * The keys of a rule: whatever it matches has one of them. Null when the rule also matches without any. Each alternative
 * needs a condition all of whose values have keys.
 */
export function keysOfRule(rule: RuleIr, side: 'permission' | 'principal', keysOf: KeysOfMatch): readonly Key[] | null {
  // A rule without alternatives never matches.
  if (rule.permissions.length === 0 || rule.principals.length === 0) return []
  const keys: Key[] = []
  for (const conjunction of side === 'permission' ? rule.permissions : rule.principals) {
    const found = keysOfConjunction(conjunction, keysOf)
    if (found === null) return null
    keys.push(...found)
  }
  return keys
}

function keysOfConjunction(conjunction: Conjunction, keysOf: KeysOfMatch): readonly Key[] | null {
  for (const { any } of conjunction) {
    if (any.length === 0) continue
    const lists = any.map(keysOf)
    if (lists.every((list) => list !== null)) return lists.flat()
  }
  return null
}

export function exactKey(text: string): Key {
  return { kind: 'text', text, open: false }
}

export function prefixKey(text: string): Key {
  return { kind: 'text', text, open: true }
}
