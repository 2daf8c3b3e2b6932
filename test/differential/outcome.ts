import type { DryRun } from '#src/policy/decider.ts'
import type { Decision } from '#src/policy/decision.ts'
import type { Received } from './slot.ts'
import type { Line } from './spec.ts'
import type { WireAnswer } from './wire.ts'

/** What became of a request in one engine. */
export interface Outcome {
  readonly decision: 'allow' | 'deny'
  /** Null where the connection ended without an HTTP answer, and over TCP. */
  readonly status: number | null
  /** Null when allowed. */
  readonly body: string | null
  /** The RBAC rule that refused, `none` for the implicit deny. */
  readonly policy: string | null
  /** Envoy's words for why it answered itself; null when allowed, and where there was no answer. */
  readonly details: string | null
  readonly dryRun: DryRun | null
  readonly audit: boolean
  readonly grpc: { readonly status: number; readonly message: string } | null
  /** What only sockets show; null from engines without. */
  readonly wire: Wire | null
  /** What authorizers were asked. */
  readonly checks: readonly unknown[]
}

export interface Wire {
  readonly received: readonly Received[]
  /** Of the answer, without those of its framing. */
  readonly headers: readonly Line[]
  /** Every header of the answer, for listed differences. */
  readonly answer: WireAnswer
}

export type Watched = Pick<Outcome, 'policy' | 'details' | 'dryRun' | 'audit'>

export const NOTHING: Watched = { policy: null, details: null, dryRun: null, audit: false }

export function ofDecision(decision: Decision, tcp: boolean, checks: readonly unknown[]): Outcome {
  const { policy, status, body, details, grpcStatus, grpcMessage } = decision
  const denied = decision.decision !== 'allow'
  return {
    decision: denied ? 'deny' : 'allow',
    status: tcp ? null : status,
    body: denied && !tcp && status !== null ? body : null,
    policy,
    details: denied && status !== null && !tcp ? details : null,
    dryRun: decision.dryRun ?? null,
    audit: decision.audit === true,
    grpc: grpcStatus === undefined ? null : { status: grpcStatus, message: grpcMessage ?? '' },
    wire: null,
    checks,
  }
}

export function ofWire(
  answer: WireAnswer,
  received: readonly Received[],
  checks: readonly unknown[],
  watched: Watched,
): Outcome {
  const allowed = received.length > 0 || (answer.kind === 'bytes' && answer.text !== '')
  const answered = answer.kind === 'answer'
  return {
    decision: allowed ? 'allow' : 'deny',
    status: answered ? answer.status : null,
    body: answered && !allowed ? answer.body : null,
    policy: watched.policy,
    details: answered && !allowed ? watched.details : null,
    dryRun: watched.dryRun,
    audit: watched.audit,
    grpc: answered && !allowed ? grpcOf(answer.headers) : null,
    wire: { received: received.map(comparable), headers: answered ? answerHeaders(answer.headers) : [], answer },
    checks,
  }
}

function grpcOf(headers: readonly Line[]): Outcome['grpc'] {
  const value = (name: string) => headers.find(([one]) => one === name)?.[1]
  const status = value('grpc-status')
  return status === undefined ? null : { status: Number(status), message: decoded(value('grpc-message') ?? '') }
}

function decoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** Each hop frames its own messages, and these differ from run to run. */
const HOP = new Set(['connection', 'keep-alive', 'date', 'content-length', 'transfer-encoding'])
const PER_RUN = new Set(['x-request-id', 'x-envoy-upstream-service-time'])

/** In the order of names; lines of one name stay in their order. */
function stable(headers: readonly Line[], without: ReadonlySet<string>): Line[] {
  return headers
    .filter(([name]) => !without.has(name))
    .map(([name, value]): Line => [name, PER_RUN.has(name) ? '' : value])
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}

function comparable({ method, target, headers, body }: Received): Received {
  return { method, target, headers: stable(headers, HOP), body }
}

const ANSWER = new Set([...HOP, 'server', 'x-envoy-upstream-service-time', 'x-envoy-decorator-operation'])

function answerHeaders(headers: readonly Line[]): Line[] {
  return stable(headers, ANSWER)
}
