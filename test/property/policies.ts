import fc from 'fast-check'
import { HeaderMap } from '#src/match/header-map.ts'
import { parseIp } from '#src/match/ip.ts'
import type {
  Action,
  AuthorizationPolicy,
  Operation,
  Rule,
  Source,
  Values,
  When,
} from '#src/mesh/authorization-policy.ts'
import type { Provider } from '#src/mesh/provider.ts'
import { type Claims, Facts } from '#src/policy/facts.ts'
import type { SourceDocument } from '#src/source/document.ts'

const document: SourceDocument = {
  file: 'random.yaml',
  linesBefore: 0,
  value: null,
  locate: () => ({ line: 1, column: 1 }),
}

const principals = [
  '*',
  'cluster.local/ns/a/sa/s',
  'td1/ns/a/sa/s',
  '*/sa/s',
  'cluster.local/ns/a/*',
  '*/ns/a/sa/t',
  'x',
]
const texts = {
  principals,
  requestPrincipals: ['*', 'https://idp/u', 'https://idp/*', '*/u', '*u', 'i*', 'https://*', '*/*', 'i'],
  namespaces: ['a', 'b', '*', 'a*', '*b', 'a.b'],
  serviceAccounts: ['s', 'a/s', 'b/t', 's.v1'],
  trustDomains: ['cluster.local', 'td1', 'td*', '*local', '*'],
  ips: ['127.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/33', 'bad', '1.2.3.4/40'],
  hosts: ['e.com', 'E.com', '*.e.com', 'e*', '*', 'e.com:80'],
  ports: ['80', '8080', '70000', 'x'],
  methods: ['GET', 'POST', '*', 'G*', 'get'],
  paths: ['/a', '/a/*', '*/b', '*', '/{*}/b', '/a/{**}', '/{**}/{*}', '/', '/a/*/b'],
  claims: ['v', 'v*', '*v', '*', 'w'],
}

const keys: readonly (readonly [string, readonly string[]])[] = [
  ['request.headers[x-a]', texts.claims],
  ['request.headers[Accept]', texts.claims],
  ['request.headers[host]', texts.hosts],
  ['request.headers[:path]', texts.paths],
  ['request.headers', texts.claims],
  ['source.ip', texts.ips],
  ['remote.ip', texts.ips],
  ['destination.ip', texts.ips],
  ['destination.port', texts.ports],
  ['connection.sni', texts.hosts],
  ['source.namespace', texts.namespaces],
  ['source.principal', texts.principals],
  ['source.serviceAccount', texts.serviceAccounts],
  ['source.trustDomain', texts.trustDomains],
  ['request.auth.principal', texts.requestPrincipals],
  ['request.auth.audiences', texts.claims],
  ['request.auth.presenter', texts.claims],
  ['request.auth.claims[c]', texts.claims],
  ['request.auth.claims[c][d]', texts.claims],
  ['request.auth.claims[[c]]', texts.claims],
  ['request.auth.claims[constructor]', texts.claims],
  ['experimental.envoy.filters.http.f[k]', ['v', '[v]', '[*]', '*']],
  ['unknown', texts.claims],
]

function values(from: readonly string[]): fc.Arbitrary<Values> {
  const list = (weight: number) =>
    fc.oneof(
      { weight, arbitrary: fc.constant<string[]>([]) },
      { weight: 1, arbitrary: fc.array(fc.constantFrom(...from), { minLength: 1, maxLength: 3 }) },
    )
  return fc.record({ values: list(3), notValues: list(7) })
}

const source: fc.Arbitrary<Source> = fc.record({
  principals: values(texts.principals),
  requestPrincipals: values(texts.requestPrincipals),
  namespaces: values(texts.namespaces),
  serviceAccounts: values(texts.serviceAccounts),
  trustDomains: values(texts.trustDomains),
  ipBlocks: values(texts.ips),
  remoteIpBlocks: values(texts.ips),
})

const operation: fc.Arbitrary<Operation> = fc.record({
  hosts: values(texts.hosts),
  ports: values(texts.ports),
  methods: values(texts.methods),
  paths: values(texts.paths),
})

const when: fc.Arbitrary<When> = fc
  .constantFrom(...keys)
  .chain(([key, from]) => values(from).map((v) => ({ key, ...v })))

