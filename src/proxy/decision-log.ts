import type { TokenNames } from '../authn/authentication.ts'
import type { HeaderMap } from '../match/header-map.ts'
import { printIp } from '../match/ip.ts'
import { maskBody, maskHeaders, maskTarget } from '../observe/mask.ts'
import type { Decision } from '../policy/decision.ts'
import type { InboundConnection } from './connection.ts'

/** One line of the decision log: the decision, and the request in the form that `explain` and `replay` read. */
export interface DecisionLogEntry extends Decision {
  readonly id: string
  /** ISO 8601, when the request or connection began. */
  readonly time: string
  /** `NAMESPACE/NAME`. */
  readonly workload: string
  readonly request: LoggedRequest
  /** What the client got; null when it got no HTTP answer. */
  readonly responseStatus: number | null
  readonly durationMs: number
}

/** Without secrets: see `maskHeaders` and `maskTarget`. A connection has no `method` and no `path`. */
export interface LoggedRequest {
  readonly source: { readonly principal?: string; readonly ip: string }
  readonly destination: { readonly ip: string; readonly port: number; readonly sni?: string }
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly scheme?: string
  readonly protocol?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly remoteIp?: string
}

const SCHEME = 'spiffe://'

export function loggedConnection({ facts }: Pick<InboundConnection, 'facts'>): LoggedRequest {
  const { peer, sni } = facts
  const principal = peer.startsWith(SCHEME) ? peer.slice(SCHEME.length) : peer
  return {
    source: { ...(principal === '' ? {} : { principal }), ip: printIp(facts.sourceIp) },
    destination: {
      ip: printIp(facts.destinationIp),
      port: facts.destinationPort,
      ...(sni === '' ? {} : { sni }),
    },
    ...(facts.remoteIp === undefined ? {} : { remoteIp: printIp(facts.remoteIp) }),
  }
}

/** Header lines as they arrived, masked: to be taken before the chain changes them. */
export function loggedHeaders(headers: HeaderMap, secret: TokenNames | null): [string, string][] {
  return maskHeaders(headers, secret?.headers)
}

/** What a provider answers is for the client alone: a page to log in with may be long, and hold what logs in. */
export function loggedDecision(decision: Decision): Decision {
  const { body, grpcMessage } = decision
  if (!body && grpcMessage === undefined) return decision
  return {
    ...decision,
    body: body === null ? null : maskBody(body),
    ...(grpcMessage === undefined ? {} : { grpcMessage: maskBody(grpcMessage) }),
  }
}

export function loggedTarget(path: string, secret: TokenNames | null): string {
  return maskTarget(path, secret?.parameters)
}
