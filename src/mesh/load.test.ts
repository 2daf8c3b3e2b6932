import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { loadMesh } from './load.ts'
import type { Mesh } from './mesh.ts'

function load(text: string, defaultNamespace?: string) {
  const parsed = parseSource('dir/a.yaml', text)
  assert.deepEqual(parsed.diagnostics, [])
  return loadMesh(parsed.documents, defaultNamespace === undefined ? {} : { defaultNamespace })
}

function mesh(text: string, defaultNamespace?: string): Mesh {
  const { mesh, diagnostics } = load(text, defaultNamespace)
  assert.deepEqual(diagnostics, [])
  return mesh
}

/** `code line:column message | help`. */
function problems(text: string): string[] {
  return load(text).diagnostics.map(
    (d) => `${d.code} ${d.line}:${d.column} ${d.message}${d.help === undefined ? '' : ` | ${d.help}`}`,
  )
}

const policy = (spec: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: p
  namespace: foo
spec:
${spec}`

test('an AuthorizationPolicy with every field', () => {
  const { authorizationPolicies, namespaces } = mesh(`apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata:
  name: p
  creationTimestamp: 2026-01-01T00:00:00Z
  labels: { team: web }
  annotations: { istio.io/dry-run: "true" }
spec:
  selector: { matchLabels: { app: x } }
  action: DENY
  rules:
  - from:
    - source:
        principals: [a]
        notPrincipals: [b]
        requestPrincipals: [c]
        notRequestPrincipals: [d]
        namespaces: [e]
        notNamespaces: [f]
        serviceAccounts: [g]
        notServiceAccounts: [h]
        trustDomains: [i]
        notTrustDomains: [j]
        ipBlocks: [k]
        notIpBlocks: [l]
        remoteIpBlocks: [m]
        notRemoteIpBlocks: [o]
    to:
    - operation:
        hosts: [a]
        notHosts: [b]
        ports: ["80"]
        notPorts: ["81"]
        methods: [GET]
        notMethods: [PUT]
        paths: [/a]
        notPaths: [/b]
    when:
    - key: k
      values: [v]
      notValues: [w]
  - {}
`)
  assert.deepEqual([...namespaces], ['default'])
  assert.equal(authorizationPolicies.length, 1)
  const { origin, ...decoded } = authorizationPolicies[0] as (typeof authorizationPolicies)[0]
  assert.equal(origin.document.file, 'dir/a.yaml')
  const pair = (value: string, not: string) => ({ values: [value], notValues: [not] })
  assert.deepEqual(decoded, {
    kind: 'AuthorizationPolicy',
    meta: {
      name: 'p',
      namespace: 'default',
      labels: { team: 'web' },
      annotations: { 'istio.io/dry-run': 'true' },
      createdAt: Date.UTC(2026, 0, 1),
    },
    attachment: { kind: 'selector', labels: { app: 'x' } },
    action: 'DENY',
    provider: null,
    dryRun: true,
    rules: [
      {
        from: [
          {
            principals: pair('a', 'b'),
            requestPrincipals: pair('c', 'd'),
            namespaces: pair('e', 'f'),
            serviceAccounts: pair('g', 'h'),
            trustDomains: pair('i', 'j'),
            ipBlocks: pair('k', 'l'),
            remoteIpBlocks: pair('m', 'o'),
          },
        ],
        to: [{ hosts: pair('a', 'b'), ports: pair('80', '81'), methods: pair('GET', 'PUT'), paths: pair('/a', '/b') }],
        when: [{ key: 'k', values: ['v'], notValues: ['w'] }],
      },
      { from: null, to: null, when: [] },
    ],
  })
})

test('absent, null and empty are the same where Istio has it so', () => {
  for (const spec of ['', 'spec:\n', 'spec: {}\n', 'spec: { rules: }\n', 'spec: { rules: [] }\n']) {
    const text = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p }\n${spec}`
    const [decoded] = mesh(text, 'team').authorizationPolicies
    assert.deepEqual(decoded?.rules, [])
    assert.equal(decoded?.action, 'ALLOW')
    assert.deepEqual(decoded?.attachment, { kind: 'namespace' })
    assert.equal(decoded?.meta.namespace, 'team')
  }
  const [decoded] = mesh(policy('  rules: [{ from: [], to: }]\n')).authorizationPolicies
  assert.deepEqual(decoded?.rules, [{ from: null, to: null, when: [] }])
})

