import { type IpBlock, parseIpBlock, printIp } from '../../../match/ip.ts'
import type { RuleIr, Ruleset } from '../../../policy/ir.ts'
import type { Dimension } from './dimension.ts'
import { type Key, keysOfRule } from './key.ts'

/** Rules by the keys of one dimension. */
export interface Partition {
  readonly dimension: Dimension
  /** For each key every rule that a value with this as its longest key can match, in order. */
  readonly entries: readonly { readonly key: Key; readonly rules: Ruleset }[]
  /** The rules that need no key: all that a value without one can match. */
  readonly rest: Ruleset
  /** Rules of the longest part, and of all of them together. */
  readonly longest: number
  readonly total: number
}

/** Null where no rule has a key, or where the parts together are more than `most` rules. */
export function partition(rules: Ruleset, dimension: Dimension, most: number): Partition | null {
  const rest: RuleIr[] = []
  const keys = new Map<string, Key>()
  const byKey = new Map<string, Set<RuleIr>>()
  for (const rule of rules) {
    const found = keysOfRule(rule, dimension.side, dimension.keysOf)
    if (found === null) {
      rest.push(rule)
      continue
    }
    for (const key of found) {
      const name = nameOf(key)
      keys.set(name, key)
      const own = byKey.get(name)
      if (own === undefined) byKey.set(name, new Set([rule]))
      else own.add(rule)
    }
  }
  if (keys.size === 0) return null
  const covering = coverings(keys, dimension)
  const rank = new Map(rules.map((rule, i) => [rule, i]))
  const entries: { key: Key; rules: Ruleset }[] = []
  let longest = rest.length
  let total = rest.length
  for (const [name, key] of keys) {
    const part = new Set(rest)
    for (const cover of [name, ...covering(key)]) for (const rule of byKey.get(cover) ?? []) part.add(rule)
    longest = Math.max(longest, part.size)
    total += part.size
    if (total > most) return null
    entries.push({ key, rules: [...part].sort((a, b) => (rank.get(a) as number) - (rank.get(b) as number)) })
  }
  return { dimension, entries, rest, longest, total }
}

/** One key under an open and an exact name, so that they stay apart until they are written. */
function nameOf(key: Key): string {
  return key.kind === 'text' ? `${key.open ? 'p' : 'e'}${key.text}` : `b${printIp(key.block.address)}/${key.block.bits}`
}

/** The names of the other keys that a value with this longest key can have too. */
function coverings(keys: ReadonlyMap<string, Key>, { continuations }: Dimension): (key: Key) => Iterable<string> {
  const sizes = new Set([...keys.values()].flatMap((key) => (key.kind === 'block' ? [key.block.bits] : [])))
  return (key) => (key.kind === 'block' ? coveringBlocks(key.block, sizes) : coveringTexts(key, keys, continuations))
}

/** The network of each wider size, whether there is one or not. */
function* coveringBlocks({ address, bits }: IpBlock, sizes: ReadonlySet<number>) {
  for (const size of sizes) {
    const block = size < bits ? parseIpBlock(`${printIp(address)}/${size}`) : null
    if (block !== null) yield nameOf({ kind: 'block', block })
  }
}

function* coveringTexts(key: Extract<Key, { kind: 'text' }>, keys: ReadonlyMap<string, Key>, continuations: string) {
  const { text } = key
  // The same text, exact and open, is one entry of a prefix map.
  yield `e${text}`
  yield `p${text}`
  for (let end = 1; end < text.length; end++) {
    const start = text.slice(0, end)
    if (keys.has(`p${start}`)) yield `p${start}`
    if (continuations.includes(text[end] as string) && keys.has(`e${start}`)) yield `e${start}`
  }
}
