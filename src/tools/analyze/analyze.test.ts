import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { loadMesh } from '../../mesh/load.ts'
import { validateMesh } from '../../mesh/validate.ts'
import { parseSource } from '../../source/parse.ts'
import { analyze } from './analyze.ts'

/** Code and the text at its place, for each finding. */
function found(text: string): string[] {
  const { documents, diagnostics } = parseSource('mesh.yaml', text)
  assert.deepEqual(diagnostics, [])
  const loaded = loadMesh(documents, {})
  assert.deepEqual(loaded.diagnostics, [])
  const lines = text.split('\n')
  return analyze(loaded.mesh).map(({ code, line, column }) => {
    assert.ok(line !== undefined && column !== undefined)
    return `${code} ${(lines[line - 1] ?? '').slice(column - 1)}`
  })
}

function policy(name: string, spec: string, namespace = 'foo', annotations = '{}'): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: ${name}
  namespace: ${namespace}
  annotations: ${annotations}
spec:
${spec.replace(/^/gm, '  ')}
---
`
}

function workload(name: string, namespace = 'foo'): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { app: ${name} } }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
---
`
}

const DENY_ALL = 'action: DENY\nrules: [{}]'
const ALLOW_GET = 'action: ALLOW\nrules: [{ to: [{ operation: { methods: [GET] } }] }]'
const select = (app: string) => `selector: { matchLabels: { app: ${app} } }\n`

test('an ALLOW policy behind a DENY rule that matches everything', () => {
  assert.deepEqual(found(policy('deny', DENY_ALL) + policy('allow', ALLOW_GET)), ['SP401 name: allow'])
  // From the root namespace, and for each workload that the ALLOW policy has.
  assert.deepEqual(found(policy('deny', DENY_ALL, 'istio-system') + policy('allow', ALLOW_GET)), ['SP401 name: allow'])
  const both = workload('a') + workload('b')
  assert.deepEqual(found(both + policy('deny', select('a') + DENY_ALL) + policy('allow', select('a') + ALLOW_GET)), [
    'SP401 name: allow',
  ])
})

test('an ALLOW policy that takes effect somewhere, or is meant to do nothing, is none', () => {
  const both = workload('a') + workload('b')
  const quiet = [
    both + policy('deny', select('a') + DENY_ALL) + policy('allow', ALLOW_GET),
    policy('deny', DENY_ALL, 'bar') + policy('allow', ALLOW_GET),
    policy('deny', DENY_ALL, 'foo', '{ istio.io/dry-run: "true" }') + policy('allow', ALLOW_GET),
    policy('deny', DENY_ALL) + policy('allow', ALLOW_GET, 'foo', '{ istio.io/dry-run: "true" }'),
    policy('deny', DENY_ALL) + policy('nothing', 'action: ALLOW'),
    policy('deny', 'action: DENY\nrules: [{ to: [{ operation: { notPaths: [/ip] } }] }]') + policy('allow', ALLOW_GET),
    policy('audit', 'action: AUDIT\nrules: [{}]') + policy('allow', ALLOW_GET),
    policy('deny', 'action: DENY\nrules: [{ from: [{ source: { notPrincipals: ["*"] } }] }]') +
      policy('allow', ALLOW_GET),
  ]
  for (const text of quiet) assert.deepEqual(found(text), [], text)
})

test('several providers on one workload', () => {
  const custom = (name: string, provider: string, more = '') =>
    policy(name, `${more}action: CUSTOM\nprovider:\n  name: ${provider}\nrules: [{}]`)
  assert.deepEqual(found(custom('one', 'a') + custom('two', 'b')), ['SP402 name: a', 'SP402 name: b'])
  assert.deepEqual(found(custom('one', 'a') + custom('two', 'a')), [])
  const apart = workload('c') + workload('d') + custom('one', 'a', select('c')) + custom('two', 'b', select('d'))
  assert.deepEqual(found(apart), [])
})

const JWT = (spec: string, namespace = 'foo') =>
  policy('jwt', spec, namespace).replace('AuthorizationPolicy', 'RequestAuthentication')

