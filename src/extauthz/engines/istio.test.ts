import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { IstioEngine } from '../../mesh/authorizer.ts'
import { plainAllow } from '../server/verdict.ts'
import { createEngine } from './engine.ts'
import { type Asking, engineTests, judgeOf, peer, secretToken } from './engines.test.fixture.ts'

const { folder, logged, logger } = engineTests()
const front = 'spiffe://cluster.local/ns/web/sa/front'

function engineOf(text: string, workload: IstioEngine['workload'] = { kind: 'only' }) {
  const engine = { kind: 'istio', paths: [folder.write('mesh.yaml', text)], namespace: 'default', workload } as const
  return createEngine(engine, { logger })
}

async function load(text: string, workload?: IstioEngine['workload']) {
  return judgeOf(await engineOf(text, workload).load(), logger)
}

async function refusal(text: string, workload?: IstioEngine['workload']) {
  const loading = await engineOf(text, workload).load()
  if (loading.kind === 'loaded') assert.fail('it was loaded')
  return loading
}

const web = workload('web')
function workload(name: string): string {
  return `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: default }
spec: { address: 127.0.0.1, labels: { app: ${name} } }
---
`
}

function policy(name: string, spec: string, kind = 'AuthorizationPolicy'): string {
  return `apiVersion: security.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: default }
spec: ${spec}
---
`
}

const paths = (action: string, path: string) =>
  policy(action.toLowerCase(), `{ action: ${action}, rules: [{ to: [{ operation: { paths: ["${path}"] } }] }] }`)

async function decided(text: string, asking: Asking): Promise<string> {
  const verdict = await (await load(text)).ask(asking)
  return verdict.kind === 'deny' ? `${verdict.status} ${verdict.body}`.trim() : verdict.kind
}

const denied = '403 RBAC: access denied'

test('whose policies decide', async () => {
  const both = `${web}${workload('other')}${policy('p', '{ selector: { matchLabels: { app: web } }, action: DENY, rules: [{}] }')}`
  const named = (name: string, labels: Record<string, string> | null = null) =>
    ({ kind: 'named', name, labels }) as const
  const ask = async (workload: IstioEngine['workload'], asking: Asking = {}) =>
    (await (await load(both, workload)).ask(asking)).kind
  assert.equal(await ask(named('default/web')), 'deny')
  assert.equal(await ask(named('web')), 'deny')
  assert.equal(await ask(named('other')), 'allow')
  assert.equal(await ask(named('new', { app: 'web' })), 'deny')
  assert.equal(await ask(named('elsewhere/new', { app: 'web' })), 'allow')
  const byRequest = { kind: 'contextExtension', key: 'workload' } as const
  assert.equal(await ask(byRequest, { contextExtensions: { workload: 'default/web' } }), 'deny')
  assert.equal(await ask(byRequest, { contextExtensions: { workload: 'other' } }), 'allow')
  assert.equal(await ask(byRequest, { contextExtensions: { workload: 'default/nobody' } }), 'deny')
  assert.equal(await ask(byRequest), 'deny')
  assert.match((await refusal(both)).message, /several workloads \(default\/other, default\/web\)/)
  assert.match((await refusal(policy('p', '{}'))).message, /no workload: say whose/)
  assert.match((await refusal(both, named('wbe'))).message, /no workload `default\/wbe`.*`default\/web`\?/)
  assert.match((await refusal(policy('p', '{}'), byRequest)).message, /describe no workload/)
})

test('files that Istio would refuse, and policies that would ask somebody else, stop it', async () => {
  const unknown = await refusal(`${web}${policy('p', '{ rule: [] }')}${policy('q', '{ actoin: DENY }')}`)
  assert.match(unknown.message, /mesh\.yaml:\d+:\d+: .*`rule`.*, and 1 more/)
  assert.deepEqual(
    unknown.diagnostics?.map(({ code }) => code),
    ['SP103', 'SP103'],
  )
  const providers = 'extensionProviders: [{ name: x, envoyExtAuthzGrpc: { service: a.example, port: 1 } }]\n---\n'
  const custom = policy('p', '{ action: CUSTOM, provider: { name: x }, rules: [{}] }')
  assert.match((await refusal(`${providers}${web}${custom}`)).message, /mesh\.yaml:\d+:\d+: a CUSTOM policy cannot be/)
  const delegation = `apiVersion: sallyport.dev/v1alpha1\nkind: Delegation\nmetadata: { name: d, namespace: default }\nspec: { providers: [{ name: x }] }\n---\n`
  const delegated = await refusal(`${providers}${delegation}${web}`)
  assert.match(delegated.message, /mesh\.yaml:\d+:\d+: a Delegation cannot be/)
  const elsewhere = custom.replace('namespace: default', 'namespace: another')
  assert.equal(await decided(`${providers}${web}${elsewhere}`, {}), 'allow', 'it is not about this workload')
})

