import type { Random } from './random.ts'
import type { Json } from './spec.ts'
import { claims, vocabulary, whenKeys } from './vocabulary.ts'

type Action = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'
type Values = keyof typeof vocabulary

/** What the policies of a mesh may refer to. */
export interface PolicyContext {
  readonly namespace: string
  readonly labels: { readonly [name: string]: string }
  readonly tcp: boolean
  readonly providers: readonly string[]
  readonly attachments: readonly ((random: Random) => Attachment)[]
}

export interface Attachment {
  readonly namespace: string
  readonly spec: { readonly [name: string]: Json }
}

export function generatePolicies(random: Random, context: PolicyContext): readonly Json[] {
  const count = random.weighted([
    [1, () => 0],
    [4, () => 1],
    [5, () => 2],
    [4, () => 3],
    [2, () => 4 + random.int(4)],
  ])
  return Array.from({ length: count }, (_, i) => policy(random, context, i))
}

function policy(random: Random, context: PolicyContext, index: number): Json {
  const action = random.weighted<Action>([
    [40, () => 'ALLOW'],
    [32, () => 'DENY'],
    [8, () => 'AUDIT'],
    [context.providers.length > 0 ? 34 : 2, () => 'CUSTOM'],
  ])
  const { namespace, spec } = random.pick(context.attachments)(random)
  const dryRun = random.chance(action === 'AUDIT' || action === 'CUSTOM' ? 0.04 : 0.18)
  const rules = rulesOf(random, action, context)
  const provider = context.providers.length > 0 && random.chance(0.95) ? random.pick(context.providers) : 'missing'
  return {
    apiVersion: random.chance(0.8) ? 'security.istio.io/v1' : 'security.istio.io/v1beta1',
    kind: 'AuthorizationPolicy',
    metadata: {
      name: `p${index}`,
      namespace,
      ...(dryRun
        ? { annotations: { 'istio.io/dry-run': random.pick(['true', 'true', 'true', 'T', 'false', 'yes']) } }
        : {}),
    },
    spec: {
      ...spec,
      ...(action === 'ALLOW' && random.chance(0.5) ? {} : { action }),
      ...(action === 'CUSTOM' ? { provider: { name: provider } } : {}),
      ...(rules === null ? {} : { rules }),
    },
  }
}

function rulesOf(random: Random, action: Action, context: PolicyContext): readonly Json[] | null {
  if (random.chance(action === 'ALLOW' ? 0.04 : 0.01)) return random.chance(0.5) ? null : []
  if (random.chance(action === 'CUSTOM' ? 0.5 : 0.05)) return [{}]
  const most = random.chance(0.06) ? 14 : 3
  return Array.from({ length: 1 + random.int(most) }, () => rule(random, action, context))
}

function rule(random: Random, action: Action, context: PolicyContext): Json {
  const parts = random.some(['from', 'to', 'when'], 1, random.chance(0.6) ? 1 : 3)
  // Istio takes fewer fields in a CUSTOM policy; what it refuses there still compiles, and is made at times.
  const custom = action === 'CUSTOM' && random.chance(0.95)
  const many = () => (random.chance(0.75) ? 1 : 2)
  const l4 = context.tcp && random.chance(0.6)
  return {
    ...(parts.includes('from')
      ? { from: Array.from({ length: many() }, () => ({ source: source(random, custom, l4) })) }
      : {}),
    ...(parts.includes('to')
      ? { to: Array.from({ length: many() }, () => ({ operation: operation(random, l4) })) }
      : {}),
    ...(parts.includes('when') ? { when: Array.from({ length: many() }, () => condition(random, custom, l4)) } : {}),
  }
}

const sourceFields: readonly (readonly [field: string, values: Values])[] = [
  ['principals', 'principals'],
  ['requestPrincipals', 'requestPrincipals'],
  ['namespaces', 'namespaces'],
  ['serviceAccounts', 'serviceAccounts'],
  ['trustDomains', 'trustDomains'],
  ['ipBlocks', 'ips'],
  ['remoteIpBlocks', 'remoteIps'],
]
const customSourceFields = sourceFields.slice(5)
const l4SourceFields = sourceFields.filter(([field]) => field !== 'requestPrincipals')