test('attachment by targets', () => {
  const targets = (spec: string) => mesh(policy(spec)).authorizationPolicies[0]?.attachment
  const gateway = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g', namespace: '' }
  assert.deepEqual(targets('  targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: g }]\n'), {
    kind: 'targets',
    targets: [gateway],
  })
  assert.deepEqual(targets('  targetRef: { group: core, kind: Service, name: s }\n'), {
    kind: 'targets',
    targets: [{ group: '', kind: 'Service', name: 's', namespace: '' }],
  })
  assert.deepEqual(targets('  selector: {}\n'), { kind: 'selector', labels: {} })
})

test('what is wrong in a policy is named where it stands', () => {
  const cases: [string, string[]][] = [
    ['  action: allow\n', ['SP106 7:3 `allow` is not one of `ALLOW`, `DENY`, `AUDIT`, `CUSTOM` | write `ALLOW`']],
    [
      '  rules:\n  - to: [{ operation: { ports: [80] } }]\n',
      ['SP104 8:33 expected text, found the number 80 | put it in quotes: `"80"`'],
    ],
    [
      '  rules:\n  - to:\n    - operation:\n        methods: GET\n',
      ['SP104 10:9 expected a list for `methods`, found text | put it in brackets: `["GET"]`'],
    ],
    [
      '  selector:\n    matchLabel: { a: b }\n',
      ['SP103 8:5 the field `matchLabel` is unknown in `spec.selector` | write `matchLabels`'],
    ],
    [
      '  rules:\n  - paths: [/a]\n',
      ['SP103 8:5 the field `paths` is unknown in `spec.rules[0]` | `paths` belongs in `spec.rules[].to[].operation`'],
    ],
    [
      '  rules:\n  - from:\n    - principals: [a]\n',
      [
        'SP103 9:7 the field `principals` is unknown in `spec.rules[0].from[0]` | `principals` belongs in `spec.rules[].from[].source`',
      ],
    ],
    ['  rules: [null]\n', ['SP104 7:11 expected a mapping, found nothing | write a value, or remove it']],
    [
      '  rules: {}\n',
      ['SP104 7:3 expected a list for `rules`, found a mapping | write each item on a line of its own behind `- `'],
    ],
  ]
  for (const [spec, expected] of cases) assert.deepEqual(problems(policy(spec)), expected, spec)
})

test('metadata is checked', () => {
  const text = 'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { lables: {} }\n'
  assert.deepEqual(problems(text), [
    'SP103 3:13 the field `lables` is unknown in `metadata` | write `labels`',
    'SP105 3:1 `name` is required | write `name`',
  ])
  assert.deepEqual(problems('apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n'), [
    'SP105 1:1 `metadata` is required | write `metadata`',
  ])
})

test('documents without apiVersion or kind', () => {
  assert.deepEqual(problems('a: 1\n'), [
    'SP101 1:1 `apiVersion` is missing | each document begins like `apiVersion: security.istio.io/v1`, `kind: AuthorizationPolicy`',
    'SP101 1:1 `kind` is missing | each document begins like `apiVersion: security.istio.io/v1`, `kind: AuthorizationPolicy`',
  ])
  assert.deepEqual(problems('kind: AuthorizationPolicy\n'), [
    'SP101 1:1 `apiVersion` is missing | write `apiVersion: security.istio.io/v1`',
  ])
  assert.deepEqual(problems('- 1\n'), [
    'SP101 1:1 the document is not a mapping with `apiVersion` and `kind` | each document begins like `apiVersion: security.istio.io/v1`, `kind: AuthorizationPolicy`',
  ])
})

test('a misspelt kind is still checked, but is not in the mesh', () => {
  const text = policy('  rules:\n  - check: { source: {} }\n').replace(
    'kind: AuthorizationPolicy',
    'kind: Authorization',
  )
  const found = problems(text)
  assert.equal(found.length, 2)
  assert.match(
    found[1] as string,
    /^SP103 8:5 the field `check` is unknown in `spec\.rules\[0\]` \| .*`action: CUSTOM`/,
  )
  assert.deepEqual(load(text).mesh.authorizationPolicies, [])
})

