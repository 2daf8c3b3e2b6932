import type { RuleIr, Ruleset } from '../../policy/ir.ts'
import { NEVER_PERMITTED, type PortView, permissionOf } from './permission.ts'
import { NO_PRINCIPAL, principalOf } from './principal.ts'
import type { RbacPolicy, RbacRules } from './rbac.ts'

export type RbacAction = 'ALLOW' | 'DENY' | 'LOG'

/** The rules of one action as Envoy's RBAC filter takes them: names, trees and their order are Istio's. */
export function rbacRules(action: RbacAction, ruleset: Ruleset, portView: PortView): RbacRules {
  const policies = ruleset.map((rule) => [rule.id, rbacPolicy(rule, portView)] as const)
  return {
    // ALLOW is the default of the message.
    ...(action === 'ALLOW' ? {} : { action }),
    ...(policies.length === 0 ? {} : { policies: Object.fromEntries(policies) }),
  }
}

export function rbacPolicy({ permissions, principals }: RuleIr, portView: PortView): RbacPolicy {
  return {
    permissions:
      permissions.length === 0
        ? [NEVER_PERMITTED]
        : permissions.map((conjunction) => permissionOf(conjunction, portView)),
    principals: principals.length === 0 ? [NO_PRINCIPAL] : principals.map(principalOf),
  }
}
