import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { PolicyIr } from './ir.ts'
import { lowerSection, type Section } from './section.ts'
import {
  affixesOf,
  type CustomUse,
  customUseOf,
  irOf,
  type LowerInput,
  providerNameOf,
  type SectionName,
  sectionOf,
} from './sections.ts'

export type { LowerInput } from './sections.ts'

/** The policies of a workload, each in its section. */
export interface Lowered {
  readonly custom: CustomUse
  readonly sections: ReadonlyMap<SectionName, Section>
}

/** From decoded policies to what Envoy would hold (istio/istio pilot/pkg/security/authz/builder/builder.go). */
export function lower(input: LowerInput): PolicyIr {
  return loweredIr(input.protocol, lowerSections(input))
}

export function lowerSections(input: LowerInput): Lowered {
  const providers = new Set(input.policies.map(providerNameOf).filter((name) => name !== null))
  const custom = customUseOf(providers, input)
  const policies = new Map<SectionName, AuthorizationPolicy[]>()
  for (const policy of input.policies) {
    const name = sectionOf(policy, custom)
    if (name === null) continue
    const section = policies.get(name)
    if (section === undefined) policies.set(name, [policy])
    else section.push(policy)
  }
  const sections = new Map<SectionName, Section>()
  for (const [name, all] of policies) sections.set(name, lowerSection(all, affixesOf(name, custom), input))
  return { custom, sections }
}

/** An ALLOW policy whose rules all fell away still denies what it does not list, so its section is there. */
export function loweredIr(protocol: PolicyIr['protocol'], { custom, sections }: Lowered): PolicyIr {
  return irOf(protocol, custom, (name) => sections.get(name)?.rules ?? null)
}
