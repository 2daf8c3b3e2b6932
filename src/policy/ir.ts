import type { IpBlock } from '../match/ip.ts'
import type { PathTemplate } from '../match/path-template.ts'
import type { PeerPattern } from '../match/spiffe.ts'
import type { StringMatch } from '../match/string-match.ts'
import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { Provider } from '../mesh/provider.ts'
import type { Path } from '../source/document.ts'

/** A lone `*` on hosts, methods and headers: there, even with an empty value (Envoy's present match). */
export type PresenceMatch = StringMatch | { readonly kind: 'present' }

/** One value of one field, as Envoy would test it. `written` is the user's own text. */
export type Match = { readonly written: string } & (
  | { readonly kind: 'peer'; readonly pattern: PeerPattern }
  | { readonly kind: 'requestPrincipal'; readonly issuer: StringMatch; readonly subject: StringMatch }
  | { readonly kind: 'sourceIp'; readonly block: IpBlock }
  | { readonly kind: 'remoteIp'; readonly block: IpBlock }
  | { readonly kind: 'destinationIp'; readonly block: IpBlock }
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'sni'; readonly match: StringMatch }
  /** The match's text is lower-case: hosts are compared without regard to ASCII case. */
  | { readonly kind: 'host'; readonly match: PresenceMatch }
  | { readonly kind: 'method'; readonly match: PresenceMatch }
  | { readonly kind: 'path'; readonly match: StringMatch }
  | { readonly kind: 'pathTemplate'; readonly template: PathTemplate }
  /** `name` is lower-case; pseudo headers keep their colon, and `host` has become `:authority`. */
  | { readonly kind: 'header'; readonly name: string; readonly match: PresenceMatch }
  /** A string claim, or one string of a list, at the end of `path`. */
  | { readonly kind: 'claim'; readonly path: readonly string[]; readonly match: StringMatch }
  /** Dynamic metadata of a filter: a string, or (`list`) one string of a list. */
  | {
      readonly kind: 'metadata'
      readonly filter: string
      readonly key: string
      readonly list: boolean
      readonly match: StringMatch
    }
)

/**
 * One field with its `not` twin: `any` needs one hit unless it is empty, `none` allows no hit. A missing attribute hits
 * nothing, so it fails `any` and satisfies `none`.
 */
export interface Condition {
  /** The field's name (`paths`) or the `when` key. */
  readonly field: string
  readonly any: readonly Match[]
  readonly none: readonly Match[]
  /** Leads to the operation, source or `when` entry inside the policy's document. */
  readonly at: Path
}

/** All conditions hold. Empty: always. */
export type Conjunction = readonly Condition[]

/**
 * One rule as Envoy holds it: some permission and some principal. `when` conditions stand in each alternative. No
 * alternative at all never matches (a policy without rules).
 */
export interface RuleIr {
  /** What Envoy reports, `ns[NS]-policy[NAME]-rule[i]`. */
  readonly id: string
  readonly policy: AuthorizationPolicy
  readonly index: number
  readonly permissions: readonly Conjunction[]
  readonly principals: readonly Conjunction[]
}

/** Rules in the order in which Envoy tests them: by id, byte by byte. */
export type Ruleset = readonly RuleIr[]

/** What CUSTOM policies come to on one workload. */
export type CustomIr =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'ask'
      readonly provider: Provider
      readonly rules: Ruleset
      /** Dry-run CUSTOM rules, which Istio (August 2026) places where Envoy enforces them. */
      readonly refused: Ruleset
    }
  /** No provider can be asked: what matches is refused. One ruleset a provider, in Istio's order. */
  | { readonly kind: 'refuse'; readonly rulesets: readonly Ruleset[]; readonly reason: string }

/** The policies of one workload for one protocol. Null rulesets: Istio would add no such filter. */
export interface PolicyIr {
  readonly protocol: 'http' | 'tcp'
  readonly custom: CustomIr
  readonly audit: Ruleset | null
  readonly deny: Ruleset | null
  readonly allow: Ruleset | null
  readonly shadowDeny: Ruleset | null
  readonly shadowAllow: Ruleset | null
}
