import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { loadMesh } from './load.ts'
import { validateMesh } from './validate.ts'

/** What happens to an ALLOW rule with something that Istio's compiler cannot express. */
const DROPPED = 'loaded all the same, the whole rule is dropped and allows nothing'

function findings(text: string): string[] {
  const parsed = parseSource('a.yaml', text)
  const { mesh, diagnostics } = loadMesh(parsed.documents)
  assert.deepEqual([...parsed.diagnostics, ...diagnostics], [], text)
  return validateMesh(mesh).map((d) => {
    assert.ok(d.help !== undefined && d.help !== '', d.message)
    return `${d.code} ${d.severity} ${d.line}:${d.column} ${d.message}`
  })
}

/** Each case: the lines after `spec:` (which is line 3, the lines at column 3), then what is found. */
function table(kind: string, cases: readonly (readonly [string, ...string[]])[]): void {
  for (const [spec, ...expected] of cases) {
    const indented = spec.replaceAll(/^(?=.)/gm, '  ')
    const text = `apiVersion: security.istio.io/v1\nkind: ${kind}\nspec:\n${indented}\nmetadata: { name: p }\n`
    assert.deepEqual(findings(text), expected, spec)
  }
}

test('a misspelt field is one error, without those that follow from it', () => {
  const codes = (kind: string, spec: string) => {
    const text = `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: { name: p }\nspec: ${spec}\n`
    const { mesh, diagnostics } = loadMesh(parseSource('a', text).documents)
    return [...diagnostics, ...validateMesh(mesh)].map(({ code }) => code)
  }
  const specs = [
    '{ action: DENY, rule: [{}] }',
    '{ action: CUSTOM, rules: [{}], providers: { name: x } }',
    '{ action: CUSTOM, rules: [{}], provider: { nam: x } }',
    '{ rules: [{ from: [{ sources: { principals: [a/b] } }] }] }',
    '{ rules: [{ from: [{ source: { principal: [a/b] } }] }] }',
    '{ rules: [{ to: [{ operations: { ports: ["1"] } }] }] }',
    '{ rules: [{ when: [{ kye: source.ip, values: [10.0.0.1] }] }] }',
    '{ rules: [{ when: [{ key: source.ip, value: [10.0.0.1] }] }] }',
    '{ targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, nmae: x }] }',
    '{ targetRefs: [{ group: gateway.networking.k8s.io, knd: Gateway, name: x }] }',
    '{ selector: { matchLabel: { a: b } } }',
  ]
  for (const spec of specs) assert.deepEqual(codes('AuthorizationPolicy', spec), ['SP103'], spec)
  assert.deepEqual(codes('RequestAuthentication', '{ jwtRules: [{ isuer: a }] }'), ['SP103'])
  assert.deepEqual(codes('AuthorizationPolicy', '{ action: custom, rules: [{}], provider: { name: x } }'), ['SP106'])
  assert.deepEqual(codes('AuthorizationPolicy', '{ action: DENY, rules: {} }'), ['SP104'])
})

test('attachment', () => {
  const gateway = '{ group: gateway.networking.k8s.io, kind: Gateway, name: g }'
  table('AuthorizationPolicy', [
    [
      `selector: { matchLabels: { a: b } }\ntargetRefs: [${gateway}]`,
      'SP201 error 5:3 only one of targetRefs or workloadSelector can be set',
    ],
    ['selector: { matchLabels: { "": b } }', 'SP202 error 4:30 empty key is not supported in selector: "=b"'],
    ['selector: { matchLabels: { a: "b*" } }', 'SP202 error 4:30 wildcard is not supported in selector: "a=b*"'],
    ['selector: { matchLabels: { "a*": b } }', 'SP202 error 4:30 wildcard is not supported in selector: "a*=b"'],
    ['selector: {}', 'SP250 warning 4:3 workload selector specified without labels'],
    ['targetRefs: [{ group: "", kind: Service }]', 'SP203 error 4:16 targetRef name must be set'],
    [
      'targetRefs: [{ kind: Service, name: s, namespace: x }]',
      'SP203 error 4:42 targetRef namespace must not be set; cross namespace referencing is not supported',
    ],
    [
      'targetRef: { kind: Gateway, name: s }',
      'SP203 error 4:3 targetRef must be to one of core/Service, networking.istio.io/ServiceEntry, gateway.networking.k8s.io/Gateway, gateway.networking.k8s.io/GatewayClass but was /Gateway: the policy attaches to nothing by it',
    ],
    [
      `targetRefs: [${Array.from({ length: 17 }, () => gateway).join(', ')}]`,
      'SP217 error 4:3 refused by the API server: targetRefs may not have more than 16 entries, found 17',
    ],
    [`targetRefs: [${gateway}, { group: core, kind: Service, name: s }]`],
  ])
})

