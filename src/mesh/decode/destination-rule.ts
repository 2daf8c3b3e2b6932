import type {
  ClientTlsSettings,
  ConnectionPool,
  DestinationRule,
  OutlierDetection,
  PortLevelPolicy,
  TrafficPolicy,
} from '../destination-rule.ts'
import type { Meta, Origin } from '../resource.ts'
import { anything, boolean, integer, labels, list, map, oneOf, string, strings, uint32 } from './decoder.ts'
import { duration } from './duration.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { optional, record, required } from './record.ts'

/** Negative values decode: Istio's validation is what refuses them. */
const int32 = integer(-(2 ** 31), 2 ** 31 - 1)
const count = optional(int32, 0)
const time = optional(duration, null)

const tls = map(
  record({
    mode: optional(oneOf('DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'), 'DISABLE'),
    sni: optional(string, ''),
    subjectAltNames: optional(strings, []),
    caCertificates: optional(string, ''),
    caCrl: optional(string, ''),
    clientCertificate: optional(string, ''),
    privateKey: optional(string, ''),
    credentialName: optional(string, ''),
    insecureSkipVerify: optional(boolean, false),
  }),
  (value): ClientTlsSettings => value,
)

const tcp = record(
  { maxConnections: count, connectTimeout: time, maxConnectionDuration: time, idleTimeout: time },
  { ignored: ['tcpKeepalive'] },
)

const http = record({
  http1MaxPendingRequests: count,
  http2MaxRequests: count,
  maxRequestsPerConnection: count,
  maxRetries: count,
  idleTimeout: time,
  h2UpgradePolicy: optional(oneOf('DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'), 'DEFAULT'),
  useClientProtocol: optional(boolean, false),
  maxConcurrentStreams: count,
  http2KeepAlive: optional(record({ interval: time, timeout: time }), null),
})

/** Protobuf does not tell 0 from absent, and Istio writes only what is greater. */
function positive(value: number | undefined): number | null {
  return value !== undefined && value > 0 ? value : null
}

const connectionPool = map(
  record({ tcp: optional(tcp, null), http: optional(http, null) }),
  ({ tcp, http }): ConnectionPool => ({
    maxConnections: positive(tcp?.maxConnections),
    connectTimeout: tcp?.connectTimeout ?? null,
    maxConnectionDuration: tcp?.maxConnectionDuration ?? null,
    http1MaxPendingRequests: positive(http?.http1MaxPendingRequests),
    http2MaxRequests: positive(http?.http2MaxRequests),
    maxRequestsPerConnection: positive(http?.maxRequestsPerConnection),
    maxRetries: positive(http?.maxRetries),
    idleTimeout: http?.idleTimeout ?? tcp?.idleTimeout ?? null,
    maxConcurrentStreams: positive(http?.maxConcurrentStreams),
    keepAlive: http?.http2KeepAlive ?? null,
  }),
)

const outlierDetection = map(
  record(
    {
      splitExternalLocalOriginErrors: optional(boolean, false),
      consecutiveLocalOriginFailures: optional(uint32, null),
      consecutiveGatewayErrors: optional(uint32, null),
      consecutive5xxErrors: optional(uint32, null),
      interval: time,
      baseEjectionTime: time,
      maxEjectionPercent: count,
      minHealthPercent: count,
    },
    // The former is of old releases and has no effect, the latter is not compiled.
    { ignored: ['consecutiveErrors', 'outlierDetectionHttpErrorCodes'] },
  ),
  (value): OutlierDetection => ({ ...value, maxEjectionPercent: positive(value.maxEjectionPercent) }),
)

const common = {
  tls: optional(tls, null),
  connectionPool: optional(connectionPool, null),
  outlierDetection: optional(outlierDetection, null),
}

const portPolicy = map(
  record({ ...common, port: optional(record({ number: optional(uint32, 0) }), null) }, { ignored: ['loadBalancer'] }),
  ({ port, ...policy }): PortLevelPolicy => ({ ...policy, port: port?.number ?? null }),
)

const trafficPolicy = map(
  record(
    { ...common, portLevelSettings: optional(list(portPolicy), []) },
    { ignored: ['loadBalancer', 'tunnel', 'proxyProtocol', 'retryBudget'] },
  ),
  (value): TrafficPolicy => value,
)

const spec = record({
  host: required(string),
  trafficPolicy: optional(trafficPolicy, null),
  exportTo: optional(strings, []),
  workloadSelector: optional(
    map(record({ matchLabels: optional(labels, {}) }), (value) => value.matchLabels),
    null,
  ),
  // Nothing here routes to one.
  subsets: optional(anything, null),
})

type Spec = NonNullable<ReturnType<typeof spec.decode>>

export const destinationRule = customResource(required(spec))

export function toDestinationRule(raw: RawResource<Spec>, meta: Meta, origin: Origin): DestinationRule {
  const { host, trafficPolicy, exportTo, workloadSelector } = raw.spec
  return { kind: 'DestinationRule', meta, origin, host, trafficPolicy, exportTo, selector: workloadSelector }
}
