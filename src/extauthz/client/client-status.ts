import type { CheckClient } from '../check.ts'

/** How a client and its endpoints are. Counts are since they were made. */
export interface ClientStatus {
  /** Whether some endpoint can be asked; null until that is known. */
  readonly reachable: boolean | null
  readonly inFlight: number
  /** Of those in flight, checks that wait for a connection. */
  readonly waiting: number
  readonly retries: number
  readonly endpoints: readonly EndpointStatus[]
}

export interface EndpointStatus {
  /** `ADDRESS:PORT` or `unix:PATH`. */
  readonly name: string
  readonly state: EndpointState
  readonly inFlight: number
  readonly connections: number
  readonly counts: Readonly<EndpointCounts>
}

/** `unreachable`: no connection. `doubtful`: a connection that may be dead. */
export type EndpointState = 'usable' | 'unreachable' | 'doubtful' | 'ejected' | 'unhealthy'

export interface EndpointCounts {
  answered: number
  failed: number
  timeout: number
  /** Calls that it did not process: they were made again. */
  notProcessed: number
  ejections: number
}

/** A `CheckClient` that tells how it is. */
export interface ProviderClient extends CheckClient {
  status(): ClientStatus
}