test('actions and providers', () => {
  table('AuthorizationPolicy', [
    ['action: DENY', 'SP204 error 4:3 DENY action without `rules` is meaningless as it will never be triggered'],
    [
      'action: DENY\nrules: []',
      'SP204 error 5:3 DENY action without `rules` is meaningless as it will never be triggered',
    ],
    [
      'action: CUSTOM\nprovider: { name: x }',
      'SP204 error 4:3 CUSTOM action without `rules` is meaningless as it will never be triggered',
      'SP301 warning 5:15 available providers are [] but found "x": requests that the policy matches are refused',
    ],
    [
      'action: CUSTOM\nrules: [{}]',
      'SP205 error 4:3 `provider.name` must not be empty: requests that the policy matches are refused',
    ],
    [
      'action: CUSTOM\nrules: [{}]\nprovider: { name: "" }',
      'SP205 error 6:3 `provider.name` must not be empty: requests that the policy matches are refused',
    ],
    ['provider: { name: x }', 'SP205 error 4:3 `provider` must not be with non CUSTOM action, found ALLOW'],
    [
      'action: DENY\nrules: [{}]\nprovider: {}',
      'SP205 error 6:3 `provider` must not be with non CUSTOM action, found DENY',
    ],
    ['action: ALLOW'],
    ['action: AUDIT'],
  ])
})

test('a CUSTOM rule knows no identities', () => {
  const unsupported = (name: string, at: string) =>
    `SP206 error ${at} ${name} is currently not supported with CUSTOM action${/RequestPrincipals|request\.auth/.test(name) ? ': the authorizer is asked before tokens are verified, as if there were none' : ''}`
  const custom = (rules: string): string => `provider: { name: x }\naction: CUSTOM\nrules:\n${rules}`
  const known =
    'SP301 warning 4:15 available providers are [] but found "x": requests that the policy matches are refused'
  const fields = [
    'principals',
    'notPrincipals',
    'requestPrincipals',
    'notRequestPrincipals',
    'namespaces',
    'notNamespaces',
  ]
  fields.push('serviceAccounts', 'notServiceAccounts', 'trustDomains', 'notTrustDomains')
  const cases: [string, ...string[]][] = fields.map((field) => [
    custom(`- from:\n  - source:\n      ${field}: [a]`),
    unsupported(`From.${field.charAt(0).toUpperCase()}${field.slice(1)}`, '9:9'),
    known,
  ])
  for (const key of [
    'source.namespace',
    'source.serviceAccount',
    'source.trustDomain',
    'source.principal',
    'request.auth.claims[a]',
  ]) {
    cases.push([custom(`- when: [{ key: "${key}", values: [a] }]`), unsupported(key, '7:14'), known])
  }
  cases.push([
    custom('- from: [{ source: { ipBlocks: [1.2.3.4] } }]\n  when: [{ key: source.ip, values: [1.2.3.4] }]'),
    known,
  ])
  table('AuthorizationPolicy', cases)
})

