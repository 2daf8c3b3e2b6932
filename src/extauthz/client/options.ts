import type { ClientEvents } from './client-events.ts'
import type { Connect } from './connect.ts'
import type { Lookup } from './endpoints.ts'
import type { HealthOptions } from './health.ts'
import type { OutlierOptions } from './outlier.ts'
import type { OpenUnaryConnection } from './unary-connection.ts'

export interface ClientOptions {
  /** How connections are made; default without TLS. */
  readonly connect?: Connect
  /** How HTTP/2 is spoken to a gRPC provider; default our own. */
  readonly openConnection?: OpenUnaryConnection
  /** Checks at a time, waiting ones included; more fail at once. Default 4096. */
  readonly maxChecks?: number
  /** Checks that wait for a connection; more fail at once. Default 1024. */
  readonly maxPending?: number
  /**
   * Connections to one endpoint. Default 4 to a gRPC provider, of which the second is made when the first has as many
   * calls as the provider takes, and 1024 to an HTTP provider.
   */
  readonly maxConnections?: number
  /** How names are resolved; default the system's resolver. */
  readonly lookup?: Lookup
  /** Which endpoints are passed over because checks fail there; null for none. */
  readonly outlier?: Partial<OutlierOptions> | null
  /** Active health checks; default none. */
  readonly health?: HealthOptions
  /** Whether connections are made before there is a check. Default true. */
  readonly warm?: boolean
  /** Who is told of checks and of changes. */
  readonly events?: ClientEvents
}

export const defaultMaxChecks = 4096
export const defaultMaxPending = 1024

/** Milliseconds that `close` leaves the checks under way. */
export const closeGrace = 5000