const operationFields: readonly (readonly [field: string, values: Values])[] = [
  ['hosts', 'hosts'],
  ['ports', 'ports'],
  ['methods', 'methods'],
  ['paths', 'paths'],
  ['paths', 'paths'],
]
const l4OperationFields = operationFields.slice(1, 2)

function source(random: Random, custom: boolean, l4: boolean): Json {
  return fields(random, custom ? customSourceFields : l4 ? l4SourceFields : sourceFields)
}

function operation(random: Random, l4: boolean): Json {
  return fields(random, l4 ? l4OperationFields : operationFields)
}

function fields(random: Random, from: readonly (readonly [string, Values])[]): Json {
  const chosen = random.some(from, 1, random.chance(0.7) ? 1 : 3)
  const result: { [name: string]: Json } = {}
  for (const [field, values] of chosen) {
    const both = random.chance(0.08)
    const not = random.chance(0.25)
    if (!not || both) result[field] = valuesOf(random, values)
    if (not || both) result[`not${field.charAt(0).toUpperCase()}${field.slice(1)}`] = valuesOf(random, values)
  }
  return result
}

/** One to three of the vocabulary, and seldom one that cannot be used. */
function valuesOf(random: Random, name: Values): readonly string[] {
  const from = vocabulary[name] as readonly string[]
  const chosen = random.some(from, 1, random.chance(0.6) ? 1 : 3)
  const bad = (vocabulary.bad as { readonly [name: string]: readonly string[] })[name]
  if (bad !== undefined && random.chance(0.03))
    chosen.splice(random.int(chosen.length + 1), random.int(2), random.pick(bad))
  return chosen.length === 0 ? [random.pick(from)] : chosen
}

const valuesByKey: { readonly [key: string]: Values } = {
  'source.ip': 'ips',
  'remote.ip': 'remoteIps',
  'source.namespace': 'namespaces',
  'source.principal': 'principals',
  'source.serviceAccount': 'serviceAccounts',
  'source.trustDomain': 'trustDomains',
  'request.auth.principal': 'requestPrincipals',
  'request.auth.audiences': 'values',
  'request.auth.presenter': 'values',
  'destination.ip': 'destinationIps',
  'destination.port': 'ports',
  'connection.sni': 'snis',
}

const CUSTOM_KEYS = ['source.ip', 'remote.ip', 'destination.ip', 'destination.port', 'connection.sni'] as const

function condition(random: Random, custom: boolean, l4: boolean): Json {
  const [key, values] = random.weighted<readonly [string, Values]>([
    [
      10,
      () => {
        const keys = custom ? CUSTOM_KEYS : l4 ? whenKeys.filter((one) => !one.startsWith('request')) : whenKeys
        const one = random.pick(keys)
        return [one, valuesByKey[one] as Values]
      },
    ],
    [l4 ? 0.5 : 6, () => header(random)],
    [custom || l4 ? 0.2 : 4, () => [`request.auth.claims[${random.pick(claims)}]`, 'values']],
    [
      0.6,
      () => [
        `experimental.envoy.filters.${random.pick(['http.jwt_authn', 'http.f'])}[${random.pick(['payload', 'k'])}]`,
        'values',
      ],
    ],
    [
      0.4,
      () => [
        random.pick(['unknown', 'source.serviceaccount', 'request.headers', 'request.auth.claims', 'source.user']),
        'values',
      ],
    ],
  ])
  const not = random.chance(0.3)
  const list = valuesOf(random, values).filter((value) => value !== '' || random.chance(0.2))
  const used = list.length === 0 ? ['v'] : list
  if (random.chance(0.06)) return { key, values: used, notValues: valuesOf(random, values) }
  return not ? { key, notValues: used } : { key, values: used }
}

function header(random: Random): readonly [string, Values] {
  const name = random.pick(vocabulary.headers)
  const values: Values =
    name === ':path'
      ? 'paths'
      : name === ':method'
        ? 'methods'
        : name === 'host' || name === ':authority'
          ? 'hosts'
          : name === 'x-forwarded-for'
            ? 'remoteIps'
            : 'values'
  return [`request.headers[${name}]`, values]
}