test('parts of rules', () => {
  table('AuthorizationPolicy', [
    ['rules:\n- from: [{}]', 'SP207 error 5:12 `from.source` must not be nil'],
    ['rules:\n- from: [{ source: {} }]', 'SP207 error 5:14 `from.source` must not be empty'],
    ['rules:\n- from: [{ source: { principals: [] } }]', 'SP207 error 5:14 `from.source` must not be empty'],
    ['rules:\n- to: [{}]', 'SP207 error 5:10 `to.operation` must not be nil'],
    ['rules:\n- to: [{ operation: {} }]', 'SP207 error 5:12 `to.operation` must not be empty'],
    ['rules: [{}]'],
    ['rules: [{ from: [], to: [], when: [] }]'],
  ])
  const many = Array.from({ length: 513 }, () => '{}').join(', ')
  table('AuthorizationPolicy', [
    [
      `rules: [${many}]`,
      'SP217 error 4:3 refused by the API server: rules may not have more than 512 entries, found 513',
    ],
  ])
})

test('values of sources', () => {
  const source = (fields: string, ...expected: string[]): [string, ...string[]] => [
    `rules:\n- from:\n  - source:\n      ${fields}`,
    ...expected,
  ]
  const long = 'a'.repeat(321)
  table('AuthorizationPolicy', [
    source('principals: [a, ""]', 'SP208 error 7:25 empty value not allowed, found in Principals'),
    source('notNamespaces: [""]', 'SP208 error 7:25 empty value not allowed, found in NotNamespaces'),
    source('ipBlocks: [""]', 'SP208 error 7:20 empty value not allowed, found in IpBlocks'),
    source('ipBlocks: [1.2.3.4, 1.2.3, "fd00::/8"]', `SP211 error 7:29 bad IP address (1.2.3): ${DROPPED}`),
    source('notRemoteIpBlocks: [1.2.3.4/33]', `SP211 error 7:29 bad CIDR range (1.2.3.4/33): ${DROPPED}`),
    source('serviceAccounts: ["*"]', 'SP209 error 7:27 wildcard not allowed, found in ServiceAccounts'),
    source(
      'serviceAccounts: [a/b/c]',
      `SP209 error 7:27 expected format 'serviceAccount' or 'namespace/serviceAccount', found "a/b/c" in ServiceAccounts`,
    ),
    source(
      'notServiceAccounts: [/a]',
      `SP209 error 7:30 expected format 'serviceAccount' or 'namespace/serviceAccount', found "/a" in NotServiceAccounts`,
    ),
    source(
      `serviceAccounts: [${long}]`,
      'SP209 error 7:27 value cannot exceed 320 characters (in UTF-8), found in ServiceAccounts',
    ),
    source(
      `serviceAccounts: [${Array.from({ length: 17 }, () => 'a').join(', ')}]`,
      'SP217 error 7:9 ServiceAccounts may not have more than 16 values, found 17',
    ),
    source(
      '{ serviceAccounts: [a], namespaces: [b] }',
      'SP209 error 7:11 cannot set serviceAccounts with namespaces or principals',
    ),
    source(
      '{ notServiceAccounts: [a], notPrincipals: [b] }',
      'SP209 error 7:11 cannot set serviceAccounts with namespaces or principals',
    ),
    source(
      'trustDomains: ["a*b"]',
      'SP210 error 7:24 wildcard is only allowed at the start or end, found in TrustDomains: "a*b"',
    ),
    source('trustDomains: ["*a*"]', 'SP210 error 7:24 at most one wildcard is allowed, found in TrustDomains: "*a*"'),
    source(
      'notTrustDomains: [a/b]',
      `SP210 error 7:27 trust domain must not contain '/', found in NotTrustDomains: "a/b"`,
    ),
    source('trustDomains: ["*", "a*", "*a", a]'),
    source('serviceAccounts: [a, b/c]'),
    source('principals: ["*a*", "a*b", "*"]'),
  ])
})

