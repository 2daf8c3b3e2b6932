import type { CheckClient } from '../check.ts'

/** How a client and its endpoints are. */
export interface ClientStatus {
  /** Whether some endpoint can be asked; null until that is known. */
  readonly reachable: boolean | null
  readonly inFlight: number
  /** Of those in flight, checks that wait for a connection. */
  readonly waiting: number
  readonly endpoints: readonly EndpointStatus[]
}

export interface EndpointStatus {
  /** `ADDRESS:PORT` or `unix:PATH`. */
  readonly name: string
  readonly state: EndpointState
  readonly inFlight: number
  readonly connections: number
}

/** `unreachable`: no connection. `doubtful`: a connection that may be dead. */
export type EndpointState = 'usable' | 'unreachable' | 'doubtful' | 'ejected' | 'unhealthy'

/** A `CheckClient` that tells how it is. */
export interface ProviderClient extends CheckClient {
  /** Makes connections before there is a check; for a client that was made with `warm: false`. */
  warm(): void
  status(): ClientStatus
}
