import { MANY } from './compile-match.ts'
import { compileRule } from './compile-rule.ts'
import type { Facts } from './facts.ts'
import { type RuleEntry, RuleIndex, SPLIT } from './index/rule-index.ts'
import type { RuleIr, Ruleset } from './ir.ts'
import { applyChange, type RulesetChange } from './ruleset-change.ts'

/** From what number on things are looked up instead of tried one after the other. */
export interface Tuning {
  /** Rules of a ruleset. */
  readonly few: number
  /** Rules that share an anchor. */
  readonly split: number
  /** Values of one field. */
  readonly many: number
}

export const TUNING: Tuning = { few: 4, split: SPLIT, many: MANY }

/** The rules of a ruleset, ready to be searched. Immutable; what a match gives is made beforehand. */
export class RuleTable<T> {
  readonly rules: Ruleset
  readonly #make: (rule: RuleIr) => T
  readonly #tuning: Tuning
  /** The rules in order where they are few; else they are in the index. */
  readonly #few: readonly RuleEntry<T>[]
  readonly #index: RuleIndex<T> | null

  private constructor(
    rules: Ruleset,
    few: readonly RuleEntry<T>[],
    index: RuleIndex<T> | null,
    make: (rule: RuleIr) => T,
    tuning: Tuning,
  ) {
    this.rules = rules
    this.#make = make
    this.#tuning = tuning
    this.#few = few
    this.#index = index
  }

  static of<T>(rules: Ruleset, make: (rule: RuleIr) => T, tuning: Tuning): RuleTable<T> {
    const entry = entryMaker(make, tuning)
    if (rules.length <= tuning.few) return new RuleTable(rules, rules.map(entry), null, make, tuning)
    return new RuleTable(rules, [], RuleIndex.of(rules, entry, tuning.split), make, tuning)
  }

  /** The table of `rules`, which are the old ones but for the change. */
  edit(rules: Ruleset, change: RulesetChange): RuleTable<T> {
    const { gone, came } = change
    if (gone.length === 0 && came.length === 0)
      return new RuleTable(rules, this.#few, this.#index, this.#make, this.#tuning)
    const entry = entryMaker(this.#make, this.#tuning)
    if (this.#index === null && rules.length <= this.#tuning.few) {
      const few = applyChange(this.#few, change, (place) => entry(rules[place] as RuleIr))
      return new RuleTable(rules, few, null, this.#make, this.#tuning)
    }
    const isMost = gone.length + came.length > rules.length / 2
    if (this.#index === null || isMost) return RuleTable.of(rules, this.#make, this.#tuning)
    return new RuleTable(rules, [], this.#index.edit(rules, change, entry), this.#make, this.#tuning)
  }

  /** What was made for the first rule that matches. */
  first(facts: Facts): T | null {
    if (this.#index !== null) return this.#index.first(facts)
    const few = this.#few
    for (let i = 0; i < few.length; i++) {
      const { test, result } = few[i] as RuleEntry<T>
      if (test(facts)) return result
    }
    return null
  }
}

function entryMaker<T>(make: (rule: RuleIr) => T, { many }: Tuning) {
  return (rule: RuleIr): RuleEntry<T> => ({ rule, test: compileRule(rule, many), result: make(rule) })
}