test('values of operations', () => {
  const operation = (fields: string, ...expected: string[]): [string, ...string[]] => [
    `rules:\n- to:\n  - operation:\n      ${fields}`,
    ...expected,
  ]
  const path = (value: string, message?: string): [string, ...string[]] =>
    operation(
      `paths: ["${value}"]`,
      ...(message === undefined
        ? []
        : [`SP213 error 7:17 invalid or unsupported path ${value}, found in Paths. ${message}`]),
    )
  table('AuthorizationPolicy', [
    operation('methods: [""]', 'SP208 error 7:19 empty value not allowed, found in Methods'),
    operation(
      'ports: ["65536", "a", "0", "80-90", "00000000000000000000080"]',
      `SP212 error 7:17 bad port (65536): ${DROPPED}`,
      `SP212 error 7:26 bad port (a): ${DROPPED}`,
      `SP212 error 7:36 bad port (80-90): ${DROPPED}`,
    ),
    operation('notPorts: [""]', 'SP208 error 7:20 empty value not allowed, found in NotPorts'),
    path('/a/{**}/{*}', '{**} is not the last operator'),
    path('/a/{**}/{**}', '{**} is not the last operator'),
    path('/a/{b}', "Contains '{' or '}' beyond a supported path template"),
    path('/a{*}', "Contains '{' or '}' beyond a supported path template"),
    path('/{*}/a*b/"'.replace('"', '|'), 'Contains segment a*b with invalid string literal'),
    path('/{*}//a', 'Contains segment  with invalid string literal'),
    path('/{*}/a/{**}'),
    path('/{**}/a'),
    path('/a//*'),
  ])
})

test('conditions', () => {
  const when = (fields: string, ...expected: string[]): [string, ...string[]] => [
    `rules:\n- when:\n  - ${fields}`,
    ...expected,
  ]
  table('AuthorizationPolicy', [
    when('values: [a]', 'SP214 error 6:7 `key` must not be empty'),
    when('key: source.ip', 'SP214 error 6:7 at least one of `values` or `notValues` must be set for key source.ip'),
    when('{ key: source.ip, values: [x] }', `SP211 error 6:34 bad IP address (x): ${DROPPED}`),
    when('{ key: destination.port, notValues: ["x"] }', `SP212 error 6:44 bad port (x): ${DROPPED}`),
    when(
      '{ key: source.serviceAccount, values: ["*"] }',
      'SP209 error 6:46 wildcard not allowed, found in source.serviceAccount',
    ),
    when(
      '{ key: source.trustDomain, values: ["a*b"] }',
      'SP210 error 6:43 wildcard is only allowed at the start or end, found in source.trustDomain: "a*b"',
    ),
    when(
      '{ key: "request.headers[a]", values: [""] }',
      'SP208 error 6:45 empty value not allowed, found in request.headers[a]',
    ),
    when(
      '{ key: request.headers, values: [a] }',
      `SP214 error 6:9 bad key (request.headers): should have format a[b]; ${DROPPED}`,
    ),
    when(
      '{ key: "request.headers[]", values: [a] }',
      `SP214 error 6:9 bad key (request.headers[]): should have format a[b]; ${DROPPED}`,
    ),
    when(
      '{ key: request.auth.claims.iss, values: [a] }',
      `SP214 error 6:9 bad key (request.auth.claims.iss): should have format a[b]; ${DROPPED}`,
    ),
    when(
      '{ key: source.serviceaccount, values: [a] }',
      `SP215 error 6:9 unknown attribute: source.serviceaccount; ${DROPPED}`,
    ),
    when(
      '{ key: "request.header[x]", values: [a] }',
      `SP215 error 6:9 unknown attribute: request.header[x]; ${DROPPED}`,
    ),
    when(
      '{ key: destination.namespace, values: [a] }',
      `SP215 error 6:9 attribute destination.namespace is replaced by the metadata.namespace; ${DROPPED}`,
    ),
    when(
      '{ key: "destination.labels[a]", values: [a] }',
      `SP215 error 6:9 attribute destination.labels[a] is replaced by the workload selector; ${DROPPED}`,
    ),
    when(
      '{ key: destination.user, values: [a] }',
      `SP215 error 6:9 attribute destination.user is a deprecated attribute; ${DROPPED}`,
    ),
    when('{ key: "request.auth.claims[a][b]", values: [a] }'),
    when('{ key: "experimental.envoy.filters.a.b[c]", values: [a] }'),
    when('{ key: connection.sni, values: [a] }'),
  ])
})