const rule: fc.Arbitrary<Rule> = fc.record({
  from: fc.option(fc.array(source, { maxLength: 2 }), { nil: null }),
  to: fc.option(fc.array(operation, { maxLength: 2 }), { nil: null }),
  when: fc.array(when, { maxLength: 2 }),
})

export function policyOf(
  name: string,
  action: Action,
  rules: readonly Rule[],
  extra: { readonly dryRun?: boolean; readonly provider?: string; readonly namespace?: string } = {},
): AuthorizationPolicy {
  return {
    kind: 'AuthorizationPolicy',
    meta: { name, namespace: extra.namespace ?? 'a', labels: {}, annotations: {}, createdAt: 0 },
    origin: { document, path: [] },
    attachment: { kind: 'namespace' },
    action,
    provider: action === 'CUSTOM' ? (extra.provider ?? 'opa') : null,
    dryRun: extra.dryRun ?? false,
    rules,
  }
}

export const policies: fc.Arbitrary<readonly AuthorizationPolicy[]> = fc
  .array(
    fc.record({
      action: fc.constantFrom<Action>('ALLOW', 'DENY', 'ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
      rules: fc.array(rule, { maxLength: 3 }),
      dryRun: fc.boolean(),
      provider: fc.constantFrom('opa', 'opa', 'opa', 'missing'),
    }),
    { maxLength: 4 },
  )
  .map((list) => list.map(({ action, rules, ...extra }, i) => policyOf(`p${i}`, action, rules, extra)))

export const opa: Provider = {
  kind: 'grpc',
  name: 'opa',
  service: 'opa.local',
  port: 9191,
  timeout: 1000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: null,
}

const ip = (text: string) => {
  const parsed = parseIp(text)
  if (parsed === null) throw new Error(`no address: ${text}`)
  return parsed
}

const address = fc.constantFrom('127.0.0.1', '10.1.2.3', '::1', '2001:db8::1').map(ip)
const claim = fc.constantFrom<Claims[string]>('v', 'vw', 'w', '', 'v\nv', ['v', 'w'], [1, 'x'], 1, true, null, {
  d: 'v',
})

const connection = fc.record({
  peer: fc.constantFrom(
    '',
    'spiffe://cluster.local/ns/a/sa/s',
    'spiffe://td1/ns/a/sa/s',
    'spiffe://td2/ns/ab/sa/t',
    'spiffe://cluster.local/ns/a/b/sa/s.v1/x',
    'spiffe://td1/workload/x',
  ),
  sourceIp: address,
  destinationIp: address,
  destinationPort: fc.constantFrom(80, 8080),
  sni: fc.constantFrom('', 'e.com', 'a.e.com'),
})

const request = fc.record({
  method: fc.constantFrom('GET', 'POST', 'get'),
  path: fc.constantFrom('/', '/a', '/a/b', '/a/', '/a?x=/b', '/x/b', '/a//b', '/a[/b'),
  host: fc.constantFrom('e.com', 'E.COM', 'a.e.com', 'e.com:80', ''),
  scheme: fc.constant('http'),
  headers: fc
    .array(fc.tuple(fc.constantFrom('x-a', 'accept', 'b'), fc.constantFrom('v', 'w', '', 'v,w')), { maxLength: 4 })
    .map((lines) => HeaderMap.from(lines)),
  remoteIp: address,
})

const claims: fc.Arbitrary<Claims | null> = fc.option(
  fc.record(
    {
      iss: fc.constantFrom<Claims[string]>('https://idp', 'i', '', 1),
      sub: fc.constantFrom<Claims[string]>('u', 'v', '', null),
      aud: claim,
      azp: claim,
      c: claim,
    },
    { requiredKeys: [] },
  ),
  { nil: null },
)

export const httpFacts: fc.Arbitrary<Facts> = fc
  .tuple(connection, request, claims, fc.option(claim, { nil: null }))
  .map(([c, r, token, metadata]) => {
    const facts = Facts.ofRequest(c, r)
    facts.authenticated(r.path, token)
    if (metadata !== null) facts.metadata = { 'envoy.filters.http.f': { k: metadata } }
    return facts
  })

export const tcpFacts: fc.Arbitrary<Facts> = connection.map((c) => Facts.ofConnection(c))
