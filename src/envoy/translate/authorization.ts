import { authorizationPoliciesFor, delegationsFor } from '../../mesh/attach.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import { usableProvider } from '../../mesh/providers.ts'
import type { TargetService } from '../../mesh/service.ts'
import type { Workload } from '../../mesh/workload.ts'
import { askedRules, lowerDelegation } from '../../policy/delegation.ts'
import type { PolicyIr, Ruleset } from '../../policy/ir.ts'
import { type LowerInput, lower } from '../../policy/lower.ts'
import type { RbacAction } from './rbac-rules.ts'

/** One of Envoy's filters that authorize, before it is written for HTTP or for TCP. */
export type AuthorizationFilter = RbacStage | CheckStage

/** An RBAC filter. Null rulesets: the filter has no such part. */
export interface RbacStage {
  readonly kind: 'rbac'
  readonly action: RbacAction
  /** What the filter is for, in words. */
  readonly purpose: 'CUSTOM' | 'AUDIT' | 'DENY' | 'ALLOW'
  readonly rules: Ruleset | null
  readonly shadow: Ruleset | null
  readonly shadowPrefix: '' | 'istio_ext_authz_' | 'istio_dry_run_allow_' | 'istio_dry_run_deny_'
}

/** Asks a provider where the shadow rules of the RBAC filter before it matched. */
export interface CheckStage {
  readonly kind: 'check'
  readonly provider: Provider
}

export interface Authorization {
  /** Before tokens are verified. */
  readonly custom: readonly AuthorizationFilter[]
  /** After it. */
  readonly local: readonly RbacStage[]
}

/** The filters that Istio would give a workload for a protocol, in its order. */
export function authorizationOf(
  mesh: Mesh,
  workload: Workload,
  protocol: 'http' | 'tcp',
  service: TargetService | null,
): Authorization {
  const input: LowerInput = {
    policies: authorizationPoliciesFor(mesh, workload, service),
    trustDomains: trustDomainsOf(mesh),
    protocol,
    provider: (name) => usableProvider(mesh, name),
  }
  const ir = lower(input)
  const local = [...delegationStages(mesh, workload, input), ...localStages(ir, shadowAudit(input))]
  return { custom: customStages(ir), local }
}

/**
 * Envoy is not told of Delegations, which `delegationProblems` reports. Whoever translates all the same gets what refuses
 * where providers would have been asked: left out, it would let that through.
 */
function delegationStages(mesh: Mesh, workload: Workload, input: LowerInput): readonly RbacStage[] {
  return delegationsFor(mesh, workload)
    .filter(({ providers }) => providers.some(({ mode }) => mode === 'enforce'))
    .map((delegation) => {
      const rules = askedRules(lowerDelegation(delegation, input))
      return { kind: 'rbac', action: 'DENY', purpose: 'CUSTOM', rules, shadow: null, shadowPrefix: '' }
    })
}

/** The mesh's own domain, then its aliases, which Istio sorts. */
export function trustDomainsOf({ config }: Mesh): readonly string[] {
  return [config.trustDomain, ...[...new Set(config.trustDomainAliases)].sort()]
}

function customStages({ custom }: PolicyIr): readonly AuthorizationFilter[] {
  const stage = { kind: 'rbac', action: 'DENY', purpose: 'CUSTOM' } as const
  switch (custom.kind) {
    case 'none':
      return []
    case 'refuse':
      return custom.rulesets.map((rules) => ({ ...stage, rules, shadow: null, shadowPrefix: '' }))
    case 'ask':
      return [
        {
          ...stage,
          rules: custom.refused.length === 0 ? null : custom.refused,
          shadow: custom.rules,
          shadowPrefix: 'istio_ext_authz_',
        },
        { kind: 'check', provider: custom.provider },
      ]
    default:
      return custom satisfies never
  }
}

function localStages(ir: PolicyIr, dryAudit: Ruleset | null): readonly RbacStage[] {
  const stage = (
    purpose: 'AUDIT' | 'DENY' | 'ALLOW',
    action: RbacAction,
    rules: Ruleset | null,
    shadow: Ruleset | null,
  ): RbacStage => ({ kind: 'rbac', purpose, action, rules, shadow, shadowPrefix: dryRunPrefix(action, shadow) })
  const stages = [
    stage('AUDIT', 'LOG', ir.audit, dryAudit),
    stage('DENY', 'DENY', ir.deny, ir.shadowDeny),
    stage('ALLOW', 'ALLOW', ir.allow, ir.shadowAllow),
  ]
  return stages.filter(({ rules, shadow }) => rules !== null || shadow !== null)
}

/** Istio asks also absent shadow rules for their action, and ALLOW is the default of the message. */
function dryRunPrefix(action: RbacAction, shadow: Ruleset | null): RbacStage['shadowPrefix'] {
  if (shadow === null || action === 'ALLOW') return 'istio_dry_run_allow_'
  return action === 'DENY' ? 'istio_dry_run_deny_' : ''
}

/** Istio compiles AUDIT policies in dry-run to shadow rules; they decide nothing, so that the IR leaves them out. */
function shadowAudit(input: LowerInput): Ruleset | null {
  const policies = input.policies
    .filter(({ action, dryRun }) => action === 'AUDIT' && dryRun)
    .map((policy) => ({ ...policy, dryRun: false }))
  return policies.length === 0 ? null : lower({ ...input, policies }).audit
}