test('what a value does that Istio cannot compile, by action', () => {
  const told = (action: string, rule: string) =>
    findings(
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p }\nspec: { action: ${action}, provider: ${action === 'CUSTOM' ? '{ name: x }' : 'null'}, rules: [${rule}] }\n`,
    )
      .filter((one) => /loaded all the same/.test(one))
      .map((one) => one.replace(/^.*loaded all the same, /, ''))
  const port = (ports: string) => `{ to: [{ operation: { ports: [${ports}] } }] }`
  const dropped = ['the whole rule is dropped and allows nothing']
  assert.deepEqual(told('ALLOW', port('x, "80"')), dropped)
  assert.deepEqual(told('DENY', port('x, "80"')), ['the value is left out'])
  assert.deepEqual(told('DENY', port('x')), ['the whole list is left out, and the rule denies more requests'])
  assert.deepEqual(told('AUDIT', port('x')), ['the whole list is left out, and the rule audits more requests'])
  assert.deepEqual(told('CUSTOM', port('x')), ['the whole list is left out, and the rule asks for more requests'])
  const when = (key: string) => `{ when: [{ key: "${key}", values: [a] }] }`
  assert.deepEqual(told('ALLOW', when('source.nothing')), dropped)
  assert.deepEqual(told('DENY', when('source.nothing')), ['the whole rule is dropped and denies nothing'])
  const left = ['the whole list is left out, and the rule denies more requests']
  assert.deepEqual(told('DENY', when('request.headers')), left)
  assert.deepEqual(told('DENY', when('request.headers.x[a]')), left)
  assert.deepEqual(told('ALLOW', when('request.auth.claims.x[a]')), dropped)
  assert.deepEqual(told('DENY', when('request.headers[a]')), [])
})

test('a key that passes validation and cannot be compiled', () => {
  table('AuthorizationPolicy', [
    [
      'rules: [{ when: [{ key: "request.headers.x[a]", values: [b] }] }]',
      `SP255 warning 4:22 \`request.headers.x[a]\` is no key, but passes Istio's validation; ${DROPPED}`,
    ],
  ])
})

test('a key that does not exist is answered with the one that was meant', () => {
  const help = (key: string) => {
    const text = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p }\nspec: { rules: [{ when: [{ key: "${key}", values: [a] }] }] }\n`
    return validateMesh(loadMesh(parseSource('a', text).documents).mesh)[0]?.help
  }
  assert.equal(help('source.serviceaccount'), 'write `source.serviceAccount`')
  assert.equal(help('request.header[x-a]'), 'write `request.headers[x-a]`')
  assert.equal(help('request.auth.claim'), 'write `request.auth.claims[NAME]`')
  assert.equal(help('request.headers'), 'write `request.headers[NAME]`')
  assert.equal(help('request.headers[]'), 'write `request.headers[NAME]`')
  assert.equal(help('request.headers[x-a'), 'write `request.headers[x-a]`')
  assert.equal(help('request.headers.x-a'), 'write `request.headers[x-a]`')
  assert.equal(help('request.auth.claims.iss'), 'write `request.auth.claims[iss]`')
  assert.equal(help('experimental.envoy.filters.a.b'), 'write `experimental.envoy.filters.FILTER[KEY]`')
})

test('dry-run', () => {
  const policy = (annotation: string, spec: string) =>
    findings(
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: p\n  annotations:\n    istio.io/dry-run: ${annotation}\nspec: ${spec}\n`,
    )
  assert.deepEqual(policy('"true"', '{}'), [])
  assert.deepEqual(policy('"yes"', '{}'), [
    'SP216 error 6:5 annotation istio.io/dry-run has the invalid value "yes": the policy is enforced',
  ])
  assert.deepEqual(policy('"true"', '{ action: AUDIT, rules: [{}] }'), [
    'SP216 error 6:5 annotation istio.io/dry-run only supports action ALLOW/DENY, found AUDIT',
  ])
})

