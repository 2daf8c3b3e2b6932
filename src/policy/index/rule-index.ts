import type { Facts } from '../facts.ts'
import type { RuleIr, Ruleset } from '../ir.ts'
import type { RulesetChange } from '../ruleset-change.ts'
import { type Cost, sharing } from './anchors-of.ts'
import { emptyNode, ownNode, type RuleNode } from './node.ts'
import { addRule, type Edit, removeRule } from './place.ts'
import { type Entry, type Search, searchNode } from './search.ts'
import { get, type Vector, VectorEdit } from './vector.ts'

interface Version<T> extends Search {
  readonly root: RuleNode
  /** The slots in Envoy's order. */
  readonly order: Int32Array
  /** By slot. */
  readonly entries: Vector<RuleEntry<T>>
  /** Slots below `slots` that hold no rule. */
  readonly free: readonly number[]
  readonly slots: number
  readonly split: number
}

/** A rule, its test, and what a match gives. */
export interface RuleEntry<T> extends Entry {
  readonly result: T
}

/**
 * Finds the first rule that matches, at a cost that does not grow with the number of rules: each rule is kept under what
 * a request must have for it to match, and only the rules found so are tested.
 *
 * An index does not change. An edit makes a new one that shares with the old all that is the same, so that it costs what
 * the changed rules cost and a copy of two arrays of numbers; the old one stays as it was. They share the scratch in
 * which decisions, one at a time, note what they have seen: one clock numbers them all.
 */
export class RuleIndex<T> {
  readonly #version: Version<T>
  readonly #count: number

  private constructor(version: Version<T>) {
    this.#version = version
    this.#count = version.order.length
  }

  /** `split`: how many rules that share an anchor are too many to be tested one by one. */
  static of<T>(rules: Ruleset, make: (rule: RuleIr) => RuleEntry<T>, split: number): RuleIndex<T> {
    const none = new Int32Array(0)
    const empty: Version<T> = {
      root: emptyNode({}),
      order: none,
      entries: [],
      ranks: none,
      tested: new Float64Array(0),
      clock: new Float64Array(1),
      free: [],
      slots: 0,
      split,
    }
    const all = { gone: [], came: rules.map((_, place) => place) }
    return new RuleIndex(edited(empty, rules, all, make, sharing(rules, Number.POSITIVE_INFINITY)))
  }

  /** The index of `rules`, which are the old ones but for the change. */
  edit(rules: Ruleset, change: RulesetChange, make: (rule: RuleIr) => RuleEntry<T>): RuleIndex<T> {
    return new RuleIndex(edited(this.#version, rules, change, make, null))
  }

  /** What the first rule that matches gives. */
  first(facts: Facts): T | null {
    const version = this.#version
    const { clock } = version
    clock[0] = (clock[0] as number) + 1
    const best = searchNode(version.root, facts, version, this.#count)
    return best === this.#count ? null : get(version.entries, version.order[best] as number).result
  }
}

/** So many rules are tested one by one sooner than they are told apart. */
export const SPLIT = 4

function edited<T>(
  old: Version<T>,
  rules: Ruleset,
  { gone, came }: RulesetChange,
  make: (rule: RuleIr) => RuleEntry<T>,
  cost: Cost | null,
): Version<T> {
  const owner = {}
  const { clock, split } = old
  const entries = new VectorEdit(old.entries)
  const free = old.free.slice()
  const root = ownNode(old.root, owner)
  const ruleAt = (slot: number) => entries.get(slot).rule
  const removing: Edit = { owner, ranks: old.ranks, ruleAt, split }
  for (const place of gone) {
    const slot = old.order[place] as number
    removeRule(root, slot, 0, removing)
    free.push(slot)
  }
  let { slots } = old
  const fresh = came.map((place) => {
    const slot = free.pop() ?? slots++
    entries.set(slot, make(rules[place] as RuleIr))
    return slot
  })
  const order = orderAfter(old.order, gone, came, fresh)
  const ranks = ranksAfter(old, order, slots, { gone, came })
  const adding: Edit = { ...removing, ranks }
  for (const slot of fresh) addRule(root, slot, [], cost, adding)
  const tested = old.tested.length >= slots ? old.tested : new Float64Array(slots + (slots >> 2))
  return { root, order, entries: entries.vector(), ranks, tested, clock, free, slots, split }
}

function orderAfter(
  old: Int32Array,
  gone: readonly number[],
  came: readonly number[],
  fresh: readonly number[],
): Int32Array {
  const order = new Int32Array(old.length - gone.length + came.length)
  let from = 0
  let to = 0
  let nextGone = 0
  /** Copies old places up to where `count` are copied, or up to the end. */
  const copy = (count: number) => {
    const end = to + count
    while (to < end) {
      const stop = Math.min(gone[nextGone] ?? old.length, from + end - to)
      order.set(old.subarray(from, stop), to)
      to += stop - from
      from = stop
      if (from === gone[nextGone]) {
        from++
        nextGone++
      }
    }
  }
  for (const [nth, place] of came.entries()) {
    copy(place - to)
    order[to++] = fresh[nth] as number
  }
  copy(order.length - to)
  return order
}

/** Only what stands between the first change and the last, or the end, has another rank than before. */
function ranksAfter(
  old: Version<unknown>,
  order: Int32Array,
  slots: number,
  { gone, came }: RulesetChange,
): Int32Array {
  const ranks = new Int32Array(slots)
  ranks.set(old.ranks)
  const first = Math.min(gone[0] ?? order.length, came[0] ?? order.length)
  const last = gone.length === came.length ? Math.max(gone.at(-1) ?? 0, came.at(-1) ?? 0) + 1 : order.length
  for (let rank = first; rank < last; rank++) ranks[order[rank] as number] = rank
  return ranks
}
