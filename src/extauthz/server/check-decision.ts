import { randomUUID } from 'node:crypto'
import { type LoggedRequest, loggedConnection, loggedRequest } from '../../observe/logged-request.ts'
import { maskBody } from '../../observe/mask.ts'
import type { Decision } from '../../policy/decision.ts'
import type { Verdict } from './answer.ts'
import type { CheckResult } from './judge.ts'
import type { Asked } from './request.ts'

/** One check as a line of the decision log: the proxy's object, with the authorizer in place of the workload. */
export interface CheckDecision extends Decision {
  /** The request's `x-request-id`, else made up. */
  readonly id: string
  /** ISO 8601, when the check began. */
  readonly time: string
  readonly authorizer: string
  readonly result: CheckResult
  readonly request: LoggedRequest
  readonly durationMs: number
}

export function checkDecision(
  authorizer: string,
  asked: Asked,
  verdict: Verdict,
  result: CheckResult,
  durationMs: number,
): CheckDecision {
  const allowed = verdict.kind === 'allow'
  const status = asked.kind === 'connection' ? null : allowed ? 200 : verdict.status
  return {
    id: (asked.kind === 'request' ? asked.request.headers['x-request-id']?.slice(0, 128) : undefined) ?? randomUUID(),
    time: new Date(Date.now() - durationMs).toISOString(),
    authorizer,
    decision: allowed ? 'allow' : 'deny',
    status,
    body: allowed ? null : verdict.kind === 'error' ? '' : maskBody(verdict.body),
    phase: allowed ? 'none' : 'custom',
    policy: null,
    details: allowed ? null : verdict.kind === 'error' ? 'ext_authz_error' : 'ext_authz_denied',
    result,
    request: describe(asked),
    durationMs: Math.round(durationMs * 1000) / 1000,
  }
}

function describe(asked: Asked): LoggedRequest {
  switch (asked.kind) {
    case 'connection': {
      const { source, destination, sni } = asked.connection
      return loggedConnection({ ...source, destination, sni })
    }
    case 'request': {
      const { source, destination, method, path, host, scheme, protocol, headerLines } = asked.request
      const connection = loggedConnection({ ...source, destination, sni: '' })
      return loggedRequest(connection, { method, path, host, scheme, protocol, headers: headerLines }, null)
    }
    default:
      return asked satisfies never
  }
}
