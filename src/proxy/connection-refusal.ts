import type { InboundConfig } from './config.ts'
import { type Ended, type InboundConnection, refusalNow } from './connection.ts'
import { edgeRefusal } from './gateway-tls.ts'

/** Why a connection may carry no more requests by what its listener demands now, or null. */
export function connectionRefusal(connection: InboundConnection, { mtls, edge }: InboundConfig): Ended | null {
  return refusalNow(connection, mtls) ?? edgeRefusal(edge, connection)
}
