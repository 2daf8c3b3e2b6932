import { randomUUID } from 'node:crypto'
import { maskBody, maskHeaders, maskTarget } from '../../observe/mask.ts'
import type { Decision } from '../../policy/decision.ts'
import type { Verdict } from './answer.ts'
import type { CheckResult } from './judge.ts'
import type { Asked, AuthorizerPeer } from './request.ts'

/** One check as a line of the decision log: the proxy's object, with the authorizer in place of the workload. */
export interface CheckDecision extends Decision {
  /** The request's `x-request-id`, else made up. */
  readonly id: string
  /** ISO 8601, when the check began. */
  readonly time: string
  readonly authorizer: string
  readonly result: CheckResult
  readonly request: CheckedRequest
  readonly durationMs: number
}

/** Without secrets: see `maskHeaders` and `maskTarget`. A connection has no `method` and no `path`. */
export interface CheckedRequest {
  readonly source: { readonly principal?: string; readonly ip: string }
  readonly destination: { readonly ip: string; readonly port: number; readonly sni?: string }
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly scheme?: string
  readonly protocol?: string
  readonly headers?: readonly (readonly [string, string])[]
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

function describe(asked: Asked): CheckedRequest {
  if (asked.kind === 'connection') {
    const { source, destination, sni } = asked.connection
    return peers(source, destination, sni)
  }
  const { source, destination, method, path, host, scheme, protocol, headerLines } = asked.request
  const headers = maskHeaders(headerLines)
  return { ...peers(source, destination, ''), method, path: maskTarget(path), host, scheme, protocol, headers }
}

const SCHEME = 'spiffe://'

function peers(source: AuthorizerPeer, destination: AuthorizerPeer, sni: string) {
  const { principal } = source
  const named = principal.startsWith(SCHEME) ? principal.slice(SCHEME.length) : principal
  return {
    source: { ...(named === '' ? {} : { principal: named }), ip: source.ip },
    destination: { ip: destination.ip, port: destination.port, ...(sni === '' ? {} : { sni }) },
  }
}
