import type { Json } from '../../source/document.ts'
import { DEFAULT_TOPOLOGY, type ForwardClientCertificate, type GatewayTopology } from '../gateway-topology.ts'
import type { MeshConfig, PathNormalization } from '../mesh-config.ts'
import type { Provider } from '../provider.ts'
import type { Origin } from '../resource.ts'
import { boolean, list, map, oneOf, string, uint32 } from './decoder.ts'
import { extensionProviders } from './provider.ts'
import { optional, record } from './record.ts'

const PROXY_CONFIG_FIELDS = [
  'configPath binaryPath serviceCluster tracingServiceName drainDuration discoveryAddress discoveryRefreshDelay',
  'zipkinAddress statsdUdpAddress envoyMetricsServiceAddress proxyAdminPort availabilityZone controlPlaneAuthPolicy',
  'customConfigFile statNameLength concurrency proxyBootstrapTemplatePath interceptionMode tracing sds',
  'envoyAccessLogService envoyMetricsService proxyMetadata runtimeValues statusPort extraStatTags',
  'terminationDrainDuration meshId readinessProbe proxyStatsMatcher holdApplicationUntilProxyStarts caCertificatesPem',
  'image privateKeyProvider proxyHeaders fileFlushInterval fileFlushMinSizeKb statsCompression connectionSettings',
].flatMap((line) => line.split(' '))

const MESH_CONFIG_FIELDS = [
  'proxyListenPort proxyInboundListenPort proxyHttpPort connectTimeout hboneIdleTimeout protocolDetectionTimeout',
  'tcpKeepalive ingressClass ingressService ingressControllerMode ingressSelector enableTracing accessLogFile',
  'accessLogFormat accessLogEncoding enableEnvoyAccessLogService disableEnvoyListenerLog outboundTrafficPolicy',
  'inboundTrafficPolicy configSources defaultServiceExportTo',
  'defaultVirtualServiceExportTo defaultDestinationRuleExportTo localityLbSetting zoneAwareLbSetting dnsRefreshRate',
  'h2UpgradePolicy inboundClusterStatName outboundClusterStatName certificates serviceSettings serviceScopeConfigs',
  'enablePrometheusMerge verifyCertificateAtClient ca defaultProviders discoverySelectors defaultHttpRetryPolicy',
  'meshMTLS tlsDefaults defaultTrafficPolicy serviceEntryVisibility',
  // Fields of earlier releases, which Istio reads without effect.
  'mixerCheckServer mixerReportServer disablePolicyChecks disableMixerHttpReports policyCheckFailOpen authPolicy',
  'sdsUdsPath sdsRefreshDelay sidecarToTelemetrySessionAffinity enableClientSidePolicyCheck enableSdsTokenMount',
  'thriftConfig disableReportBatch reportBatchMaxEntries reportBatchMaxTime rdsRefreshDelay',
].flatMap((line) => line.split(' '))

const lenient = { protoNames: true, hint: delegationHint }

const forwardClientCertDetails = map(
  oneOf('UNDEFINED', 'SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'),
  (value): ForwardClientCertificate => (value === 'UNDEFINED' ? DEFAULT_TOPOLOGY.forwardClientCertDetails : value),
)

const topology = map(
  record(
    {
      numTrustedProxies: optional(uint32, DEFAULT_TOPOLOGY.numTrustedProxies),
      // A message without fields: that it is there is what counts.
      proxyProtocol: optional(record({}, lenient), null),
      forwardClientCertDetails: optional(forwardClientCertDetails, DEFAULT_TOPOLOGY.forwardClientCertDetails),
    },
    lenient,
  ),
  (raw): GatewayTopology => ({ ...raw, proxyProtocol: raw.proxyProtocol !== null }),
)

/** Istio's ProxyConfig: `defaultConfig` of the mesh, and a workload's annotation `proxy.istio.io/config`. */
export const proxyConfig = record(
  { gatewayTopology: optional(topology, null) },
  { ...lenient, ignored: PROXY_CONFIG_FIELDS },
)