test('DENY rules on HTTP attributes alone', () => {
  const warning =
    'SP251 warning 6:5 this rule will deny all traffic to TCP ports under its scope due to the use of only HTTP attributes in a DENY rule'
  const deny = (rule: string, ...expected: string[]): [string, ...string[]] => [
    `action: DENY\nrules:\n- ${rule}`,
    ...expected,
  ]
  table('AuthorizationPolicy', [
    deny('to: [{ operation: { methods: [GET] } }]', warning),
    deny('from: [{ source: { requestPrincipals: [a] } }]', warning),
    deny('from: [{ source: { principals: [a] } }]\n  to: [{ operation: { methods: [GET] } }]', warning),
    deny('to: [{ operation: { methods: [GET], ports: ["80"] } }]'),
    deny('from: [{ source: { principals: [a] } }]'),
    deny('when: [{ key: "request.headers[a]", values: [a] }]'),
    deny('{}'),
  ])
})

test('RequestAuthentication', () => {
  const rule = (fields: string, ...expected: string[]): [string, ...string[]] => [`jwtRules:\n- ${fields}`, ...expected]
  const jwks = (text: string, ...expected: string[]) => rule(`{ issuer: a, jwks: '${text}' }`, ...expected)
  table('RequestAuthentication', [
    rule('audiences: [a]', 'SP220 error 5:5 issuer or jwksUri must be non-empty string'),
    rule(
      '{ jwks: \'{"keys": []}\' }',
      'SP220 error 5:5 issuer or jwksUri must be non-empty string',
      'SP254 warning 5:7 these keys verify no token: there are no keys',
    ),
    rule('jwksUri: ftp://a', 'SP221 error 5:5 URI scheme "ftp" is not supported'),
    rule('jwksUri: a/b', 'SP221 error 5:5 URI scheme "" is not supported'),
    rule('{ issuer: a, audiences: [""] }', 'SP222 error 5:30 audience must be non-empty string'),
    rule('{ issuer: a, fromParams: [""] }', 'SP222 error 5:31 location query must be non-empty string'),
    rule('{ issuer: a, fromCookies: [""] }', 'SP222 error 5:32 cookie name must be non-empty string'),
    rule(
      '{ issuer: a, fromHeaders: [{ prefix: x }] }',
      'SP222 error 5:32 location header name must be non-empty string',
    ),
    rule(
      '{ issuer: a, outputClaimToHeaders: [{ header: x }] }',
      'SP222 error 5:41 outputClaimToHeaders header and claim value must be non-empty string',
    ),
    rule(
      '{ issuer: a, outputClaimToHeaders: [{ header: "x y", claim: a }] }',
      'SP222 error 5:43 header name "x y" is not a valid header name',
    ),
    rule(
      `{ issuer: a, spaceDelimitedClaims: [${Array.from({ length: 65 }, () => 'a').join(', ')}] }`,
      'SP217 error 5:18 refused by the API server: spaceDelimitedClaims may not have more than 64 values',
    ),
    rule('{ issuer: a, timeout: 0.5ms }', 'SP223 error 5:18 duration must be greater than 1ms'),
    rule('{ issuer: a, timeout: 1.0005s }', 'SP223 error 5:18 only durations to ms precision are supported'),
    rule('{ issuer: a, timeout: 1.001s }'),
    rule(
      "{ issuer: '', jwksUri: https://a }",
      'SP220 error 5:7 refused by the API server: issuer must be non-empty string',
    ),
    rule("{ issuer: a, jwksUri: '' }", 'SP221 error 5:18 refused by the API server: jwksUri must not be empty'),
    rule(
      '{ issuer: a, jwksUri: https://a, jwks: \'{"kty":"RSA","n":"AQAB","e":"AQAB"}\' }',
      'SP221 error 5:38 refused by the API server: only one of jwks or jwksUri can be set',
    ),
    rule('{ issuer: a, jwksUri: "https://a:b" }', 'SP221 error 5:18 its port is not a number'),
    rule('{ issuer: a, jwksUri: "https://a/%zz" }', 'SP221 error 5:18 it holds a `%` that is no escape'),
    rule(
      '{ issuer: a, jwksUri: "https:///a" }',
      'SP254 warning 5:18 no keys can be fetched from the address: it names no host',
    ),
    jwks('x', 'SP221 error 5:18 jwks parse error: it is not JSON'),
    jwks('[]', 'SP221 error 5:18 jwks parse error: it is not a JSON object'),
    jwks('{}', 'SP221 error 5:18 jwks parse error: it has no list `keys`'),
    jwks('{"keys":[{"kty":"x"}]}', 'SP221 error 5:18 jwks parse error: the key at index 0 has no known `kty`'),
    jwks('{"keys":[{"kty":"RSA","n":"AQAB"}]}', 'SP221 error 5:18 jwks parse error: the RSA key at index 0 has no `e`'),
    jwks(
      '{"keys":[{"kty":"oct","k":"AQAB"}]}',
      'SP252 warning 5:18 jwks key at index 0 contains private key material; only public keys are used for verification',
    ),
    jwks('{"kty":"RSA","n":"AQAB","e":"AQAB"}'),
    rule('jwksUri: https://a/jwks'),
  ])
})

