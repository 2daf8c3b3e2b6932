import { isDeepStrictEqual } from 'node:util'
import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import { deciderOf, type Tables, tablesOf } from './compile.ts'
import type { Decider } from './decider.ts'
import type { PolicyIr, Ruleset } from './ir.ts'
import { type Lowered, type LowerInput, loweredIr, lowerSections } from './lower.ts'
import { comparePolicies, type PolicyChange } from './policy-change.ts'
import { TUNING, type Tuning } from './rule-table.ts'
import type { RulesetChange } from './ruleset-change.ts'
import { editSection, type Section } from './section.ts'
import { affixesOf, customUseOf, providerNameOf, type SectionName, sectionOf } from './sections.ts'

/** The policies of one workload for one protocol, compiled. */
export interface Compiled {
  readonly input: LowerInput
  readonly ir: PolicyIr
  readonly decider: Decider
}

/**
 * What `compile(lower(input))` gives, made from what was compiled before: policies that are the same objects are neither
 * lowered nor indexed again. The cost is that of the changed policies, and copies of a few flat arrays; where trust
 * domains, protocol or a CUSTOM provider changed, or most policies did, all starts afresh. What was compiled before stays
 * as it was, for requests that still hold it, and shares what did not change.
 */
export function recompile(previous: Compiled | null, input: LowerInput, tuning: Partial<Tuning> = {}): Compiled {
  return Version.after(previous instanceof Version ? previous : null, input, { ...TUNING, ...tuning })
}

class Version implements Compiled {
  readonly input: LowerInput
  readonly ir: PolicyIr
  readonly decider: Decider
  readonly #lowered: Lowered
  readonly #tables: Tables
  /** How many CUSTOM policies name each provider. */
  readonly #providers: ReadonlyMap<string, number>
  /** Whether no object stands there twice; it would have no one place. */
  readonly #distinct: boolean

  private constructor(
    input: LowerInput,
    lowered: Lowered,
    ir: PolicyIr,
    tables: Tables,
    providers: ReadonlyMap<string, number>,
    distinct: boolean,
  ) {
    this.input = input
    this.ir = ir
    this.decider = deciderOf(tables)
    this.#lowered = lowered
    this.#tables = tables
    this.#providers = providers
    this.#distinct = distinct
  }

  static after(previous: Version | null, input: LowerInput, tuning: Tuning): Version {
    return (previous === null ? null : previous.#edited(input, tuning)) ?? Version.#fresh(input, tuning)
  }

  static #fresh(input: LowerInput, tuning: Tuning): Version {
    const lowered = lowerSections(input)
    const ir = loweredIr(input.protocol, lowered)
    const providers = countProviders(new Map(), [], input.policies)
    const distinct = new Set(input.policies).size === input.policies.length
    return new Version(input, lowered, ir, tablesOf(ir, tuning), providers, distinct)
  }

  /** Null where all must start afresh. */
  #edited(input: LowerInput, tuning: Tuning): Version | null {
    const { protocol, trustDomains, policies } = this.input
    if (input.protocol !== protocol || !isDeepStrictEqual(input.trustDomains, trustDomains)) return null
    if (!this.#distinct) return null
    const change = comparePolicies(policies, input.policies)
    if (change === null || change.gone.length + change.came.length > input.policies.length / 2) return null
    const providers = countProviders(this.#providers, change.gone, change.came)
    const { custom } = this.#lowered
    if (!isDeepStrictEqual(customUseOf(providers.keys(), input), custom)) return null

    const sections = new Map(this.#lowered.sections)
    const changes = new Map<Ruleset, RulesetChange>()
    for (const [name, part] of bySection(change, custom)) {
      const affixes = affixesOf(name, custom)
      const old: Section = sections.get(name) ?? { affixes, policies: 0, rules: [], replaced: [] }
      const { section, change: moved } = editSection(old, { ...part, all: input.policies }, input)
      if (section.policies === 0) sections.delete(name)
      else sections.set(name, section)
      changes.set(section.rules, moved)
    }
    const lowered = { custom, sections }
    const ir = loweredIr(protocol, lowered)
    const tables = tablesOf(ir, tuning, { tables: this.#tables, changes })
    return new Version(input, lowered, ir, tables, providers, true)
  }
}

function bySection(change: PolicyChange, custom: Lowered['custom']) {
  const parts = new Map<SectionName, { gone: AuthorizationPolicy[]; came: AuthorizationPolicy[] }>()
  for (const side of ['gone', 'came'] as const) {
    for (const policy of change[side]) {
      const name = sectionOf(policy, custom)
      if (name === null) continue
      const part = parts.get(name) ?? { gone: [], came: [] }
      parts.set(name, part)
      part[side].push(policy)
    }
  }
  return parts
}

function countProviders(
  old: ReadonlyMap<string, number>,
  gone: readonly AuthorizationPolicy[],
  came: readonly AuthorizationPolicy[],
): ReadonlyMap<string, number> {
  const counts = new Map(old)
  const count = (policies: readonly AuthorizationPolicy[], step: 1 | -1) => {
    for (const policy of policies) {
      const name = providerNameOf(policy)
      if (name !== null) counts.set(name, (counts.get(name) ?? 0) + step)
    }
  }
  count(came, 1)
  count(gone, -1)
  for (const [name, number] of counts) if (number === 0) counts.delete(name)
  return counts
}
