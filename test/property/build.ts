import type { Action, Operation, Rule, Source, Values, When } from '#src/mesh/authorization-policy.ts'
import { policyOf } from './policies.ts'

const none: Values = { values: [], notValues: [] }

const noSource: Source = {
  principals: none,
  requestPrincipals: none,
  namespaces: none,
  serviceAccounts: none,
  trustDomains: none,
  ipBlocks: none,
  remoteIpBlocks: none,
}
const noOperation: Operation = { hosts: none, ports: none, methods: none, paths: none }

export function any(...values: readonly string[]): Values {
  return { values, notValues: [] }
}

export function not(...notValues: readonly string[]): Values {
  return { values: [], notValues }
}

export function rule(parts: {
  readonly from?: Partial<Source>
  readonly to?: Partial<Operation>
  readonly when?: Readonly<Record<string, Values>>
}): Rule {
  const { from, to, when = {} } = parts
  return {
    from: from === undefined ? null : [{ ...noSource, ...from }],
    to: to === undefined ? null : [{ ...noOperation, ...to }],
    when: Object.entries(when).map(([key, values]): When => ({ key, ...values })),
  }
}

/** One policy a rule. */
export function policiesWith(rules: readonly Rule[], action: Action = 'ALLOW') {
  return rules.map((one, i) => policyOf(`p${i}`, action, [one]))
}

export function times<T>(count: number, make: (i: number) => T): readonly T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}