test('a workload that nothing restricts is told of', async () => {
  logged.length = 0
  await load(web)
  assert.deepEqual(
    logged.filter(({ level }) => level === 'warn').map(({ fields }) => fields),
    [{ workload: 'default/web' }],
  )
  logged.length = 0
  await load(`${web}${policy('p', '{}')}`)
  assert.deepEqual(logged, [])
})

test('the phases in their order: identity, token, DENY, ALLOW', async () => {
  const jwks = JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', k: Buffer.from('secret').toString('base64url') }] })
  const jwt = policy('jwt', `{ jwtRules: [{ issuer: me, jwks: '${jwks}' }] }`, 'RequestAuthentication')
  const all = `${web}${jwt}${paths('DENY', '/secret')}${policy(
    'allow',
    `{ rules: [{ from: [{ source: { requestPrincipals: ["me/*"] } }] }, { to: [{ operation: { paths: ["/public"] } }] }] }`,
  )}`
  const bearer = (claims: object, secret = 'secret') => ({
    authorization: `Bearer ${secretToken(claims, Buffer.from(secret))}`,
  })
  const good = bearer({ iss: 'me', sub: 'a' })
  const bad = bearer({ iss: 'me', sub: 'a' }, 'another')
  assert.equal(await decided(all, { path: '/public' }), 'allow')
  assert.equal(await decided(all, { path: '/other' }), denied)
  assert.equal(await decided(all, { path: '/other', headers: good }), 'allow')
  assert.equal(await decided(all, { path: '/secret', headers: good }), denied)
  assert.equal(await decided(all, { path: '/public', headers: bad }), '401 Jwt verification fails')
  assert.equal(
    await decided(all, { path: '/public', headers: bearer({ iss: 'x' }) }),
    '401 Jwt issuer is not configured',
  )
  const verdict = await (await load(all)).ask({ path: '/a?b', headers: bad })
  assert.deepEqual(verdict.kind === 'deny' && verdict.headers, [
    ['www-authenticate', 'Bearer realm="http://web.default/a", error="invalid_token"'],
  ])
})

test('what authentication does to headers goes along: the token leaves, claims arrive, forged ones never stay', async () => {
  const jwks = JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', k: Buffer.from('secret').toString('base64url') }] })
  const rule = `{ issuer: me, jwks: '${jwks}', outputClaimToHeaders: [{ header: x-sub, claim: sub }, { header: x-team, claim: team }] }`
  const { ask } = await load(`${web}${policy('jwt', `{ jwtRules: [${rule}] }`, 'RequestAuthentication')}`)
  const token = secretToken({ iss: 'me', sub: 'ü' }, Buffer.from('secret'))
  const nothing = plainAllow
  assert.deepEqual(
    await ask({ headers: { authorization: `Bearer ${token}`, 'x-sub': 'admin', 'x-team': 'x', 'x-a': 'b' } }),
    {
      ...nothing,
      set: [['x-sub', 'ü']],
      remove: ['authorization', 'x-team'],
    },
  )
  assert.deepEqual(await ask({ headers: { 'x-sub': 'admin', 'x-a': 'b' } }), { ...nothing, remove: ['x-sub'] })
  assert.deepEqual(await ask({ headers: { 'x-a': 'b' } }), nothing)
})

