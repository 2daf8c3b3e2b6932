import type { InboundConfig } from './config.ts'
import type { InboundConnection } from './connection.ts'
import { type EdgeHead, readEdgeHead } from './edge-head.ts'
import { type RawHead, type RefusedHead, type RequestHead, readHead } from './request-head.ts'

/** A head as a sidecar or, with the client's address, a gateway reads it. */
export function readInboundHead(
  raw: RawHead,
  { edge, pathMode }: InboundConfig,
  { mtls, secure, facts }: InboundConnection,
  upgrade: boolean,
): RequestHead | EdgeHead | RefusedHead {
  const options = { pathMode, secure, clientCertificate: mtls?.element ?? null, upgrade }
  if (edge === null) return readHead(raw, options)
  const { trustedHops, forwardClientCertificate, dropEnvoyHeaders } = edge
  return readEdgeHead(raw, {
    ...options,
    ...{ trustedHops, forwardClientCertificate, dropEnvoyHeaders },
    peer: facts.remoteIp ?? facts.sourceIp,
    own: edge.own ?? facts.destinationIp,
  })
}