test('lists are unfolded, and their places are known', () => {
  const item =
    '{ apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: { name: NAME }, spec: { mtls: { mode: STRICT } } }'
  const text = `apiVersion: v1\nkind: List\nitems:\n- ${item.replace('NAME', 'a')}\n- ${item.replace('NAME', 'b').replace('STRICT', 'Strict')}\n`
  const { mesh, diagnostics } = load(text)
  assert.deepEqual(
    mesh.peerAuthentications.map((p) => [p.meta.name, p.origin.path, p.mtls]),
    [
      ['a', ['items', 0], 'STRICT'],
      ['b', ['items', 1], 'UNSET'],
    ],
  )
  assert.deepEqual(
    diagnostics.map((d) => [d.code, d.line, d.column, d.help]),
    [['SP106', 5, 104, 'write `STRICT`']],
  )
})

test('the same resource twice', () => {
  const one = policy('  action: ALLOW\n')
  assert.deepEqual(problems(`${one}---\n${one}`), [
    'SP110 9:1 the AuthorizationPolicy `foo/p` is declared with the same contents in dir/a.yaml:1',
  ])
  assert.deepEqual(problems(`${one}---\n${policy('  action: DENY\n')}`), [
    'SP109 9:1 the AuthorizationPolicy `foo/p` is declared differently in dir/a.yaml:1 | keep one of them',
  ])
})

test('RequestAuthentication', () => {
  const [decoded] = mesh(`apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: r }
spec:
  jwtRules:
  - issuer: https://a
    audiences: [x]
    jwksUri: https://a/jwks
    jwks: '{"keys":[]}'
    fromHeaders: [{ name: x-t, prefix: "T " }, { name: x-y }]
    fromParams: [p]
    fromCookies: [c]
    forwardOriginalToken: true
    outputPayloadToHeader: x-p
    outputClaimToHeaders: [{ header: x-c, claim: a.b }]
    spaceDelimitedClaims: [s]
    timeout: 100ms
  - jwksUri: http://b
  - issuer: c
`).requestAuthentications
  assert.deepEqual(decoded?.jwtRules, [
    {
      issuer: 'https://a',
      audiences: ['x'],
      keys: { kind: 'inline', jwks: '{"keys":[]}' },
      fromHeaders: [
        { name: 'x-t', prefix: 'T ' },
        { name: 'x-y', prefix: '' },
      ],
      fromParams: ['p'],
      fromCookies: ['c'],
      forwardOriginalToken: true,
      outputPayloadToHeader: 'x-p',
      outputClaimToHeaders: [{ header: 'x-c', claim: 'a.b' }],
      spaceDelimitedClaims: ['s'],
      timeout: 100,
    },
    { ...emptyRule, issuer: null, keys: { kind: 'uri', uri: 'http://b' } },
    { ...emptyRule, issuer: 'c', keys: { kind: 'discovery', issuer: 'c' } },
  ])
})

const emptyRule = {
  audiences: [],
  fromHeaders: [],
  fromParams: [],
  fromCookies: [],
  forwardOriginalToken: false,
  outputPayloadToHeader: null,
  outputClaimToHeaders: [],
  spaceDelimitedClaims: [],
  timeout: 5000,
}

test('PeerAuthentication', () => {
  const [decoded] = mesh(`apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata: { name: p }
spec:
  selector: { matchLabels: { a: b } }
  mtls: { mode: STRICT }
  portLevelMtls: { 8080: { mode: DISABLE }, "9090": {} }
`).peerAuthentications
  assert.deepEqual(decoded?.selector, { a: 'b' })
  assert.equal(decoded?.mtls, 'STRICT')
  assert.deepEqual(
    decoded?.portLevelMtls,
    new Map([
      [8080, 'DISABLE'],
      [9090, 'UNSET'],
    ]),
  )
})

const meshText = `trustDomain: td
trustDomainAliases: [old]
root_namespace: root
pathNormalization: { normalization: MERGE_SLASHES }
accessLogFile: /dev/stdout
defaultConfig:
  gatewayTopology: { numTrustedProxies: 2 }
  proxyMetadata: { A: b }
extensionProviders:
- name: opa.local
  envoyExtAuthzGrpc: { service: opa.local, port: "9191" }
- name: http
  envoyExtAuthzHttp:
    service: foo/ext.local
    port: 8000
    timeout: 1m30s
    failOpen: true
    statusOnError: "503"
    pathPrefix: /check
    includeHeadersInCheck: [x-old]
    includeAdditionalHeadersInCheck: { b: "2", a: "1" }
    headersToUpstreamOnAllow: [x-*]
    headersToDownstreamOnAllow: [a]
    headersToDownstreamOnDeny: [b]
    includeRequestBodyInCheck: { maxRequestBytes: 10, packAsBytes: true }
- name: otel
  opentelemetry: { service: x, port: 1 }
`

