import type { MtlsMode } from '../../mesh/peer-authentication.ts'

/** Which connections a filter chain takes, and as what. */
export interface ChainOption {
  readonly protocol: 'http' | 'tcp'
  readonly tls: boolean
  readonly match: {
    readonly transport_protocol: 'tls' | 'raw_buffer'
    readonly application_protocols?: readonly string[]
  }
}

/** What one side of a port is: HTTP, bytes, or to be found out. */
export type PortKind = 'http' | 'tcp' | 'auto'

const istioHttp = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2']
const istioTcp = ['istio-peer-exchange', 'istio']
const istioAny = ['istio', 'istio-peer-exchange', ...istioHttp]
const plainHttp = ['http/1.1', 'h2c']

/** Istio's filter chains for a port (pilot/pkg/networking/core/filterchain_options.go), in its order. */
export function chainOptions(mode: Exclude<MtlsMode, 'UNSET'>, kind: PortKind): readonly ChainOption[] {
  switch (mode) {
    case 'STRICT':
      return strict[kind]
    case 'PERMISSIVE':
      return permissive[kind]
    case 'DISABLE':
      return plaintext[kind]
    default:
      return mode satisfies never
  }
}

function chain(
  protocol: 'http' | 'tcp',
  transport: 'mtls' | 'tls' | 'raw_buffer',
  application: readonly string[] = [],
): ChainOption {
  return {
    protocol,
    tls: transport === 'mtls',
    match: {
      transport_protocol: transport === 'mtls' ? 'tls' : transport,
      ...(application.length === 0 ? {} : { application_protocols: application }),
    },
  }
}

type Options = Readonly<Record<PortKind, readonly ChainOption[]>>

const strict: Options = {
  http: [chain('http', 'mtls')],
  tcp: [chain('tcp', 'mtls')],
  auto: [chain('http', 'mtls', istioHttp), chain('tcp', 'mtls')],
}

const permissive: Options = {
  http: [chain('http', 'mtls', istioAny), chain('http', 'raw_buffer')],
  // TLS of the application's own goes through as it is.
  tcp: [chain('tcp', 'mtls', istioAny), chain('tcp', 'tls'), chain('tcp', 'raw_buffer')],
  auto: [
    chain('http', 'mtls', istioHttp),
    chain('http', 'raw_buffer', plainHttp),
    chain('tcp', 'mtls', istioTcp),
    chain('tcp', 'raw_buffer'),
    chain('tcp', 'tls'),
  ],
}

const plaintext: Options = {
  http: [chain('http', 'raw_buffer')],
  tcp: [chain('tcp', 'raw_buffer')],
  auto: [chain('http', 'raw_buffer', plainHttp), chain('tcp', 'raw_buffer')],
}
