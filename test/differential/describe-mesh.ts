import type { Hit } from './coverage.ts'
import { type Fields, fieldsOf, listOf } from './json-fields.ts'
import type { Json, MeshSpec } from './spec.ts'
import { conditionKeys } from './vocabulary.ts'

/** What a mesh reaches, for the table of coverage. */
export function describeMesh({ role, documents }: MeshSpec, hit: Hit): void {
  hit('workloads', role)
  let mode = 'PERMISSIVE'
  for (const document of documents) {
    const { kind, metadata, spec, data } = fieldsOf(document)
    const namespace = String(fieldsOf(metadata).namespace)
    const fields = fieldsOf(spec)
    if (kind === 'AuthorizationPolicy') describePolicy(namespace, fieldsOf(metadata), fields, hit)
    else if (kind === 'RequestAuthentication') describeTokens(fields, hit)
    else if (kind === 'ConfigMap') describeConfig(fieldsOf(fieldsOf(data).mesh), hit)
    else if (kind === 'PeerAuthentication') {
      if (fields.portLevelMtls !== undefined) hit('mesh settings', 'port level mTLS')
      mode = /STRICT|DISABLE/.exec(JSON.stringify(fields))?.[0] ?? mode
    }
  }
  hit('mesh settings', mode)
}

function describePolicy(namespace: string, metadata: Fields, spec: Fields, hit: Hit): void {
  const action = String(spec.action ?? 'ALLOW')
  hit('actions', action)
  if (/^(?:true|T)$/.test(String(fieldsOf(metadata.annotations)['istio.io/dry-run'])))
    hit('actions', `dry-run ${action}`)
  const rules = listOf(spec.rules)
  if (rules.length === 0) hit('actions', 'no rules')
  if (rules.length > 10) hit('actions', 'rules over ten')
  if (action === 'CUSTOM' && fieldsOf(spec.provider).name === 'missing') hit('providers', 'missing')
  const [target] = [...listOf(spec.targetRefs), ...(spec.targetRef === undefined ? [] : [spec.targetRef])]
  if (spec.targetRef !== undefined) hit('attachments', 'targetRef')
  else if (target !== undefined) hit('attachments', `targetRefs ${fieldsOf(target).kind}`)
  else if (namespace === 'istio-system')
    hit('attachments', spec.selector === undefined ? 'root namespace' : 'root selector')
  else if (namespace === 'bar') hit('attachments', 'other namespace')
  else hit('attachments', spec.selector === undefined ? 'namespace' : 'selector')
  for (const rule of rules) describeRule(fieldsOf(rule), hit)
}

function describeRule(rule: Fields, hit: Hit): void {
  if (Object.keys(rule).length === 0) hit('actions', 'rules: [{}]')
  const ends = [
    ...listOf(rule.from).map((from) => fieldsOf(from).source),
    ...listOf(rule.to).map((to) => fieldsOf(to).operation),
  ]
  for (const fields of ends) {
    for (const [field, values] of Object.entries(fieldsOf(fields))) {
      hit('fields', field)
      describeValues(field, listOf(values), hit)
    }
  }
  for (const condition of listOf(rule.when)) {
    const { key, values, notValues } = fieldsOf(condition)
    const family = familyOf(String(key))
    if (values !== undefined) hit('when keys', family)
    if (notValues !== undefined) hit('when keys', `not ${family}`)
    describeValues(family, [...listOf(values), ...listOf(notValues)], hit)
  }
}

function familyOf(key: string): string {
  if (key.startsWith('request.headers[')) return 'request.headers[]'
  if (key.startsWith('request.auth.claims['))
    return key.includes('][') ? 'request.auth.claims[][]' : 'request.auth.claims[]'
  if (key.startsWith('experimental.envoy.filters.')) return 'experimental.envoy.filters.*'
  return conditionKeys.includes(key) ? key : 'unknown'
}

function describeValues(field: string, values: readonly Json[], hit: Hit): void {
  for (const value of values.map(String)) hit('operators', operatorOf(field, value))
}

function operatorOf(field: string, value: string): string {
  if (/ip(?:Blocks)?$/i.test(field)) {
    if (!/^(?:@self@|[0-9a-f:.]{2,})(?:\/\d+)?$/.test(value) || /^1\.2\.3/.test(value)) return 'cannot be used'
    if (value.includes(':')) return 'IPv6'
    return value.includes('/') ? 'CIDR' : 'single IP'
  }
  if (/ports?$/i.test(field)) return /^(?:@[a-z-]+@|80|1)$/.test(value) ? 'exact' : 'cannot be used'
  if (value.includes('{**}')) return 'template {**}'
  if (value.includes('{*}')) return 'template {*}'
  if (value === '*') return 'presence'
  if (value.startsWith('*')) return 'suffix'
  return value.endsWith('*') ? 'prefix' : 'exact'
}

const ruleFields = [
  'audiences',
  'fromHeaders',
  'fromParams',
  'fromCookies',
  'forwardOriginalToken',
  'outputPayloadToHeader',
  'outputClaimToHeaders',
  'spaceDelimitedClaims',
]

function describeTokens(spec: Fields, hit: Hit): void {
  const rules = listOf(spec.jwtRules)
  hit('token rules', rules.length > 1 ? 'several' : 'one')
  for (const rule of rules) {
    const fields = fieldsOf(rule)
    if (fields.issuer === undefined) hit('token rules', 'no issuer')
    for (const field of ruleFields) if (fields[field] !== undefined) hit('token rules', field)
  }
}

function describeConfig(mesh: Fields, hit: Hit): void {
  if (mesh.trustDomainAliases !== undefined) hit('mesh settings', 'aliases')
  if (mesh.trustDomain !== undefined) hit('mesh settings', 'other trust domain')
  if (mesh.defaultConfig !== undefined) hit('mesh settings', 'trusted proxies')
  hit('mesh settings', `path mode ${fieldsOf(mesh.pathNormalization).normalization ?? 'unset'}`)
  const providers = listOf(mesh.extensionProviders)
  if (providers.length > 1) hit('providers', 'several')
  for (const provider of providers) {
    const { envoyExtAuthzGrpc, envoyExtAuthzHttp } = fieldsOf(provider)
    hit('providers', envoyExtAuthzGrpc === undefined ? 'http' : 'grpc')
    const fields = fieldsOf(envoyExtAuthzGrpc ?? envoyExtAuthzHttp)
    const body = fieldsOf(fields.includeRequestBodyInCheck)
    const settings: readonly (readonly [string, boolean])[] = [
      ['unreachable', fields.port === '@closed-port@'],
      ['failOpen', fields.failOpen === true],
      ['statusOnError', fields.statusOnError !== undefined],
      ['request body', fields.includeRequestBodyInCheck !== undefined],
      ['partial body', body.allowPartialMessage === true],
      ['packed body', body.packAsBytes === true],
      ['path prefix', fields.pathPrefix !== undefined],
      ['headers in check', fields.includeRequestHeadersInCheck !== undefined],
      ['headers upstream', fields.headersToUpstreamOnAllow !== undefined],
      ['headers downstream on allow', fields.headersToDownstreamOnAllow !== undefined],
      ['headers downstream on deny', fields.headersToDownstreamOnDeny !== undefined],
    ]
    for (const [item, there] of settings) if (there) hit('providers', item)
  }
}