test('the mesh configuration, in each of its places', () => {
  const indented = meshText.replaceAll(/^(?=.)/gm, '    ')
  const places: [string, number, number][] = [
    [meshText, 0, 0],
    [
      `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio, namespace: istio-system }\ndata:\n  mesh: |-\n${indented}`,
      5,
      4,
    ],
    [
      `apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n# for istioctl\nspec:\n  profile: x\n  meshConfig:\n${indented}`,
      6,
      4,
    ],
  ]
  for (const [text, line, column] of places) {
    const { config } = mesh(text)
    const { origin, ...rest } = config
    const at = origin?.document.locate([...origin.path, 'defaultConfig', 'proxyMetadata', 'A'], 'value')
    assert.deepEqual(at, { line: line + 8, column: column + 23 })
    assert.deepEqual(rest, {
      trustDomain: 'td',
      trustDomainAliases: ['old'],
      autoMtls: true,
      certificateTrustDomains: [],
      rootNamespace: 'root',
      pathNormalization: 'MERGE_SLASHES',
      gatewayTopology: { numTrustedProxies: 2, proxyProtocol: false, forwardClientCertDetails: 'SANITIZE_SET' },
      providers: [
        {
          kind: 'grpc',
          name: 'opa.local',
          service: 'opa.local',
          port: 9191,
          timeout: 600_000,
          failOpen: false,
          statusOnError: 403,
          includeRequestBody: null,
        },
        {
          kind: 'http',
          name: 'http',
          service: 'foo/ext.local',
          port: 8000,
          timeout: 90_000,
          failOpen: true,
          statusOnError: 503,
          pathPrefix: '/check',
          includeRequestHeaders: ['x-old'],
          includeAdditionalHeaders: [
            ['a', '1'],
            ['b', '2'],
          ],
          headersToUpstreamOnAllow: ['x-*'],
          headersToDownstreamOnAllow: ['a'],
          headersToDownstreamOnDeny: ['b'],
          includeRequestBody: { maxRequestBytes: 10, allowPartialMessage: false, packAsBytes: true },
        },
      ],
      otherProviders: ['otel'],
    })
  }
})

test('without a mesh configuration the defaults apply', () => {
  const { config } = mesh('')
  assert.deepEqual(
    [config.trustDomain, config.rootNamespace, config.pathNormalization, config.origin],
    ['cluster.local', 'istio-system', 'BASE', null],
  )
})

test('mistakes in the mesh configuration are named inside the ConfigMap', () => {
  const map = (text: string) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio }\ndata:\n  mesh: |\n${text.replaceAll(/^(?=.)/gm, '    ')}`
  const one = (text: string) => {
    const found = problems(map(text))
    assert.equal(found.length, 1, found.join('\n'))
    return found[0] as string
  }
  assert.match(one('trustDomian: x\n'), /^SP103 6:5 the field `trustDomian` is unknown \| write `trustDomain`$/)
  assert.match(
    one('defaultConfig:\n  proxy:\n    extensionChains: []\n'),
    /^SP103 7:7 the field `proxy` is unknown in `defaultConfig` \| .*`extensionProviders`.*`envoyExtAuthzGrpc.*`envoyExtAuthzHttp`/,
  )
  assert.match(
    one('extensionProviders:\n- name: a\n  envoyExtAuthz: {}\n'),
    /^SP103 8:7 .*\| write `envoyExtAuthz(Grpc|Http)`$/,
  )
  assert.match(one('extensionProviders:\n- name: a\n'), /^SP105 7:7 the provider has no kind/)
  assert.match(
    one('extensionProviders:\n- name: a\n  prometheus: {}\n- name: a\n  prometheus: {}\n'),
    /^SP106 9:7 there is another provider of the name `a`/,
  )
  const provider = (field: string) => one(`extensionProviders:\n- name: a\n  envoyExtAuthzHttp:\n    ${field}\n`)
  assert.match(provider('timeout: 5'), /^SP104 9:9 expected text for `timeout`, found the number 5/)
  assert.match(provider('timeout: "5"'), /^SP106 9:9 `5` is not a duration \| write the unit: `5s`$/)
  assert.match(provider('statusOnError: 503'), /^SP104 9:9 .* put it in quotes: `"503"`$/)
  assert.match(provider('statusOnError: none'), /^SP106 9:9 `none` is not an HTTP status/)
  assert.match(provider('port: http'), /^SP104 9:9 expected a whole number for `port`, found text/)
  assert.match(provider('pathPrefx: /'), /^SP103 9:9 .* write `pathPrefix`$/)
  assert.match(one('a: [\n'), /^SP002 /)
})