test('annotations that other kinds than AuthorizationPolicy cannot have', () => {
  const resource = (kind: string, annotation: string, spec: string) =>
    findings(`apiVersion: ${kind}\nmetadata:\n  name: p\n  annotations:\n    ${annotation}: "true"\nspec: ${spec}\n`)
  const dry = 'istio.io/dry-run'
  const unsupported = ['SP216 error 6:5 unsupported annotation istio.io/dry-run']
  assert.deepEqual(resource('security.istio.io/v1\nkind: RequestAuthentication', dry, '{}'), unsupported)
  assert.deepEqual(resource('security.istio.io/v1\nkind: PeerAuthentication', dry, '{}'), unsupported)
  assert.deepEqual(resource('networking.istio.io/v1\nkind: Sidecar', dry, '{}'), unsupported)
  assert.deepEqual(resource('networking.istio.io/v1\nkind: ServiceEntry', dry, '{ hosts: [a.b] }'), unsupported)
  assert.deepEqual(resource('security.istio.io/v1\nkind: AuthorizationPolicy', 'internal.istio.io/parents', '{}'), [
    'SP218 error 6:5 annotation internal.istio.io/parents may not be set by users',
  ])
})

test('what only the schema of the kind refuses', () => {
  table('AuthorizationPolicy', [
    [
      'selector: { matchLabels: { a: b } }\ntargetRefs: []',
      'SP201 error 5:3 refused by the API server: only one of targetRefs or selector can be set, even if empty',
    ],
    [
      `selector: { matchLabels: { a: ${'x'.repeat(64)} } }`,
      'SP202 error 4:30 refused by the API server: the value of a label may not have more than 63 characters',
    ],
    [`selector: { matchLabels: { a: ${'é'.repeat(63)} } }`],
    [
      `targetRefs: [{ kind: Service, name: ${'x'.repeat(254)} }]`,
      'SP203 error 4:33 refused by the API server: targetRef name may not have more than 253 characters',
    ],
    [
      'rules: [{ from: [{ source: { serviceAccounts: [a], principals: [] } }] }]',
      'SP209 error 4:32 refused by the API server: cannot set serviceAccounts with namespaces or principals, even if empty',
    ],
  ])
})

