import type { Action } from '../authorization-policy.ts'

/** What a rule is for; those of a Delegation say when it asks. */
export type RuleUse = Action | 'Delegation'

/**
 * What Istio's data plane does with a value that it cannot compile, where a policy was loaded all the same (istio/istio
 * pilot/pkg/security/authz/model/model.go): ALLOW narrows, the other actions widen. `others` tells whether the list has
 * values that it can compile.
 */
export function ofUnusableValue(action: RuleUse, others: boolean): string {
  switch (action) {
    case 'ALLOW':
      return 'loaded all the same, the whole rule is dropped and allows nothing'
    case 'DENY':
    case 'AUDIT':
    case 'CUSTOM':
    case 'Delegation': {
      const left = others ? 'the value' : 'the whole list'
      const more = others ? '' : `, and the rule ${verbs[action]} more requests`
      return `loaded all the same, ${left} is left out${more}`
    }
    default:
      return action satisfies never
  }
}

/** An unknown key drops the rule whatever the action, so that a DENY rule denies nothing; ours then asks always. */
export function ofUnknownKey(action: RuleUse): string {
  if (action === 'Delegation') return 'loaded all the same, the rule asks about every request'
  return `loaded all the same, the whole rule is dropped and ${verbs[action]} nothing`
}

const verbs: Readonly<Record<RuleUse, string>> = {
  ALLOW: 'allows',
  DENY: 'denies',
  AUDIT: 'audits',
  CUSTOM: 'asks for',
  Delegation: 'asks about',
}
