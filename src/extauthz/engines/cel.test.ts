import assert from 'node:assert/strict'
import { test } from 'node:test'
import { denial, plainAllow } from '../server/verdict.ts'
import { createEngine } from './engine.ts'
import { type Asking, engineTests, judgeOf, peer, saidOf, secretToken } from './engines.test.fixture.ts'

const { folder, logged, logger } = engineTests()

async function load(text: string, tokens: readonly string[] = []) {
  const path = folder.write('policy.cel', text)
  const engine = createEngine({ kind: 'cel', path, tokens }, { logger })
  const loading = await engine.load()
  engine.close()
  return loading
}

async function asked(text: string) {
  return judgeOf(await load(text), logger)
}

/** What a request comes to: `allow`, or the status. */
async function decided(text: string, asking: Asking = {}): Promise<string> {
  const verdict = await (await asked(text)).ask(asking)
  return saidOf(verdict)
}

test('the attributes of Envoy, by its names', async () => {
  const asking: Asking = {
    method: 'POST',
    path: '/api/v1/users?page=2&page=3',
    host: 'web.example:8080',
    headers: { 'x-user': 'alice', 'user-agent': 'test', 'x-request-id': 'r1' },
    source: peer('spiffe://cluster.local/ns/web/sa/front', '10.1.2.3', 4321),
    time: Date.parse('2026-01-02T03:04:05Z'),
    body: Buffer.from('hello'),
    attributes: { tlsSession: { sni: 'web.example' }, metadataContext: { filterMetadata: { a: { b: 'c' } } } },
  }
  const holds = [
    "request.path == '/api/v1/users?page=2&page=3'",
    "request.url_path == '/api/v1/users'",
    "request.query == 'page=2&page=3'",
    "request.parameters['page'] == ['2', '3']",
    "request.method == 'POST' && request.host == 'web.example:8080' && request.scheme == 'http'",
    "request.headers['x-user'] == 'alice' && request.headers[':method'] == 'POST'",
    "'x-user' in request.headers && !('x-other' in request.headers)",
    "request.useragent == 'test' && request.id == 'r1' && !has(request.referer)",
    "request.time < timestamp('2026-01-02T03:04:06Z') && request.time.getFullYear() == 2026",
    "request.size == 5 && request.body == 'hello' && request.protocol == 'HTTP/1.1'",
    "source.address == '10.1.2.3:4321' && source.port == 4321",
    "source.principal == 'spiffe://cluster.local/ns/web/sa/front' && connection.mtls",
    "connection.uri_san_peer_certificate.startsWith('spiffe://cluster.local/ns/web/')",
    "connection.requested_server_name == 'web.example'",
    "destination.port == 8080 && destination.ip == '10.0.0.2' && !has(destination.principal)",
    "metadata.filter_metadata['a']['b'] == 'c' && attributes.tlsSession.sni == 'web.example'",
    "cidr('10.0.0.0/8').containsIP(source.ip) && !cidr('192.168.0.0/16').containsIP(source.ip)",
    "string(base64.decode('L2g=')) == '/h' && string(base64.decode('_-8')).size() > 0 || true",
    "request.path.matches('^/api/v[0-9]+/') && request.path.split('/').size() == 4",
    "request.headers.exists(name, name.startsWith('x-')) && 'aXa'.replace('X', '--') == 'a--a'",
    '!has(request.auth.claims)',
  ]
  for (const text of holds) assert.equal(await decided(text, asking), 'allow', text)
  for (const text of holds.filter((one) => !one.includes('|| true'))) {
    assert.equal(await decided(`!(${text})`, asking), '403', text)
  }
})

test('a map says what changes, and how a refusal looks', async () => {
  const text = `request.path == '/in'
    ? {'allow': true, 'headers': {'x-user': 'alice'}, 'removeHeaders': ['cookie'], 'responseHeaders': {'x-a': 'b'}}
    : {'allow': false, 'status': 401, 'headers': {'www-authenticate': 'Bearer'}, 'body': 'who?'}`
  const { ask } = await asked(text)
  assert.deepEqual(await ask({ path: '/in' }), {
    ...{ ...plainAllow, set: [['x-user', 'alice']], remove: ['cookie'], responseSet: [['x-a', 'b']] },
  })
  assert.deepEqual(await ask({ path: '/other' }), {
    ...denial(401, [['www-authenticate', 'Bearer']], 'who?'),
  })
})

test('what fails on a request refuses it, and the log says where, without the value', async () => {
  const rows: [string, Asking][] = [
    ["request.headers['x-user'] == 'alice'", {}],
    ["request.auth.claims.sub == 'a'", {}],
    ["request.path + 1 == 'a'", {}],
    ["int(request.headers['x-n']) > 1", { headers: { 'x-n': 'secret-value' } }],
    ['request.headers', {}],
    ['request.method', {}],
    ["{'allow': request.method}", {}],
    ["{'allow': true, request.method: 'a'}", {}],
    ["{'allow': true, 'headers': {'a': 1}}", {}],
    ["{'allow': true, 'headers': {'a': 'b\\r\\nc'}}", {}],
    ["{'allow': false, 'status': 700}", {}],
    ['timestamp(request.method) < request.time', {}],
    ["string(base64.decode('gICA')) == ''", {}],
  ]
  for (const [text, asking] of rows) assert.notEqual(await decided(text, asking), 'allow', text)
  logged.length = 0
  await decided("true &&\n  int(request.headers['x-n']) > 1", { headers: { 'x-n': 'secret-value' } })
  const [line] = logged.filter(({ level }) => level === 'warn')
  assert.equal(line?.fields?.at, '2:3')
  assert.ok(!JSON.stringify(logged).includes('secret-value'))
})

