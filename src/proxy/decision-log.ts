import { printIp } from '../match/ip.ts'
import { type LoggedRequest, loggedConnection } from '../observe/logged-request.ts'
import { maskBody } from '../observe/mask.ts'
import type { Decision } from '../policy/decision.ts'
import type { ConnectionFacts } from '../policy/facts.ts'

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

/** `remoteIp`: absent where nobody has looked for it. */
export function loggedFacts(facts: ConnectionFacts, remoteIp = facts.remoteIp): LoggedRequest {
  const { peer, sourceIp, destinationIp, destinationPort, sni } = facts
  const destination = { ip: printIp(destinationIp), port: destinationPort }
  const remote = remoteIp === undefined ? undefined : printIp(remoteIp)
  return loggedConnection({ principal: peer, ip: printIp(sourceIp), destination, sni, remoteIp: remote })
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