test('another ConfigMap is skipped', () => {
  assert.deepEqual(problems('apiVersion: v1\nkind: ConfigMap\nmetadata: { name: app }\ndata: { mesh: x }\n'), [
    'SP108 1:1 the ConfigMap `app` is not used and was skipped',
  ])
})

test('Authorizer', () => {
  const text = (spec: string) =>
    `apiVersion: sallyport.dev/v1alpha1\nkind: Authorizer\nmetadata: { name: a }\nspec:\n${spec}`
  const [decoded] = mesh(
    text('  grpc: { listen: 127.0.0.1:9191 }\n  timeout: 100ms\n  engine: { module: { path: ./a.ts } }\n'),
  ).authorizers
  assert.equal(decoded?.grpc, '127.0.0.1:9191')
  assert.equal(decoded?.http, null)
  assert.equal(decoded?.timeout, 100)
  assert.deepEqual(decoded?.engine, { kind: 'module', path: 'dir/a.ts' })
  const engineOf = (engine: string) =>
    mesh(text(`  http: { listen: "[::1]:80" }\n  engine: ${engine}\n`)).authorizers[0]?.engine
  const istio = { kind: 'istio', paths: ['dir/p/', '/q'], namespace: 'default' }
  const only = { kind: 'only' }
  assert.deepEqual(engineOf('{ istio: { paths: [p/, /q] } }'), { ...istio, workload: only })
  assert.deepEqual(engineOf('{ istio: { paths: [p/, /q], workload: a/b, labels: { app: b } } }'), {
    ...istio,
    workload: { kind: 'named', name: 'a/b', labels: { app: 'b' } },
  })
  assert.deepEqual(engineOf('{ istio: { paths: [p/, /q], workloadFrom: { contextExtension: w } } }'), {
    ...istio,
    workload: { kind: 'contextExtension', key: 'w' },
  })
  const query = 'data.envoy.authz.allow'
  assert.deepEqual(engineOf('{ rego: { path: p.rego } }'), { kind: 'rego', path: 'dir/p.rego', query })
  assert.deepEqual(engineOf('{ opa: { url: "http://x", query: data.a } }'), {
    kind: 'opa',
    url: 'http://x',
    query: 'data.a',
    ca: null,
    token: null,
  })
  assert.deepEqual(engineOf('{ opa: { url: "https://x", ca: ca.pem, token: /t } }'), {
    kind: 'opa',
    url: 'https://x',
    query,
    ca: 'dir/ca.pem',
    token: '/t',
  })
  assert.deepEqual(engineOf('{ cel: { path: p.cel, tokens: [t.yaml] } }'), {
    kind: 'cel',
    path: 'dir/p.cel',
    tokens: ['dir/t.yaml'],
  })
  assert.deepEqual(engineOf('{ cedar: { policies: p.cedar } }'), {
    kind: 'cedar',
    policies: 'dir/p.cedar',
    entities: null,
    schema: null,
    tokens: [],
    principal: 'source',
  })
  const cedar = engineOf('{ cedar: { policies: p/, schema: s, tokens: [t.yaml] } }')
  assert.deepEqual(cedar?.kind === 'cedar' ? [cedar.schema, cedar.tokens, cedar.principal] : [], [
    'dir/s',
    ['dir/t.yaml'],
    'token',
  ])
  const one = (spec: string) => problems(text(spec))[0]
  assert.match(one('  grpc: { listen: x:1 }\n  engine: { rego: {} }\n') ?? '', /^SP105 6:13 `path` is required/)
  assert.match(
    one('  grpc: { listen: x:1 }\n  engine: { rego: { path: a }, cel: { path: b } }\n') ?? '',
    /^SP106 6:32 an Authorizer has one engine/,
  )
  for (const time of ['0s', '2h']) assert.match(one(`  timeout: ${time}\n`) ?? '', /^SP106 5:3 a check has more/)
  const wrong = (engine: string) => one(`  grpc: { listen: x:1 }\n  engine: ${engine}\n`) ?? ''
  assert.match(wrong('{ istio: { paths: [] } }'), /^SP105 6:13 the engine needs files/)
  assert.match(wrong('{ istio: { paths: [a], labels: { a: b } } }'), /^SP105 6:34 `labels` need a workload/)
  assert.match(wrong('{ istio: { paths: [a], workload: a b } }'), /^SP106 6:34 `a b` is not the name of a workload/)
  assert.match(
    wrong('{ istio: { paths: [a], workload: b, workloadFrom: { contextExtension: c } } }'),
    /^SP106 6:47 a workload is named once/,
  )
  assert.match(wrong('{ cedar: { policies: a, principal: token } }'), /^SP105 6:35 a principal of tokens needs/)
  assert.match(wrong('{ cedar: { policies: a, principal: me } }'), /^SP106 6:35 `me` is not one of `source`, `token`/)
  assert.match(one('  grpc: { listen: x:1 }\n  engine: {}\n') ?? '', /^SP105 6:3 an engine is required/)
  assert.match(one('  engine: { module: { path: a } }\n') ?? '', /^SP105 4:1 an authorizer needs an address/)
  assert.match(
    one('  grpc: { listen: "9191" }\n  engine: { module: { path: a } }\n') ?? '',
    /^SP106 5:11 `9191` is not an address/,
  )
})

