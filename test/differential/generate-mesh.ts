import type { Attachment } from './generate-policies.ts'
import { generatePolicies } from './generate-policies.ts'
import { type GeneratedProvider, generateProvider } from './generate-providers.ts'
import { type GeneratedRule, generateRules } from './generate-tokens.ts'
import type { Random } from './random.ts'
import type { Json, MeshSpec, Role } from './spec.ts'

/** A mesh with what its requests should know of it. */
export interface GeneratedMesh {
  readonly spec: MeshSpec
  readonly trustDomains: readonly string[]
  readonly mtls: 'STRICT' | 'PERMISSIVE' | 'DISABLE'
  readonly providers: readonly GeneratedProvider[]
  readonly rules: readonly GeneratedRule[]
}

const LABELS = { app: 'web', version: 'v1' }
const NAMESPACE = 'foo'
const ROOT = 'istio-system'

export function generateMesh(random: Random): GeneratedMesh {
  const role = random.weighted<Role>([
    [84, () => 'sidecar'],
    [5, () => 'gateway'],
    [5, () => 'gatewayApi'],
    [6, () => 'waypoint'],
  ])
  const protocol = role === 'sidecar' && random.chance(0.16) ? 'tcp' : 'http'
  const trustDomain = random.pick(['cluster.local', 'cluster.local', 'td1'])
  const aliases = random.pick([[], [], ['old'], [trustDomain === 'td1' ? 'cluster.local' : 'td1', 'old']])
  const providers = random.chance(0.4) ? providersOf(random) : []
  const { rules, documents: jwtRules } = random.chance(protocol === 'http' ? 0.5 : 0.05)
    ? generateRules(random)
    : { rules: [], documents: [] }
  const mtls = random.weighted<GeneratedMesh['mtls']>([
    [6, () => 'PERMISSIVE'],
    [2, () => 'STRICT'],
    [1, () => 'DISABLE'],
  ])
  const attachments = attachmentsOf(role)
  const authentications = jwtRules.length === 0 ? [] : authenticationsOf(random, jwtRules, attachments)
  const context = {
    namespace: NAMESPACE,
    labels: LABELS,
    tcp: protocol === 'tcp',
    providers: providers.map(({ name }) => name),
    attachments,
  }
  const service = role === 'waypoint' ? random.pick([...Object.keys(SERVICES), 'elsewhere.example']) : null
  return {
    trustDomains: [trustDomain, ...aliases],
    mtls,
    providers,
    rules,
    spec: {
      role,
      protocol,
      workload: role === 'gatewayApi' || role === 'waypoint' ? `${NAMESPACE}/gw` : `${NAMESPACE}/web`,
      service,
      documents: [
        ...workloadDocuments(role, protocol),
        meshConfig(random, trustDomain, aliases, providers, role),
        ...serviceEntries(providers),
        ...(mtls === 'PERMISSIVE' && random.chance(0.6) ? [] : peerAuthentications(random, mtls)),
        ...authentications,
        ...generatePolicies(random, context),
      ],
    },
  }
}

function providersOf(random: Random): readonly GeneratedProvider[] {
  const first = generateProvider(random, random.pick(['opa', 'ext']))
  return random.chance(0.08) ? [first, generateProvider(random, `${first.name}-v2`)] : [first]
}

function meshConfig(
  random: Random,
  trustDomain: string,
  aliases: readonly string[],
  providers: readonly GeneratedProvider[],
  role: Role,
): Json {
  const mode = random.pick([
    null,
    'DEFAULT',
    'NONE',
    'BASE',
    'BASE',
    'MERGE_SLASHES',
    'MERGE_SLASHES',
    'DECODE_AND_MERGE_SLASHES',
    'DECODE_AND_MERGE_SLASHES',
  ])
  const hops = role === 'gateway' || role === 'gatewayApi' ? random.int(4) : 0
  const mesh = {
    ...(trustDomain === 'cluster.local' ? {} : { trustDomain }),
    ...(aliases.length === 0 ? {} : { trustDomainAliases: aliases }),
    ...(mode === null ? {} : { pathNormalization: { normalization: mode } }),
    ...(providers.length === 0 ? {} : { extensionProviders: providers.map(({ config }) => config) }),
    ...(hops === 0 ? {} : { defaultConfig: { gatewayTopology: { numTrustedProxies: hops } } }),
  }
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: ROOT }, data: { mesh } }
}

function serviceEntries(providers: readonly GeneratedProvider[]): readonly Json[] {
  const kinds = [...new Set(providers.map(({ kind }) => kind))]
  return kinds.map((kind) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: `${kind}-authz`, namespace: NAMESPACE },
    spec: {
      hosts: [`${kind}.authz`],
      ports: [
        { number: `@${kind}-port@`, name: kind, protocol: kind === 'grpc' ? 'GRPC' : 'HTTP' },
        { number: '@closed-port@', name: 'closed', protocol: kind === 'grpc' ? 'GRPC' : 'HTTP' },
      ],
      resolution: 'STATIC',
      endpoints: [{ address: '@self@' }],
    },
  }))
}

