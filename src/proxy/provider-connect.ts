import { connect, type Socket } from 'node:net'
import * as tls from 'node:tls'
import { type Connect, connectPlain } from '../extauthz/client/connect.ts'
import { socketOptions, type Target } from '../extauthz/client/endpoints.ts'
import type { EndpointTls } from '../mesh/endpoint-tls.ts'
import { type Alpn, HTTP_ALPN, HTTP2_ALPN } from './client-tls.ts'
import type { WorkloadIdentity } from './config.ts'
import { IdentityError, tlsSettings } from './tls-settings.ts'

/**
 * How connections to a provider are made for a workload: by what `tlsOf` says of a target, and with the certificate that
 * the workload has at that moment.
 */
export function connectProvider(
  kind: 'grpc' | 'http',
  tlsOf: (target: Target) => EndpointTls,
  identity: () => WorkloadIdentity | null,
): Connect {
  const alpn: Alpn = kind === 'grpc' ? HTTP2_ALPN : HTTP_ALPN
  return (target) => {
    const how = tlsOf(target)
    if (how.kind === 'plaintext') return connectPlain(target)
    const settings = tlsSettings(how, identity(), alpn)
    if (settings instanceof IdentityError) return failing(settings)
    return tls.connect({ ...settings, ...socketOptions(target) }).setNoDelay(true)
  }
}

/** A socket that never connects. */
function failing(error: Error): Socket {
  return connect({ host: 'never.invalid', port: 1, lookup: (_name, _options, done) => done(error, '', 4) })
}