test('PeerAuthentication', () => {
  table('PeerAuthentication', [
    [
      'portLevelMtls: { 80: { mode: STRICT } }',
      'SP230 error 4:3 mesh/namespace peer authentication cannot have port level mTLS',
    ],
    [
      'selector: { matchLabels: { a: b } }\nportLevelMtls: {}',
      'SP230 error 5:3 port level mTLS, if defined, must have at least one element',
    ],
    [
      'selector: { matchLabels: { a: b } }\nportLevelMtls: { 0: { mode: STRICT }, 65536: {} }',
      'SP230 error 5:20 port must be in range 1..65535',
      'SP230 error 5:41 port must be in range 1..65535',
    ],
    ['selector: { matchLabels: { a: b } }\nportLevelMtls: { 80: { mode: STRICT } }'],
  ])
})

const meshMap = `apiVersion: v1
kind: ConfigMap
metadata: { name: istio }
data:
  mesh: |
    extensionProviders:
    - name: opa
      envoyExtAuthzGrpc: { service: opa.local, port: 9191 }
    - name: wild.card
      envoyExtAuthzHttp:
        service: opa.lokal
        port: 9191
    - name: Bad
      envoyExtAuthzHttp:
        service: opa.local
        port: 0
        pathPrefix: check
        headersToUpstreamOnAllow: ["*"]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: opa }
spec: { hosts: [opa.local], resolution: STATIC, ports: [{ name: grpc, number: 9191 }], endpoints: [{ address: 127.0.0.1 }] }
`

test('providers', () => {
  const unused = ': requests that a CUSTOM policy of this provider matches are refused'
  const refused = 'requests that the policy matches are refused'
  const policy = (provider: string) =>
    `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p }\nspec: { action: CUSTOM, rules: [{}], provider: { name: ${provider} } }\n`
  const providers = [
    'SP253 info 9:7 the provider name "wild.card" has a point, which newer releases of Istio refuse',
    `SP303 warning 11:9 could not find service opa.lokal in Istio service registry${unused}`,
    `SP240 error 13:7 invalid provider name "Bad"${unused}`,
    `SP240 error 16:9 port must be in the range [1, 65535], found: 0${unused}`,
    `SP240 error 17:9 pathPrefix should begin with \`/\` but found "check"${unused}`,
    `SP240 error 18:36 a single wildcard ("*") is not supported in headersToUpstreamOnAllow${unused}`,
  ]
  assert.deepEqual(findings(meshMap + policy('opa')), providers)
  assert.deepEqual(findings(meshMap + policy('oap')), [
    ...providers,
    `SP301 warning 28:50 available providers are [opa wild.card Bad] but found "oap": ${refused}`,
  ])
})

test('selectors that select nothing', () => {
  const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template: { metadata: { labels: { app: web } } }
---
`
  const policy = (namespace: string, app: string) =>
    `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: ${namespace} }\nspec:\n  selector: { matchLabels: { app: ${app} } }\n`
  assert.deepEqual(findings(deployment + policy('default', 'web')), [])
  assert.deepEqual(findings(deployment + policy('other', 'wbe')), [])
  assert.deepEqual(findings(policy('default', 'wbe')), [])
  assert.deepEqual(findings(deployment + policy('default', 'wbe')), [
    'SP302 warning 12:3 no workload in the namespace `default` has the labels app=wbe',
  ])
  assert.deepEqual(findings(deployment + policy('istio-system', 'wbe')), [
    'SP302 warning 12:3 no workload in the mesh has the labels app=wbe',
  ])
})

test('an invalid policy stays in the mesh with all its values', () => {
  const text = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p }\nspec: { rules: [{ to: [{ operation: { ports: [x] } }] }] }\n`
  const { mesh } = loadMesh(parseSource('a', text).documents)
  assert.equal(validateMesh(mesh).length, 1)
  assert.deepEqual(mesh.authorizationPolicies[0]?.rules[0]?.to?.[0]?.ports.values, ['x'])
})
