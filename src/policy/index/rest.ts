import { compileMatches } from '../compile-match.ts'
import { anyOf } from '../compile-rule.ts'
import type { Condition, Conjunction, Match, RuleIr } from '../ir.ts'
import type { Group, Rest } from './node.ts'
import type { Owner } from './owner.ts'
import { holds, insert, type Ranks, remove } from './slots.ts'

/** What adding a rule needs to know of the others. */
export interface RestEdit {
  readonly owner: Owner
  readonly ranks: Ranks
  readonly ruleAt: (slot: number) => RuleIr
  /** How many rules make a group. */
  readonly split: number
}

/**
 * Adds a rule that has no anchor. Most such rules have `not` fields only, so that the first of them matches most
 * requests; but one `not` value that many of them name would make a request that has it try them all. They are grouped
 * by the value that they share, whose hit then passes over the group.
 *
 * `deep`: this is not the only place where the rule stands.
 */
export function addToRest(old: Rest | null, slot: number, deep: boolean, edit: RestEdit): Rest {
  const rest = ownRest(old, edit)
  const { groups, plain } = rest
  const rule = edit.ruleAt(slot)
  // More groups than that are not looked through for each rule, but when enough plain ones have gathered.
  const names =
    groups.length === 0 || groups.length > MOST_LOOKED_THROUGH ? [] : killsOf(rule, deep).map(({ name }) => name)
  let largest: Group | null = null
  for (const group of groups) {
    if (names.includes(group.name) && (largest === null || group.rules.length > largest.rules.length)) largest = group
  }
  if (largest !== null) {
    insertInto(groups, largest, [slot], edit)
    sortGroups(groups, edit.ranks)
    return rest
  }
  insert(plain, slot, edit.ranks)
  if (plain.length >= rest.limit) regroup(rest, deep, edit)
  return rest
}

const MOST_LOOKED_THROUGH = 64

export function removeFromRest(old: Rest, slot: number, edit: RestEdit): Rest | null {
  const isPlain = holds(old.plain, slot, edit.ranks)
  const at = isPlain ? -1 : old.groups.findIndex((group) => holds(group.rules, slot, edit.ranks))
  if (!isPlain && at === -1) return old
  const rest = ownRest(old, edit)
  const { groups, plain } = rest
  if (isPlain) {
    remove(plain, slot, edit.ranks)
  } else {
    const group = ownGroup(groups[at] as Group, edit.owner)
    remove(group.rules, slot, edit.ranks)
    if (group.rules.length === 0) groups.splice(at, 1)
    else groups[at] = group
    sortGroups(groups, edit.ranks)
  }
  return plain.length === 0 && groups.length === 0 ? null : rest
}

/** Each plain rule goes to the most frequent of its `not` values, if that has enough rules. */
function regroup(rest: Rest, deep: boolean, edit: RestEdit): void {
  const { plain, groups } = rest
  const known = new Map(groups.map((group) => [group.name, group]))
  const counts = new Map<string, number>()
  const kills = plain.map((slot) => new Map(killsOf(edit.ruleAt(slot), deep).map((kill) => [kill.name, kill])))
  for (const one of kills) for (const name of one.keys()) counts.set(name, (counts.get(name) ?? 0) + 1)
  const left: number[] = []
  const formed = new Map<string, { readonly kill: Kill; readonly slots: number[] }>()
  for (const [i, slot] of plain.entries()) {
    let best: readonly [name: string, kill: Kill, count: number] | null = null
    for (const [name, kill] of kills[i] as ReadonlyMap<string, Kill>) {
      const count = (counts.get(name) as number) + (known.get(name)?.rules.length ?? 0)
      if (count >= edit.split && (best === null || count > best[2])) best = [name, kill, count]
    }
    if (best === null) {
      left.push(slot)
      continue
    }
    const [name, kill] = best
    const one = formed.get(name) ?? { kill, slots: [] }
    formed.set(name, one)
    one.slots.push(slot)
  }
  for (const [name, { kill, slots }] of formed) {
    const group = known.get(name)
    if (group === undefined)
      groups.push({ owner: edit.owner, name, kill: anyOf(compileMatches(kill.matches)), rules: slots })
    else insertInto(groups, group, slots, edit)
  }
  sortGroups(groups, edit.ranks)
  plain.length = 0
  for (const slot of left) plain.push(slot)
  rest.limit = Math.max(edit.split, plain.length * 2)
}

/** `not` values of which one hit is enough for a rule not to match. */
interface Kill {
  readonly name: string
  readonly matches: readonly Match[]
}

/** Those that stand in every alternative of a side: each by itself, and all of a field together. */
function killsOf(rule: RuleIr, deep: boolean): readonly Kill[] {
  return [...commonConditions(rule.permissions, deep), ...commonConditions(rule.principals, deep)].flatMap(
    ({ none }) => {
      if (deep && none.length > MOST_VALUES) return []
      const names = none.map(({ written, ...match }) => JSON.stringify(match))
      const together = none.length > 1 ? [{ name: names.join(), matches: none }] : []
      // Of a long list, one value is not likely to be what the requests of all have.
      if (none.length > MOST_VALUES) return together
      return [...together, ...none.map((match, i) => ({ name: names[i] as string, matches: [match] }))]
    },
  )
}

const MOST_VALUES = 64

/** `when` conditions are the same object in each. */
function commonConditions([first, ...others]: readonly Conjunction[], deep: boolean): readonly Condition[] {
  if (first === undefined || (deep && (first.length > MOST_DEEP || others.length > MOST_DEEP))) return []
  const common = new Set(first)
  for (const conjunction of others) {
    const conditions = new Set(conjunction)
    for (const condition of common) if (!conditions.has(condition)) common.delete(condition)
    if (common.size === 0) return []
  }
  return [...common]
}

/** Where a rule may stand once for each of its values, what is done for one value must not grow with the rule. */
const MOST_DEEP = 32

function ownRest(rest: Rest | null, { owner, split }: RestEdit): Rest {
  if (rest === null) return { owner, plain: [], groups: [], limit: split }
  return rest.owner === owner ? rest : { owner, plain: [...rest.plain], groups: [...rest.groups], limit: rest.limit }
}

function ownGroup(group: Group, owner: Owner): Group {
  const { name, kill, rules } = group
  return group.owner === owner ? group : { owner, name, kill, rules: [...rules] }
}

function insertInto(groups: Group[], group: Group, slots: readonly number[], { owner, ranks }: RestEdit): void {
  const own = ownGroup(group, owner)
  for (const slot of slots) insert(own.rules, slot, ranks)
  groups[groups.indexOf(group)] = own
}

function sortGroups(groups: Group[], ranks: Ranks): void {
  const first = (group: Group) => ranks[group.rules[0] as number] as number
  groups.sort((a, b) => first(a) - first(b))
}