test('a condition on tokens where none is verified', () => {
  const principal = policy('need', 'action: ALLOW\nrules:\n- from:\n  - source:\n      requestPrincipals: ["*"]')
  const claim = policy('claim', 'action: ALLOW\nrules:\n- when:\n  - key: request.auth.claims[iss]\n    values: [i]')
  assert.deepEqual(found(principal), ['SP403 requestPrincipals: ["*"]'])
  assert.deepEqual(found(claim), ['SP403 key: request.auth.claims[iss]'])
  const rules = 'jwtRules: [{ issuer: i, jwksUri: "https://i/keys" }]'
  assert.deepEqual(found(principal + claim + JWT(rules)), [])
  assert.deepEqual(found(principal + JWT(rules, 'istio-system')), [])
  assert.deepEqual(found(principal + JWT(rules, 'bar')), ['SP403 requestPrincipals: ["*"]'])
  // It matches where there is no token, which is what it is for.
  assert.deepEqual(
    found(policy('anonymous', 'action: DENY\nrules: [{ from: [{ source: { notRequestPrincipals: ["*"] } }] }]')),
    [],
  )
})

test('a star that is no wildcard', () => {
  const rule = (operation: string) => policy('p', `action: ALLOW\nrules:\n- to:\n  - operation:\n      ${operation}`)
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['paths: [/a/*/b]', ['SP404 /a/*/b]']],
    ['paths: [/ok, "/a*b"]', ['SP404 "/a*b"]']],
    ['notPaths: [/a/*/b]', ['SP404 /a/*/b]']],
    ['hosts: ["*.a.*"]', ['SP404 "*.a.*"]']],
    ['methods: ["G*T"]', ['SP404 "G*T"]']],
    ['paths: ["*", /a*, "*b", "/{*}/x/{**}"]', []],
    ['hosts: ["*.example.com", "web.*"]', []],
  ]
  for (const [operation, expected] of cases) assert.deepEqual(found(rule(operation)), expected, operation)
  const header = policy('h', 'action: ALLOW\nrules: [{ when: [{ key: "request.headers[x]", values: [a*b] }] }]')
  assert.deepEqual(found(header), ['SP404 a*b] }] }]'])
})