test('AUDIT and dry-run policies are told of, and decide nothing', async () => {
  const dryRun = paths('ALLOW', '/only').replace(
    'name: allow,',
    'name: allow, annotations: { istio.io/dry-run: "true" },',
  )
  const { ask } = await load(`${web}${paths('AUDIT', '/a')}${dryRun}`)
  logged.length = 0
  assert.equal((await ask({ path: '/a' })).kind, 'allow')
  assert.deepEqual(
    logged.map(({ level, fields }) => [level, fields]),
    [['info', { workload: 'default/web', audit: true, dryRun: { allow: { result: 'denied', policy: null } } }]],
  )
})

test('principals: with their scheme, without it in full, and nothing else that is spelt like one', async () => {
  const text = `${web}${policy('p', '{ rules: [{ from: [{ source: { namespaces: ["web"] } }] }] }')}`
  const rows: [string, string][] = [
    [front, 'allow'],
    ['cluster.local/ns/web/sa/front', 'allow'],
    ['spiffe://cluster.local/ns/other/sa/front', denied],
    ['', denied],
    ['web.example', denied],
    ['another.domain/ns/web/sa/front', '403'],
    ['CN=x/ns/web/sa/front', '403'],
    ['x spiffe://cluster.local/ns/web/sa/front', '403'],
  ]
  for (const [principal, expected] of rows)
    assert.equal(await decided(text, { source: peer(principal) }), expected, principal)
  const strict = `${text}${policy('strict', '{ mtls: { mode: STRICT } }', 'PeerAuthentication')}`
  assert.equal(await decided(strict, { source: peer() }), '403')
  assert.equal(await decided(strict, { source: peer(front) }), 'allow')
})

test('what policies look at and the question does not tell refuses', async () => {
  const untold = { source: peer('', '', 0), destination: peer('', '', 0) }
  const rows: [string, string][] = [
    ['{ action: DENY, rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }] }] }', '403'],
    ['{ rules: [{ from: [{ source: { notRemoteIpBlocks: ["10.0.0.0/8"] } }] }] }', '403'],
    ['{ action: DENY, rules: [{ to: [{ operation: { ports: ["8080"] } }] }] }', '403'],
    ['{ action: DENY, rules: [{ when: [{ key: destination.ip, values: ["10.0.0.2"] }] }] }', '403'],
    ['{ action: DENY, rules: [{ from: [{ source: { namespaces: ["web"] } }] }] }', '403'],
    ['{ action: DENY, rules: [{ to: [{ operation: { methods: ["POST"] } }] }] }', 'allow'],
  ]
  for (const [spec, expected] of rows) {
    assert.equal(await decided(`${web}${policy('p', spec)}`, untold), expected, spec)
  }
})

test('a path that normalization would change has to pass both ways', async () => {
  const allow = `${web}${paths('ALLOW', '/public/*')}`
  const deny = `${web}${paths('DENY', '/admin*')}`
  const merge = 'pathNormalization: { normalization: MERGE_SLASHES }\n---\n'
  const rows: [string, string, string][] = [
    [allow, '/public/a', 'allow'],
    [allow, '/public/../admin', denied],
    [allow, '/public/%2e%2e/admin', denied],
    [allow, '/public//a', 'allow'],
    [deny, '/x/../admin', denied],
    [deny, '/%61dmin', denied],
    [deny, '//admin', 'allow'],
    [`${merge}${deny}`, '//admin', denied],
    [deny, '/a;/../admin', denied],
    [deny, '/a#/admin', 'allow'],
    [deny, 'admin', '400'],
    [deny, '', '400'],
    [deny, '/a%00', '400'],
  ]
  for (const [text, path, expected] of rows) assert.equal(await decided(text, { path }), expected, path)
})

test('lines of a header that were joined on the way: refused either way is refused', async () => {
  const when = (action: string, values: string) =>
    `${web}${policy('p', `{ action: ${action}, rules: [{ when: [{ key: "request.headers[x-a]", ${values} }] }] }`)}`
  const rows: [string, string, string][] = [
    [when('DENY', 'values: [a]'), 'b,a', denied],
    [when('DENY', 'values: [a]'), 'b, a', denied],
    [when('DENY', 'values: [a]'), 'b', 'allow'],
    [when('ALLOW', 'notValues: [a]'), 'b,a', denied],
    [when('ALLOW', 'values: [a]'), 'a,b', denied],
    [when('ALLOW', 'values: ["a,b"]'), 'a,b', 'allow'],
  ]
  for (const [text, value, expected] of rows) {
    assert.equal(await decided(text, { headers: { 'x-a': value } }), expected, value)
  }
  const apart = { request: { http: { headerMap: {} } } }
  assert.equal(await decided(when('DENY', 'values: [a]'), { headers: { 'x-a': 'b,a' }, attributes: apart }), 'allow')
})