test('mistakes are found when it is loaded, each at its place', async () => {
  const rows: [string, RegExp][] = [
    ["request.path ==\n  'a' ) b", /:2:7: syntax error/],
    ["reqest.path == 'a'", /:1:1: unknown variable `reqest`/],
    ["true &&\n request.pth == 'a'", /:2:9: `request` has no `pth`/],
    ["request.path.startWith('a')", /unknown function `startWith`/],
    ["request.path.startsWith('a', 'b')", /no `x.startsWith` with 2 arguments/],
    ["request.path.matches('(')", /no regular expression/],
    ["request.path.matches(request.headers['x'])", /not a literal/],
    ["'yes'", /gives no answer/],
    ['1 + 1', /gives no answer/],
    ["{'alow': true}", /an answer has no `alow`/],
    ["true ? {'status': 401} : false", /an answer needs `allow`/],
    ['google.rpc.Status{code: 1} == null', /no messages here/],
    [`${'('.repeat(3000)}true${')'.repeat(3000)}`, /nested too deeply/],
    [`true${' && true'.repeat(6000)}`, /too large/],
    [`true // ${'x'.repeat(70_000)}`, /more than 65536 bytes/],
    ['', /syntax error/],
  ]
  for (const [text, expected] of rows) {
    const loading = await load(text)
    assert.equal(loading.kind, 'failed', text.slice(0, 50))
    if (loading.kind === 'failed') assert.match(loading.message, expected)
  }
  const two = await load('a == 1 && b == 2 && request.methd == "x"')
  assert.equal(two.kind === 'failed' && two.diagnostics?.length, 3)
  const [, , last] = two.kind === 'failed' ? (two.diagnostics ?? []) : []
  assert.equal(last?.help, 'write `method`')
})

test('macros over what a client makes long are bounded, whatever is made of the error', async () => {
  const path = `/${'a/'.repeat(3000)}`
  const nested = "request.path.split('/').all(a, request.path.split('/').all(b, a != 'x' && b != 'x'))"
  const began = performance.now()
  assert.equal(await decided(nested, { path }), '403')
  assert.equal(await decided(`${nested} || true`, { path }), '403')
  assert.equal(await decided(`!(${nested}) || request.path != ''`, { path }), '403')
  assert.equal(await decided(nested, { path: '/a/b' }), 'allow')
  assert.ok(performance.now() - began < 3000)
  const evil = { body: Buffer.from(`${'a'.repeat(100_000)}b`) }
  assert.equal(await decided("!request.body.matches('^(a+)+$')", evil), '403')
  assert.equal(await decided("!request.body.matches('^(a+)+$')", { body: Buffer.from('aab') }), 'allow')
  const grown = "request.path.replace('', request.path).replace('', request.path).size() > 0"
  assert.equal(await decided(grown, { path }), '403')
})

test('a path that normalization would change has to pass both ways', async () => {
  const text = "request.path.startsWith('/public/')"
  const rows: [string, string][] = [
    ['/public/a', 'allow'],
    ['/public/../admin', '403'],
    ['/public/%2e%2e/admin', '403'],
    ['/public/..%2fadmin', '403'],
    ['//public/a', '403'],
    ['/public//a', 'allow'],
    ['/public/a%00', '400'],
    ['*', '400'],
    ['', '400'],
  ]
  for (const [path, expected] of rows) assert.equal(await decided(text, { path }), expected, path)
})

test('TCP connections have no request', async () => {
  const { connect } = await asked("connection.mtls && source.principal.endsWith('/sa/front')")
  assert.equal((await connect('spiffe://td/ns/a/sa/front')).kind, 'allow')
  assert.equal((await connect()).kind, 'deny')
  const http = await asked("request.method == 'GET' || true")
  assert.equal((await http.connect()).kind, 'allow', 'an error or true is true')
  assert.equal((await (await asked("request.method == 'GET'")).connect()).kind, 'deny')
  const named = await asked("connection.requested_server_name == 'db.example'")
  assert.equal((await named.connect('', 'db.example')).kind, 'allow')
})

test('tokens are verified by RequestAuthentication before the expression', async () => {
  const key = Buffer.from('secret')
  const jwks = JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', k: key.toString('base64url') }] })
  const tokens = folder.write(
    'tokens.yaml',
    `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt }
spec:
  jwtRules:
  - { issuer: me, jwks: '${jwks}', outputClaimToHeaders: [{ header: x-sub, claim: sub }] }
`,
  )
  const { ask } = judgeOf(
    await load("request.auth.claims.role == 'admin' && request.auth.principal == 'me/a'", [tokens]),
    logger,
  )
  const bearer = (claims: object, secret = key) => {
    return { headers: { authorization: `Bearer ${secretToken(claims, secret)}`, 'x-sub': 'forged' } }
  }
  assert.deepEqual(await ask(bearer({ iss: 'me', sub: 'a', role: 'admin' })), {
    ...{ ...plainAllow, set: [['x-sub', 'a']], remove: ['authorization'] },
  })
  const other = await ask(bearer({ iss: 'me', sub: 'a', role: 'user' }))
  assert.equal(other.kind === 'deny' && other.status, 403)
  const bad = await ask(bearer({ iss: 'me', sub: 'a', role: 'admin' }, Buffer.from('another')))
  assert.ok(bad.kind === 'deny')
  assert.deepEqual([bad.status, bad.body], [401, 'Jwt verification fails'])
  assert.equal((await ask()).kind, 'deny')
  const empty = folder.write('none.yaml', 'kind: Namespace\napiVersion: v1\nmetadata: { name: x }\n')
  const failed = await load('true', [empty])
  assert.match(failed.kind === 'failed' ? failed.message : '', /no rule of RequestAuthentication/)
})