test('a value that no request can have, with the one that was meant', () => {
  const help = (field: string) => {
    const { documents } = parseSource('mesh.yaml', policy('p', `rules:\n- ${field}`))
    return analyze(loadMesh(documents, {}).mesh).map(({ code, help }) => `${code} ${help}`)
  }
  const to = (operation: string) => help(`to: [{ operation: { ${operation} } }]`)
  const from = (source: string) => help(`from: [{ source: { ${source} } }]`)
  const when = (key: string, value: string) => help(`when: [{ key: '${key}', values: ["${value}"] }]`)
  const write = (text: string) => [`SP405 write \`${text}\``]
  assert.deepEqual(to('methods: [get]'), write('GET'))
  assert.deepEqual(to('notMethods: [Post]'), write('POST'))
  assert.deepEqual(to('paths: [api/v1]'), write('/api/v1'))
  assert.deepEqual(to('hosts: ["https://a.b/c"]'), write('a.b'))
  assert.deepEqual(to('hosts: ["a.b/c"]'), write('a.b'))
  assert.match(to('paths: ["/a?b=c"]')[0] ?? '', /^SP405 write `\/a`; to look at the query, match `request.headers/)
  assert.match(to('paths: ["https://a.b/c"]')[0] ?? '', /^SP405 write the path alone: `\/c`/)
  assert.deepEqual(when('connection.sni', 'A.b'), write('a.b'))
  assert.deepEqual(when('connection.sni', 'a.b:443'), write('a.b'))
  assert.deepEqual(when('request.headers["x-a"]', 'b'), write('request.headers[x-a]'))
  assert.deepEqual(when('source.trustDomain', 'spiffe://td'), write('td'))
  assert.deepEqual(from('principals: ["spiffe://td/ns/a/sa/b"]'), write('td/ns/a/sa/b'))
  assert.deepEqual(from('principals: [ns/a/sa/b]'), write('cluster.local/ns/a/sa/b'))
  assert.deepEqual(from('principals: ["ns/a/*"]'), write('cluster.local/ns/a/*'))
  assert.deepEqual(from('principals: ["system:serviceaccount:a:b"]'), write('cluster.local/ns/a/sa/b'))
  assert.deepEqual(from('principals: [cluster.local/sa/b]'), write('cluster.local/ns/NAMESPACE/sa/ACCOUNT'))
  assert.deepEqual(from('serviceAccounts: ["system:serviceaccount:a:b"]'), write('a/b'))
  const token = (value: string) => from(`requestPrincipals: ["${value}"]`).filter((one) => one.startsWith('SP405'))
  assert.deepEqual(token('https://*'), write('https://ISSUER/*'))
  assert.deepEqual(token('https://idp*'), write('https://idp/*'))
  assert.deepEqual(token('idp'), write('idp/*'))
  assert.deepEqual(token('*/*'), ['SP405 write `*` for any token'])
  assert.deepEqual(token('cluster.local/ns/a/sa/b'), ['SP405 a workload belongs in `principals`'])

  const fine = [
    'to: [{ operation: { methods: [GET, PROPFIND, "g*", x], paths: [/, "/a*", "*/b", "*", "/{*}"], hosts: ["*", "a.*", "a:8080"] } }]',
    'from: [{ source: { principals: [cluster.local/ns/a/sa/b, "*", "*/sa/b", "cluster.local/*", "cluster.local/ns/a/*", other.td/x, "CN=a"] } }]',
    'when: [{ key: connection.sni, values: ["*.a.b"] }, { key: "request.headers[X-A]", values: ["GET", "https://a"] }]',
  ]
  for (const rule of fine) assert.deepEqual(help(rule), [], rule)
})

test('a port that no workload has', () => {
  const service = (target: string | number) =>
    `apiVersion: v1\nkind: Service\nmetadata: { name: web, namespace: foo }\nspec: { selector: { app: a }, ports: [{ port: 8080, targetPort: ${target} }] }\n---\n`
  const rule = (ports: string) => policy('p', `${select('a')}rules:\n- to: [{ operation: { ports: [${ports}] } }]`)
  assert.deepEqual(found(workload('a') + rule('"80"')), [])
  assert.deepEqual(found(workload('a') + rule('"80", "81"')), ['SP406 "81"] } }]'])
  assert.deepEqual(found(workload('a') + service(80) + rule('"8080"')), ['SP406 "8080"] } }]'])
  const { documents } = parseSource('a', workload('a') + service(80) + rule('"8080"'))
  assert.match(analyze(loadMesh(documents, {}).mesh)[0]?.help ?? '', /the port of the Service `web`.*write `"80"`/)
  // A workload that declares no port may have any, and one that is not in the files too.
  assert.deepEqual(found(workload('a').replace('ports: [{ containerPort: 80 }]', '') + rule('"81"')), [])
  assert.deepEqual(
    found(workload('b') + rule('"81"').replace('app: a', 'app: zz')).filter((one) => one.startsWith('SP406')),
    [],
  )
})

test('names that are nearly those of the files', () => {
  const account = workload('a').replace('spec: {', 'spec: { serviceAccountName: frontend,')
  const from = (source: string, namespace = 'foo') =>
    policy('p', `rules:\n- from: [{ source: { ${source} } }]`, namespace)
  const payments = workload('x', 'payments')
  const codes = (text: string) => found(text).map((one) => one.slice(0, 5))
  assert.deepEqual(codes(payments + from('namespaces: [paymnets]')), ['SP407'])
  assert.deepEqual(codes(account + from('serviceAccounts: [foo/fronted]')), ['SP407'])
  assert.deepEqual(codes(account + from('principals: [cluster.local/ns/foo/sa/frontedn]')), ['SP407'])
  assert.deepEqual(codes(account + from('principals: [cluster.locla/ns/foo/sa/frontend]')), ['SP407'])
  assert.deepEqual(codes(account + from('trustDomains: [cluster.loca]')), ['SP407'])
  const quiet = [
    payments + from('namespaces: [payments, other, "paymnets*", payments-2, payment1s]'),
    workload('x', 'team-a') + from('namespaces: [team-b]'),
    workload('x', 'ns01') + from('namespaces: [ns02]'),
    account + from('principals: [cluster.local/ns/foo/sa/frontend, cluster.local/ns/bar/sa/fronted]'),
    account + from('serviceAccounts: [foo/frontend-canary]'),
  ]
  for (const text of quiet) assert.deepEqual(codes(text), [], text)
})

test('targets that do not exist', () => {
  const gateway =
    'apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: edge, namespace: foo }\nspec: { gatewayClassName: istio, listeners: [] }\n---\n'
  const target = (kind: string, name: string, namespace = 'foo') =>
    policy('p', `targetRefs:\n- group: gateway.networking.k8s.io\n  kind: ${kind}\n  name: ${name}`, namespace)
  assert.deepEqual(found(gateway + target('Gateway', 'edge')), [])
  assert.deepEqual(found(gateway + target('Gateway', 'egde')), ['SP408 name: egde'])
  assert.deepEqual(found(gateway + target('Gateway', 'edge', 'bar')), ['SP408 name: edge'])
  assert.deepEqual(found(target('Gateway', 'egde')), [])
  assert.deepEqual(found(target('GatewayClass', 'istio-waypoint', 'istio-system')), [])
  assert.deepEqual(found(target('GatewayClass', 'istio-waypoint')), ['SP408 name: istio-waypoint'])
  assert.deepEqual(found(target('GatewayClass', 'istio', 'istio-system')), ['SP408 name: istio'])
})

test('rules on HTTP at a TCP port', () => {
  const database =
    workload('a') +
    'apiVersion: v1\nkind: Service\nmetadata: { name: a, namespace: foo }\nspec: { selector: { app: a }, ports: [{ name: tcp-db, port: 80 }] }\n---\n'
  const rule = (action: string, text: string) => policy('p', `action: ${action}\nrules:\n- ${text}`)
  const effect = (text: string) => {
    const { documents } = parseSource('a', database + text)
    return analyze(loadMesh(documents, {}).mesh)
      .filter(({ code }) => code === 'SP409')
      .map(({ message }) => message.replace(/^.*: /, ''))
  }
  const get = 'to: [{ operation: { methods: [GET] } }]'
  assert.deepEqual(effect(rule('ALLOW', get)), ['it is left out there, and allows no connection'])
  assert.deepEqual(effect(rule('DENY', 'when: [{ key: "request.headers[a]", values: [b] }]')), [
    'it denies every connection that the rest of it matches',
  ])
  // Istio's own warning says it of these, or the rule is of another port.
  assert.deepEqual(effect(rule('DENY', get)), [])
  assert.deepEqual(effect(rule('ALLOW', 'to: [{ operation: { methods: [GET], ports: ["8080"] } }]')), [])
  assert.deepEqual(effect(rule('ALLOW', 'from: [{ source: { namespaces: [a] } }]')), [])
})

test('no diagnostic repeats a key, a token or a credential', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  const symmetric = { kty: 'oct', k: randomBytes(32).toString('base64url') }
  const token = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${randomBytes(16).toString('base64url')}.${randomBytes(16).toString('base64url')}`
  const password = randomBytes(9).toString('base64url')
  const secrets = [rsa, ec, symmetric].flatMap((jwk) =>
    ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].flatMap((name) => ((jwk as Record<string, string>)[name] ?? []) as string[]),
  )
  secrets.push(token, password)
  const keys = JSON.stringify({ keys: [rsa, ec, symmetric] })
  const jwt = (rule: object) => ({ kind: 'RequestAuthentication', spec: { jwtRules: [{ issuer: 'i', ...rule }] } })
  const when = (fields: object) => ({ kind: 'AuthorizationPolicy', spec: { rules: [{ when: [fields] }] } })
  const to = (fields: object) => ({ kind: 'AuthorizationPolicy', spec: { rules: [{ to: [{ operation: fields }] }] } })
  const documents = [
    ...[keys, keys.slice(0, -2), `${keys}x`, JSON.stringify(rsa), JSON.stringify(symmetric)].map((jwks) =>
      jwt({ jwks }),
    ),
    ...[JSON.stringify({ ...ec, x: 1 }), JSON.stringify({ ...rsa, e: '!' })].map((jwks) => jwt({ jwks })),
    ...[keys, `https://user:${password}@host:x/`, token].map((jwksUri) => jwt({ jwksUri })),
    ...[{ jwks: rsa }, { jwk: keys }, { timeout: keys }, { timeout: token }, { audiences: token }, { [token]: 1 }].map(
      jwt,
    ),
    when({ key: 'request.headers[authorization]', values: [`Bearer ${token}`, `Basic ${password}*x`] }),
    when({ key: 'request.headers[x-api-key]', values: [`${password}*x`] }),
    when({ key: 'request.headers[x-api-key]', values: password }),
    when({ key: `request.header[${token}]`, values: ['a'] }),
    to({ paths: [`https://user:${password}@host/a`, `/a?access_token=${password}`] }),
    to({ hosts: [`https://user:${password}@host`] }),
  ]
  for (const one of documents) {
    const text = JSON.stringify({ apiVersion: 'security.istio.io/v1', metadata: { name: 'p' }, ...one })
    const parsed = parseSource('a.yaml', text)
    const { mesh, diagnostics } = loadMesh(parsed.documents)
    const found = [...parsed.diagnostics, ...diagnostics, ...validateMesh(mesh), ...analyze(mesh)]
    assert.ok(found.length > 0, text)
    for (const secret of secrets) assert.ok(!JSON.stringify(found).includes(secret), JSON.stringify(found))
  }
})
