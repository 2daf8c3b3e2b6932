import type { Provider } from '../mesh/provider.ts'
import type { Facts } from './facts.ts'

/** Whether CUSTOM rules want a provider to be asked. The objects are made at compile time and frozen. */
export type CustomVerdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'ask'; readonly provider: Provider; readonly policy: string }
  /** A CUSTOM rule matched whose provider does not exist or cannot be used. */
  | { readonly kind: 'deny'; readonly policy: string }

/** What DENY and ALLOW say. `policy` is the id that Envoy reports. */
export type Verdict =
  | {
      readonly kind: 'allow' /** The ALLOW rule that matched; null when there is none at all. */
      readonly policy: string | null
    }
  | {
      readonly kind: 'deny'
      readonly phase: 'deny' | 'allow' /** `none` for the implicit deny. */
      readonly policy: string
    }

/** What the shadow rules of dry-run policies would have said. */
export interface DryRun {
  readonly allow?: DryRunResult
  readonly deny?: DryRunResult
}

export interface DryRunResult {
  readonly result: 'allowed' | 'denied'
  /** The rule that matched, or null. */
  readonly policy: string | null
}

/**
 * The policies of one workload, ready to decide. Synchronous, never throws. The phases are asked in Envoy's order:
 * `custom`, then (after authentication) `audit` and `decide`.
 */
export interface Decider {
  custom(facts: Facts): CustomVerdict
  decide(facts: Facts): Verdict
  /** Whether an AUDIT rule matches. */
  audit(facts: Facts): boolean
  /** Null when the workload has no dry-run policy. */
  dryRun(facts: Facts): DryRun | null
}
