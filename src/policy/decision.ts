import type { DryRun } from './decider.ts'

/** The stage that refused: the proxy's HTTP rules, the peer's identity, a provider, the token, DENY or ALLOW rules. */
export type Phase = 'http' | 'peer' | 'custom' | 'authn' | 'deny' | 'allow' | 'none'

/**
 * The outcome of one request or connection: what `explain` prints, what the decision log holds, and what `replay` and
 * `test` read back. Field order is the printed order.
 */
export interface Decision {
  readonly decision: 'allow' | 'deny' | 'ask'
  /** 200 when allowed; null on TCP and where no HTTP answer is given. */
  readonly status: number | null
  /** Null when allowed. */
  readonly body: string | null
  readonly phase: Phase
  /** What Envoy reports for an RBAC refusal, `none` for the implicit deny, else null. */
  readonly policy: string | null
  /** Envoy's response code details. */
  readonly details: string | null
  /** The provider that was, or would be, asked. */
  readonly provider?: string
  /** The Delegation whose provider refused, as `NAMESPACE/NAME`. */
  readonly delegation?: string
  readonly dryRun?: DryRun
  readonly audit?: true
  readonly grpcStatus?: number
  readonly grpcMessage?: string
}

export const ACCESS_DENIED = 'RBAC: access denied'