const normalization = map(
  oneOf('DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'),
  (value): PathNormalization => (value === 'DEFAULT' ? 'BASE' : value),
)

const caCertificate = record(
  { trustDomains: optional(list(string), []) },
  { ...lenient, ignored: ['pem', 'spiffeBundleUrl', 'certSigners'] },
)

export const meshConfig = record(
  {
    trustDomain: optional(string, ''),
    trustDomainAliases: optional(list(string), []),
    caCertificates: optional(list(caCertificate), []),
    rootNamespace: optional(string, ''),
    pathNormalization: optional(record({ normalization: optional(normalization, 'BASE') }, lenient), {
      normalization: 'BASE',
    }),
    enableAutoMtls: optional(boolean, true),
    extensionProviders: optional(extensionProviders, []),
    defaultConfig: optional(proxyConfig, { gatewayTopology: null }),
  },
  { ...lenient, ignored: MESH_CONFIG_FIELDS },
)

export type RawMeshConfig = NonNullable<ReturnType<typeof meshConfig.decode>>

/** Names that tell a mesh configuration from other documents without a kind. */
export const meshConfigFields: ReadonlySet<string> = new Set(
  meshConfig.shape.kind === 'record' ? meshConfig.shape.fields.keys() : [],
)

export const DEFAULT_MESH_CONFIG: MeshConfig = {
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  certificateTrustDomains: [],
  rootNamespace: 'istio-system',
  pathNormalization: 'BASE',
  autoMtls: true,
  providers: [],
  otherProviders: [],
  gatewayTopology: DEFAULT_TOPOLOGY,
  origin: null,
}

export function toMeshConfig(raw: RawMeshConfig, origin: Origin): MeshConfig {
  const providers: Provider[] = []
  const otherProviders: string[] = []
  for (const provider of raw.extensionProviders) {
    if (provider.kind === 'other') otherProviders.push(provider.name)
    else providers.push(provider)
  }
  return {
    trustDomain: raw.trustDomain === '' ? DEFAULT_MESH_CONFIG.trustDomain : raw.trustDomain,
    trustDomainAliases: raw.trustDomainAliases,
    certificateTrustDomains: raw.caCertificates.flatMap(({ trustDomains }) => trustDomains),
    rootNamespace: raw.rootNamespace === '' ? DEFAULT_MESH_CONFIG.rootNamespace : raw.rootNamespace,
    pathNormalization: raw.pathNormalization.normalization,
    autoMtls: raw.enableAutoMtls,
    providers,
    otherProviders,
    gatewayTopology: raw.defaultConfig.gatewayTopology ?? DEFAULT_TOPOLOGY,
    origin,
  }
}

const DELEGATION = /ext[-_.]?authz|authz|grpc_?service|filter_?chain|extension_?chain|http_?filters?|listeners?/i

/** Tutorials put Envoy's own configuration into the mesh configuration; Istio has `extensionProviders` for that. */
function delegationHint(name: string, value: Json): string | null {
  if (!mentions(name, value, 500)) return null
  return (
    'the mesh configuration holds no filters: declare the authorization service under `extensionProviders`, as ' +
    '`- name: NAME` with `envoyExtAuthzGrpc: { service: HOST, port: PORT }` (or `envoyExtAuthzHttp`), and ask it with an ' +
    'AuthorizationPolicy of `action: CUSTOM` and `provider: { name: NAME }`'
  )
}

/** Whether a value speaks of external authorization; looks at so many values at most. */
function mentions(name: string, value: Json, most: number): boolean {
  const queue: [string, Json][] = [[name, value]]
  for (let looked = 0; looked < most; looked++) {
    const next = queue.shift()
    if (next === undefined) return false
    const [key, inner] = next
    if (DELEGATION.test(key) || (typeof inner === 'string' && DELEGATION.test(inner.slice(0, 200)))) return true
    if (inner !== null && typeof inner === 'object') queue.push(...Object.entries(inner).slice(0, most))
  }
  return false
}