function peerAuthentications(random: Random, mode: GeneratedMesh['mtls']): readonly Json[] {
  const document = (namespace: string, name: string, spec: Json): Json => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name, namespace },
    spec,
  })
  const selector = { matchLabels: { app: 'web' } }
  return random.pick<() => readonly Json[]>([
    () => [document(NAMESPACE, 'peers', { selector, mtls: { mode } })],
    () => [document(NAMESPACE, 'peers', { mtls: { mode } })],
    () => [document(ROOT, 'peers', { mtls: { mode } })],
    () => [document(ROOT, 'peers', { mtls: { mode: 'STRICT' } }), document(NAMESPACE, 'own', { mtls: { mode } })],
    () => [
      document(NAMESPACE, 'peers', { selector, mtls: { mode: 'UNSET' }, portLevelMtls: { '@port@': { mode } } }),
      document(NAMESPACE, 'all', { mtls: { mode: 'PERMISSIVE' } }),
    ],
  ])()
}

function authenticationsOf(
  random: Random,
  jwtRules: readonly Json[],
  attachments: readonly ((random: Random) => Attachment)[],
): readonly Json[] {
  const split = jwtRules.length > 1 && random.chance(0.4)
  const groups = split ? jwtRules.map((rule) => [rule]) : [jwtRules]
  return groups.map((group, i) => {
    // The first of each list attaches; the requests' tokens are meant for rules that do.
    const { namespace, spec } = (
      random.chance(0.85) ? (attachments[0] as (typeof attachments)[number]) : random.pick(attachments)
    )(random)
    return {
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { name: `jwt${i}`, namespace },
      spec: { ...spec, jwtRules: group },
    }
  })
}

const SERVICES: { readonly [host: string]: 'Service' | 'ServiceEntry' } = {
  'web.foo.svc.cluster.local': 'Service',
  'web.bar.svc.cluster.local': 'Service',
  'api.example.com': 'ServiceEntry',
}

/** Ways to attach that reach the workload first and most; then some that do not. */
function attachmentsOf(role: Role): readonly ((random: Random) => Attachment)[] {
  const at = (namespace: string, spec: Attachment['spec']) => () => ({ namespace, spec })
  const selector = (labels: Json) => ({ selector: { matchLabels: labels } })
  const target = (group: string, kind: string, name: string) => ({ targetRefs: [{ group, kind, name }] })
  const gatewayApi = 'gateway.networking.k8s.io'
  if (role === 'waypoint') {
    return [
      at(NAMESPACE, target(gatewayApi, 'Gateway', 'gw')),
      at(NAMESPACE, target(gatewayApi, 'Gateway', 'gw')),
      at(NAMESPACE, { targetRef: { group: gatewayApi, kind: 'Gateway', name: 'gw' } }),
      at(NAMESPACE, target('', 'Service', 'web')),
      at('bar', target('core', 'Service', 'web')),
      at('bar', target('networking.istio.io', 'ServiceEntry', 'api')),
      at(ROOT, target(gatewayApi, 'GatewayClass', 'istio-waypoint')),
      at(ROOT, target(gatewayApi, 'GatewayClass', 'istio')),
      at(NAMESPACE, {}),
      at(NAMESPACE, target(gatewayApi, 'Gateway', 'other')),
    ]
  }
  const label = role === 'gatewayApi' ? { 'gateway.networking.k8s.io/gateway-name': 'gw' } : { app: 'web' }
  const common = [
    at(NAMESPACE, {}),
    at(NAMESPACE, {}),
    at(NAMESPACE, selector(label)),
    at(NAMESPACE, selector(label)),
    at(ROOT, {}),
    at(ROOT, selector(label)),
    at(NAMESPACE, selector({ ...label, version: 'v2' })),
    at('bar', {}),
    at(NAMESPACE, target(gatewayApi, 'Gateway', 'gw')),
  ]
  return role === 'gatewayApi' ? [at(NAMESPACE, target(gatewayApi, 'Gateway', 'gw')), ...common] : common
}

function workloadDocuments(role: Role, protocol: 'http' | 'tcp'): readonly Json[] {
  const gateway = (className: string): Json => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'gw', namespace: NAMESPACE },
    spec: { gatewayClassName: className, listeners: [{ name: 'http', port: '@port@', protocol: 'HTTP' }] },
  })
  if (role === 'gatewayApi') return [gateway('istio')]
  if (role === 'waypoint') return [gateway('istio-waypoint'), service('web', NAMESPACE), service('web', 'bar'), entry()]
  const ports = ['@port@', '@other-port@'].map((port, i) => ({ name: `${protocol}-${i}`, port, targetPort: port }))
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: NAMESPACE },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: LABELS },
          spec: { serviceAccountName: 'web', containers: [{ name: 'app', image: 'example/web:1' }] },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: NAMESPACE },
      spec: { selector: { app: 'web' }, ports },
    },
    ...(role === 'gateway'
      ? [
          {
            apiVersion: 'networking.istio.io/v1',
            kind: 'Gateway',
            metadata: { name: 'g', namespace: NAMESPACE },
            spec: {
              selector: { app: 'web' },
              servers: [{ port: { number: '@port@', name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
            },
          },
        ]
      : []),
  ]
}

function service(name: string, namespace: string): Json {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { ports: [{ name: 'http', port: 80 }] },
  }
}

function entry(): Json {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'api', namespace: 'bar' },
    spec: { hosts: ['api.example.com'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
  }
}
