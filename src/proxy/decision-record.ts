import type { TokenNames } from '../authn/authentication.ts'
import { type LoggedRequest, loggedRequest } from '../observe/logged-request.ts'
import type { Decision } from '../policy/decision.ts'
import type { ChainRequest } from './chain.ts'
import type { InboundConnection } from './connection.ts'
import { loggedDecision, loggedFacts } from './decision-log.ts'
import type { Telemetry } from './telemetry.ts'

/** Collects what the decision log and the metrics say about one request. */
export class DecisionRecord {
  readonly time = Date.now()
  readonly #began = performance.now()
  readonly #telemetry: Telemetry
  readonly #workload: string
  readonly #connection: InboundConnection
  #id = ''
  #request: LoggedRequest | null = null
  #decision: Decision | null = null
  #ended: Ending | null = null

  constructor(telemetry: Telemetry, workload: string, connection: InboundConnection) {
    this.#telemetry = telemetry
    this.#workload = workload
    this.#connection = connection
  }

  /** To be called before the chain changes the request. `secret`: where tokens are read from. */
  describe(chain: ChainRequest, secret: TokenNames | null): void {
    this.#id = chain.id
    if (this.#telemetry.decisions === null) return
    this.#request = loggedRequest(loggedFacts(this.#connection.facts, chain.remoteIp), chain, secret)
  }

  /** To be called once. */
  decide(decision: Decision): void {
    this.#decision = decision
    this.#telemetry.decided(this.#workload, decision)
    if (this.#ended !== null) this.#write(decision, this.#ended)
  }

  /** When the client has its answer or is gone, which may be before the decision. The first call counts. */
  end(responseStatus: number | null): void {
    if (this.#ended !== null) return
    this.#ended = { responseStatus, durationMs: performance.now() - this.#began }
    this.#telemetry.answered(this.#workload, this.#ended.durationMs / 1000)
    if (this.#decision !== null) this.#write(this.#decision, this.#ended)
  }

  #write(decision: Decision, { responseStatus, durationMs }: Ending): void {
    this.#telemetry.decisions?.({
      id: this.#id,
      time: new Date(this.time).toISOString(),
      workload: this.#workload,
      ...loggedDecision(decision),
      request: this.#request ?? loggedFacts(this.#connection.facts),
      responseStatus,
      durationMs: Math.round(durationMs * 1000) / 1000,
    })
  }
}

interface Ending {
  readonly responseStatus: number | null
  readonly durationMs: number
}
