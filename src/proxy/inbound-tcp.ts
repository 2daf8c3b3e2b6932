import type { Duplex } from 'node:stream'
import { authorizeConnection } from './authorize-connection.ts'
import { connectPlain } from './connect-plain.ts'
import type { InboundConnection } from './connection.ts'
import { DecisionRecord } from './decision-record.ts'
import { deniedConnection } from './decisions.ts'
import type { InboundTarget } from './inbound-http.ts'
import { splice } from './splice.ts'
import type { Telemetry } from './telemetry.ts'
import { failureOf } from './upstream-failure.ts'

/**
 * Authorizes a TCP connection and joins it to the application. Decided at once rather than at the first bytes: no rule
 * reads bytes, and an application that speaks first must not greet a client that is then refused.
 */
export async function serveTcp(
  client: Duplex,
  connection: InboundConnection,
  target: InboundTarget,
  telemetry: Telemetry,
): Promise<void> {
  const { config } = target
  client.on('error', () => {})
  client.pause()
  const record = new DecisionRecord(telemetry, config.workload, connection)
  const gone = new AbortController()
  const abort = () => gone.abort()
  client.once('close', abort)
  client.once('close', () => record.end(null))
  try {
    const decision = await authorizeConnection(
      connection,
      config.policies,
      record.time,
      gone.signal,
      (provider, outcome) => telemetry.asked(provider, outcome),
      telemetry,
    )
    record.decide(decision)
    if (decision.decision !== 'allow' || client.destroyed) {
      client.destroy()
      return
    }
  } catch (error) {
    telemetry.log.error('connection failed', { workload: config.workload, error: String(error) })
    record.decide(deniedConnection('peer', null, 'internal_error'))
    client.destroy()
    return
  }
  client.off('close', abort)
  const upstream = connectPlain(
    config.application,
    (error, socket) => {
      client.off('close', cancel)
      if (socket === null) {
        telemetry.upstreamFailed(config.workload, failureOf(error ?? new Error('unknown')))
        client.destroy()
      } else {
        splice(client, socket)
      }
    },
    true,
  )
  const cancel = () => upstream.destroy()
  client.once('close', cancel)
}
