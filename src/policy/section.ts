import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { RuleIr, Ruleset } from './ir.ts'
import { lowerRule, type RuleInput } from './lower-rule.ts'
import { applyChange, type RulesetChange } from './ruleset-change.ts'

/** What stands around `ns[NS]-policy[NAME]-rule[i]` in the ids of a section. */
export interface IdAffixes {
  readonly prefix: string
  readonly suffix: string
}

/** The rules of the policies that Istio puts into one place of a filter. */
export interface Section {
  readonly affixes: IdAffixes
  /** How many policies there are, also such whose rules all fell away. */
  readonly policies: number
  /** In Envoy's order. */
  readonly rules: Ruleset
  /** Those that a later policy of the same name replaced, by id as well. */
  readonly replaced: Ruleset
}

/** What is to become of a section. A policy that changed its place among the others is in both lists. */
export interface SectionEdit {
  readonly gone: readonly AuthorizationPolicy[]
  /** In their order. */
  readonly came: readonly AuthorizationPolicy[]
  /** All policies of the workload afterwards, for the order of those that share a name. */
  readonly all: readonly AuthorizationPolicy[]
}

export function lowerSection(policies: readonly AuthorizationPolicy[], affixes: IdAffixes, input: RuleInput): Section {
  const { rules, replaced } = merge(policies.map((policy) => lowerPolicy(policy, affixes, input)))
  return { affixes, policies: policies.length, rules: rules.sort(byId), replaced: replaced.sort(byId) }
}

/**
 * The section that `lowerSection` would make afterwards, without lowering or sorting what stays: only policies that bear
 * the name of one that changed are looked at.
 */
export function editSection(
  section: Section,
  edit: SectionEdit,
  input: RuleInput,
): { readonly section: Section; readonly change: RulesetChange } {
  const { affixes } = section
  const gone = new Set(edit.gone)
  const came = groupBy(edit.came, (policy) => stemOf(policy, affixes))
  const goneRules = new Set<RuleIr>()
  const goneReplaced = new Set<RuleIr>()
  const cameRules: RuleIr[] = []
  const cameReplaced: RuleIr[] = []
  for (const stem of new Set([...edit.gone, ...edit.came].map((policy) => stemOf(policy, affixes)))) {
    const winners = rulesUnder(stem, section.rules, affixes)
    const losers = rulesUnder(stem, section.replaced, affixes)
    const known = groupBy([...winners, ...losers], (rule) => rule.policy)
    const staying = [...known.keys()].filter((policy) => !gone.has(policy))
    let named: readonly AuthorizationPolicy[] = came.get(stem) ?? []
    if (staying.length > 0) {
      const members = new Set([...staying, ...named])
      named = edit.all.filter((policy) => members.has(policy))
    }
    const merged = merge(named.map((policy) => known.get(policy) ?? lowerPolicy(policy, affixes, input)))
    takeDifference(winners, merged.rules, goneRules, cameRules)
    takeDifference(losers, merged.replaced, goneReplaced, cameReplaced)
  }
  const { rules, change } = splice(section.rules, goneRules, cameRules.sort(byId))
  const unchanged = goneReplaced.size === 0 && cameReplaced.length === 0
  const replaced = unchanged
    ? section.replaced
    : [...section.replaced.filter((rule) => !goneReplaced.has(rule)), ...cameReplaced].sort(byId)
  const policies = section.policies - edit.gone.length + edit.came.length
  return { section: { affixes, policies, rules, replaced }, change }
}

/** A policy without rules has one that never matches. */
function lowerPolicy(policy: AuthorizationPolicy, affixes: IdAffixes, input: RuleInput): readonly RuleIr[] {
  const id = (index: number) => `${stemOf(policy, affixes)}${index}]${affixes.suffix}`
  if (policy.rules.length === 0) return [{ id: id(0), policy, index: 0, permissions: [], principals: [] }]
  return policy.rules.flatMap((rule, index) => {
    const lowered = lowerRule(rule, index, policy, input)
    return lowered === null ? [] : [{ id: id(index), policy, index, ...lowered }]
  })
}

/** Ids are keys of one map: a later policy of the same name replaces an earlier one's rules, index by index. */
function merge(policies: readonly (readonly RuleIr[])[]): {
  readonly rules: RuleIr[]
  readonly replaced: RuleIr[]
} {
  const rules = new Map<string, RuleIr>()
  const replaced: RuleIr[] = []
  for (const policy of policies) {
    for (const rule of policy) {
      const earlier = rules.get(rule.id)
      if (earlier !== undefined) replaced.push(earlier)
      rules.set(rule.id, rule)
    }
  }
  return { rules: [...rules.values()], replaced }
}

/** How the ids of a policy's rules begin; up to the index, so that no two stems give one id. */
function stemOf({ meta }: AuthorizationPolicy, { prefix }: IdAffixes): string {
  return `${prefix}ns[${meta.namespace}]-policy[${meta.name}]-rule[`
}

function rulesUnder(stem: string, rules: Ruleset, affixes: IdAffixes): readonly RuleIr[] {
  const found: RuleIr[] = []
  for (let i = placeOf(stem, rules); rules[i]?.id.startsWith(stem) === true; i++) {
    const rule = rules[i] as RuleIr
    // A name may hold brackets of its own.
    if (stemOf(rule.policy, affixes) === stem) found.push(rule)
  }
  return found
}

function groupBy<K, V>(values: readonly V[], keyOf: (value: V) => K): ReadonlyMap<K, readonly V[]> {
  const groups = new Map<K, V[]>()
  for (const value of values) {
    const key = keyOf(value)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [value])
    else group.push(value)
  }
  return groups
}

function takeDifference(before: readonly RuleIr[], after: readonly RuleIr[], gone: Set<RuleIr>, came: RuleIr[]): void {
  const kept = new Set(after)
  for (const rule of before) if (!kept.delete(rule)) gone.add(rule)
  for (const rule of kept) came.push(rule)
}

/** `came` is in order. */
function splice(
  old: Ruleset,
  gone: ReadonlySet<RuleIr>,
  came: readonly RuleIr[],
): { readonly rules: Ruleset; readonly change: RulesetChange } {
  const gonePlaces = [...gone].map((rule) => placeOf(rule.id, old)).sort((a, b) => a - b)
  // Before a rule that came stand the old ones of lower ids, but for those that are gone, and those that came before it.
  let passed = 0
  const camePlaces = came.map((rule, nth) => {
    const place = placeOf(rule.id, old)
    while (passed < gonePlaces.length && (gonePlaces[passed] as number) < place) passed++
    return place - passed + nth
  })
  const change = { gone: gonePlaces, came: camePlaces }
  return { rules: applyChange(old, change, (_, nth) => came[nth] as RuleIr), change }
}

/** Where an id stands in rules that are in order, or where it belongs. */
function placeOf(id: string, rules: Ruleset): number {
  let low = 0
  let high = rules.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rules[middle] as RuleIr).id < id) low = middle + 1
    else high = middle
  }
  return low
}

/** Two rules of one id, of which one replaced the other, may stand either way. */
function byId(a: RuleIr, b: RuleIr): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}