test('PolicyTest is carried along', () => {
  const [decoded] = mesh(
    'apiVersion: sallyport.dev/v1alpha1\nkind: PolicyTest\nmetadata: { name: t }\nspec: { workload: a/b }\n',
  ).policyTests
  assert.deepEqual(decoded?.spec, { workload: 'a/b' })
})

test('ServiceEntry and Sidecar', () => {
  const { serviceEntries, sidecars } = mesh(`apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata: { name: e }
spec:
  hosts: [a.local]
  ports: [{ name: grpc, number: 9191, protocol: GRPC }, { name: x, number: 1, targetPort: 2, protocol: foo }]
  resolution: STATIC
  exportTo: ["*"]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: 9292 }, labels: { a: b }, locality: x }]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: s }
spec:
  workloadSelector: { labels: { app: x } }
  ingress:
  - port: { number: 8080, protocol: HTTP, name: http }
    bind: 127.0.0.1
    defaultEndpoint: "[::1]:3000"
  - port: { number: 8081, protocol: TCP, name: tcp }
    defaultEndpoint: unix:///run/app.sock
  egress:
  - port: { number: 15080, protocol: HTTP, name: out }
    hosts: ["./*"]
  - hosts: ["*/*"]
`)
  const [entry] = serviceEntries
  assert.deepEqual(entry?.hosts, ['a.local'])
  assert.deepEqual(entry?.ports, [
    { name: 'grpc', number: 9191, targetPort: null, protocol: 'grpc' },
    { name: 'x', number: 1, targetPort: 2, protocol: 'auto' },
  ])
  assert.deepEqual(entry?.endpoints, [
    { address: '127.0.0.1', ports: new Map([['grpc', 9292]]), labels: { a: 'b' }, weight: 0, serviceAccount: '' },
  ])
  assert.deepEqual(sidecars[0]?.ingress, [
    {
      port: { number: 8080, name: 'http', protocol: 'http' },
      bind: '127.0.0.1',
      defaultEndpoint: { kind: 'tcp', host: '::1', port: 3000 },
    },
    {
      port: { number: 8081, name: 'tcp', protocol: 'tcp' },
      bind: '',
      defaultEndpoint: { kind: 'unix', path: '/run/app.sock' },
    },
  ])
  assert.deepEqual(sidecars[0]?.egress, [
    { port: { number: 15080, name: 'out', protocol: 'http' }, bind: '127.0.0.1', hosts: ['./*'] },
    { port: null, bind: '127.0.0.1', hosts: ['*/*'] },
  ])
})
