import type { Attachment, Resource } from './resource.ts'

export type Action = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'

/** `security.istio.io` AuthorizationPolicy, v1 and v1beta1. */
export interface AuthorizationPolicy extends Resource {
  readonly kind: 'AuthorizationPolicy'
  readonly attachment: Attachment
  readonly action: Action
  /** `provider.name`, with CUSTOM only. */
  readonly provider: string | null
  /** From the annotation `istio.io/dry-run`; a value that is no Go boolean counts as false (Istio enforces it). */
  readonly dryRun: boolean
  /** Absent and `[]` decode alike: both match nothing. */
  readonly rules: readonly Rule[]
}

/** `from` and `to` are null when absent, which means any. An empty `when` adds no condition. */
export interface Rule {
  readonly from: readonly Source[] | null
  readonly to: readonly Operation[] | null
  readonly when: readonly When[]
}

/** A pair of a field and its `not` twin; absent lists are empty. */
export interface Values {
  readonly values: readonly string[]
  readonly notValues: readonly string[]
}

export interface Source {
  readonly principals: Values
  readonly requestPrincipals: Values
  readonly namespaces: Values
  readonly serviceAccounts: Values
  readonly trustDomains: Values
  readonly ipBlocks: Values
  readonly remoteIpBlocks: Values
}

export interface Operation {
  readonly hosts: Values
  readonly ports: Values
  readonly methods: Values
  readonly paths: Values
}

export interface When extends Values {
  readonly key: string
}