test('the name of the handshake, metadata and TCP connections', async () => {
  const sni = `${web}${policy('p', '{ rules: [{ when: [{ key: connection.sni, values: ["db.example"] }] }] }')}`
  const { ask, connect } = await load(sni)
  assert.equal((await ask({ attributes: { tlsSession: { sni: 'DB.example' } } })).kind, 'allow')
  assert.equal((await ask()).kind, 'deny')
  assert.equal((await connect('', 'db.example')).kind, 'allow')
  assert.equal((await connect('', 'other')).kind, 'deny')
  const metadata = `${web}${policy('p', '{ rules: [{ when: [{ key: "experimental.envoy.filters.a.b[c]", values: ["d"] }] }] }')}`
  const seen = { metadataContext: { filterMetadata: { 'envoy.filters.a.b': { c: 'd' } } } }
  assert.equal(await decided(metadata, { attributes: seen }), 'allow')
  assert.equal(await decided(metadata, {}), denied)
})

test('at a gateway the client is the one that the proxies in front tell of', async () => {
  const gateway = (hops: number) => `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: default }
spec: { selector: { app: edge }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }] }
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: edge
  namespace: default
spec:
  selector: { matchLabels: { app: edge } }
  template:
    metadata:
      labels: { app: edge }
      annotations: { proxy.istio.io/config: '{"gatewayTopology":{"numTrustedProxies":${hops}}}' }
    spec: { containers: [{ name: p, image: p }] }
---
${policy('p', '{ rules: [{ from: [{ source: { remoteIpBlocks: ["1.2.3.4"] } }] }] }')}`
  const via = (list: string, ip = '10.0.0.1') => ({ headers: { 'x-forwarded-for': list }, source: peer('', ip) })
  assert.equal(await decided(gateway(0), via('1.2.3.4,10.0.0.1')), denied)
  assert.equal(await decided(gateway(0), via('1.2.3.4', '1.2.3.4')), 'allow')
  assert.equal(await decided(gateway(1), via('9.9.9.9,1.2.3.4,10.0.0.1')), 'allow')
  assert.equal(await decided(gateway(1), via('1.2.3.4,9.9.9.9,10.0.0.1')), denied)
})

test('keys at a URI are fetched, and stay from one load to the next', async (t) => {
  const k = Buffer.from('secret').toString('base64url')
  let asked = 0
  const issuer = createServer((_, response) => {
    asked++
    response.end(JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', k }] }))
  }).listen(0, '127.0.0.1')
  t.after(() => issuer.close())
  await new Promise((resolve) => issuer.once('listening', resolve))
  const uri = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/keys`
  const text = `${web}${policy('jwt', `{ jwtRules: [{ issuer: me, jwksUri: "${uri}" }] }`, 'RequestAuthentication')}`
  const engine = engineOf(text)
  t.after(() => engine.close())
  const authorization = `Bearer ${secretToken({ iss: 'me', sub: 'a' }, Buffer.from('secret'))}`
  const first = await engine.load()
  assert.equal((await judgeOf(first, logger).ask({ headers: { authorization } })).kind, 'allow')
  const second = await engine.load()
  if (first.kind === 'loaded') first.close?.()
  assert.equal((await judgeOf(second, logger).ask({ headers: { authorization } })).kind, 'allow')
  assert.equal(asked, 1)
})

test('a file that is emptied is no policy that is gone', async () => {
  const engine = engineOf(`${web}${policy('p', '{}')}`)
  assert.equal((await engine.load()).kind, 'loaded')
  folder.write('mesh.yaml', '')
  const emptied = await engine.load()
  assert.match(emptied.kind === 'failed' ? emptied.message : '', /the file is empty, and was not before/)
})
