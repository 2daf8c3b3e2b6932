import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { type Answer, folderOf, type Surroundings, sallyport } from '../terminal.test.fixture.ts'

const OPA = ['-f', 'examples/opa', '--workload', 'default/httpbin-with-opa']
const DELEGATED = ['-f', 'examples/delegated', '--workload', 'default/user-service']

function explain(argv: readonly string[], request: unknown, around: Surroundings = {}): Promise<Answer> {
  const stdin = typeof request === 'string' ? request : JSON.stringify(request)
  return sallyport(['explain', ...argv, '--request', '-'], { ...around, stdin })
}

async function decision(argv: readonly string[], request: unknown, around: Surroundings = {}) {
  const answer = await explain([...argv, '-o', 'jsonl'], request, around)
  assert.equal(answer.code, 0, answer.stderr)
  assert.equal(answer.stdout.split('\n').length, 2)
  return JSON.parse(answer.stdout)
}

async function refused(answer: Promise<Answer>, code: number, expected: RegExp): Promise<void> {
  const { stdout, stderr, code: actual } = await answer
  assert.match(stderr, expected)
  assert.doesNotMatch(stderr, /^ +at .*:\d+|internal error:/m)
  assert.deepEqual([stdout, actual], ['', code], stderr)
}

test('what is missing or contradicts itself is a usage error', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [OPA, /no request\n.*--curl/],
    [[...OPA, '--curl', 'curl http://x', '--request', '-'], /--request and --curl exclude each other/],
    [['-f', 'examples/opa', '--curl', 'curl x'], /no workload: .*\n {2}there are: default\/httpbin-with-opa/],
    [['-f', 'examples/opa', '--workload', 'httpbin-with-op', '--curl', 'curl x'], /did you mean `default\/httpbin-/],
    [['-f', 'examples/opa', '--workload', 'a/b/c', '--curl', 'curl x'], /no workload `a\/b\/c`/],
    [[...OPA, '--curl', "curl 'x"], /--curl: a quote is not closed/],
    [[...OPA, '--curl', 'curl x', '--port', '0'], /--port needs a port/],
    [[...OPA, '--curl', 'curl x', '--port', '80x'], /--port needs a port/],
    [[...OPA, '--curl', 'curl x', '--jwks', 'nonsense'], /--jwks needs ISSUER=FILE/],
    [[...OPA, '--curl', 'curl x', '--jwks', 'a='], /--jwks needs ISSUER=FILE/],
    ...['yesterday', '2026', '12', '2026-13-01', '2026-01-01T25:00:00Z', '2026-01-01T00:00:00', ''].map(
      (time) => [[...OPA, '--curl', 'curl x', '--at', time], /--at needs a time such as/] as const,
    ),
  ]
  for (const [argv, expected] of cases) await refused(sallyport(['explain', ...argv]), 2, expected)
})

test('a request or keys that cannot be read are invalid input', async (t) => {
  const cwd = folderOf(t, {
    'empty.json': '',
    'keys.json': '{"keys":[{"kty":"oct"}]}',
    'binary.json': Uint8Array.of(0xff),
  })
  const argv = ['explain', '-f', `${process.cwd()}/examples/opa`, '--workload', 'default/httpbin-with-opa']
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--request', 'absent.json'], /^error: absent\.json: no such file or folder$/m],
    [['--request', '.'], /^error: \.: is a folder$/m],
    [['--request', 'empty.json'], /^error: empty\.json: there is no text/m],
    [['--request', 'binary.json'], /^error: binary\.json: the file is not UTF-8 text$/m],
    [['--requests', 'absent.json'], /^error: absent\.json: no such file or folder$/m],
    [['--curl', 'curl x', '--jwks', 'i=absent.json'], /^error: absent\.json: no such file or folder$/m],
    [['--curl', 'curl x', '--jwks', 'i=empty.json'], /^error: empty\.json: no usable keys: /m],
    [['--curl', 'curl x', '--jwks', 'i=keys.json'], /^error: keys\.json: no usable keys: /m],
  ]
  for (const [more, expected] of cases) await refused(sallyport([...argv, ...more], { cwd }), 3, expected)
})

test('a request with a mistake says which field, and quotes no secret', async () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ['{', /not valid JSON at column 2/],
    ['', /there is no text where a JSON object is expected/],
    ['{"headers":[["authorization","Bearer s3cret"]],}', /not valid JSON at column/],
    ['[]', /the request must be an object/],
    ['null', /the request must be an object/],
    ['"x"', /the request must be an object/],
    [{ metod: 'GET' }, /unknown field `metod` in a request; did you mean `method`\?/],
    [{ request: {} }, /unknown field `request`/],
    ['{"__proto__":{}}', /unknown field `__proto__`/],
    [{ source: { principle: 'x' } }, /unknown field `principle` in `source`; did you mean `principal`\?/],
    [{ destination: { prt: 1 } }, /unknown field `prt` in `destination`; did you mean `port`\?/],
    [{ method: 5 }, /`method` must be text/],
    [{ method: 'GET /' }, /`method` is no HTTP method/],
    [{ path: '/日' }, /`path` holds a character that is no byte/],
    [{ path: '/', headers: { a: 'b' } }, /`headers` must be a list of \[name, value\]/],
    [{ path: '/', headers: [['a']] }, /`headers`\[0\] must be \[name, value\]/],
    [{ path: '/', headers: [['a', null]] }, /`headers`\[0\] must be \[name, value\]/],
    [{ path: '/', headers: [['a b', 'c']] }, /`headers`\[0\] has no valid name/],
    [{ path: '/', headers: [['Host', 'c']] }, /give the host as `host`/],
    [{ path: '/', protocol: 'SPDY' }, /`protocol` must be HTTP\/1\.1 or .*, not `SPDY`/],
    [{ path: '/', scheme: 'ftp' }, /`scheme` must be http or https/],
    [{ path: '/', body: {} }, /`body` must be text/],
    [{ path: '/', source: { ip: '999' } }, /`source\.ip` is no IP address/],
    [{ path: '/', remoteIp: '1.2.3' }, /`remoteIp` is no IP address/],
    [{ path: '/', destination: { port: 70000 } }, /`destination\.port` must be a whole number/],
    [{ path: '/', id: {} }, /`id` must be text or a number/],
    [{ path: '/', claims: [] }, /`claims` must be an object/],
    [{ path: '/', providers: { a: { allow: 1 } } }, /`providers\.a` needs `allow`/],
    [{ path: '/', providers: { a: { alow: true } } }, /unknown field `alow` in `providers\.a`; did you mean `allow`/],
    [{ path: '/', providers: { a: { error: 'late' } } }, /`providers\.a`\.error must be timeout or unavailable/],
    [{ path: '/', providers: { a: { allow: true, error: 'timeout' } } }, /not both/],
    [{ path: '/', providers: { a: { allow: false, status: 20 } } }, /`providers\.a`\.status must be/],
  ]
  for (const [request, expected] of cases) {
    const answer = explain(OPA, request)
    await refused(answer, 3, expected)
    assert.doesNotMatch((await answer).stderr, /s3cret/)
  }
})

test('what no parser would let through is refused by the proxy, not an error', async () => {
  for (const request of [
    { path: '/a b' },
    { path: '/\u0000' },
    { path: '/', headers: [['a', 'b\nc']] },
    { path: '/', headers: [['a', 'b\u0000']] },
    { path: '/', headers: [['content-length', '-1']] },
    {
      path: '/',
      headers: [
        ['content-length', '1'],
        ['content-length', '2'],
      ],
    },
  ]) {
    const { decision: verdict, status, phase, policy } = await decision(OPA, request)
    assert.deepEqual({ verdict, status, phase, policy }, { verdict: 'deny', status: 400, phase: 'http', policy: null })
  }
  assert.equal((await decision(OPA, { path: '/', protocol: 'HTTP/1.0' })).status, 426)
})

test('the fields of a decision, in their order', async () => {
  const keys = async (argv: readonly string[], request: unknown) => Object.entries(await decision(argv, request))
  assert.deepEqual(await keys(OPA, { id: 'r1', path: '/ip' }), [
    ['id', 'r1'],
    ['decision', 'allow'],
    ['status', 200],
    ['body', null],
    ['phase', 'none'],
    ['policy', null],
    ['details', null],
  ])
  assert.deepEqual(await keys(DELEGATED, { id: 7, path: '/other' }), [
    ['id', 7],
    ['decision', 'deny'],
    ['status', 403],
    ['body', 'RBAC: access denied'],
    ['phase', 'allow'],
    ['policy', 'none'],
    ['details', 'rbac_access_denied_matched_policy[none]'],
  ])
  assert.deepEqual(
    await keys(OPA, { path: '/x', providers: { 'opa.local': { allow: false, status: 401, body: 'no' } } }),
    [
      ['id', null],
      ['decision', 'deny'],
      ['status', 401],
      ['body', 'no'],
      ['phase', 'custom'],
      ['policy', null],
      ['details', 'ext_authz_denied'],
      ['provider', 'opa.local'],
    ],
  )
})

test('a provider allows, denies, fails or is to be asked, unless a later phase denies anyway', async () => {
  const brief = async (argv: readonly string[], request: object) => {
    const { decision: verdict, status, phase, provider, details } = await decision(argv, request)
    return [verdict, status, phase, provider, details]
  }
  const given = (answer: object) => ({ path: '/x', providers: { 'opa.local': answer } })
  assert.deepEqual(await brief(OPA, { path: '/x' }), ['ask', null, 'custom', 'opa.local', null])
  assert.deepEqual(await brief(OPA, given({ allow: true })), ['allow', 200, 'none', 'opa.local', null])
  assert.deepEqual(await brief(OPA, given({ allow: false })), ['deny', 403, 'custom', 'opa.local', 'ext_authz_denied'])
  for (const error of ['timeout', 'unavailable']) {
    assert.deepEqual(await brief(OPA, given({ error })), ['deny', 403, 'custom', 'opa.local', 'ext_authz_error'])
  }
  // The ALLOW policy of the workload takes GET only, whatever the provider says.
  const post = { method: 'POST', path: '/api/v1/users' }
  const denied = ['deny', 403, 'allow', 'delegated', 'rbac_access_denied_matched_policy[none]']
  assert.deepEqual(await brief(DELEGATED, post), denied)
  assert.deepEqual(await brief(DELEGATED, { ...post, method: 'GET' }), ['ask', null, 'custom', 'delegated', null])
  const misspelt = await explain(OPA, { path: '/x', providers: { 'opa.lcal': { allow: true } } })
  assert.match(misspelt.stderr, /^note: .*`providers\.opa\.lcal` is not used: .* did you mean `opa\.local`\?$/m)
})

test('a policy whose provider does not exist refuses what it matches', async (t) => {
  const cwd = folderOf(t, {
    'mesh.yaml': WEB(80) + policy('ask', 'action: CUSTOM\n  provider: { name: opa }\n  rules: [{}]'),
  })
  const answer = await explain(['-f', 'mesh.yaml', '--workload', 'default/web', '-o', 'jsonl'], { path: '/' }, { cwd })
  assert.match(answer.stderr, /^mesh\.yaml:\d+:\d+: warning: available providers are \[\] but found "opa"/)
  const { decision: verdict, phase, policy: id } = JSON.parse(answer.stdout)
  assert.deepEqual([verdict, phase], ['deny', 'custom'])
  assert.match(id, /deny-due-to-bad-CUSTOM-action/)
})

test('a gRPC request is refused with its own status', async () => {
  const headers = [['content-type', 'application/grpc']]
  for (const protocol of ['HTTP/1.1', 'HTTP/2']) {
    const answer = await decision(DELEGATED, { method: 'POST', path: '/a.B/C', protocol, headers })
    assert.deepEqual(
      [answer.decision, answer.status, answer.body, answer.grpcStatus, answer.grpcMessage],
      ['deny', 200, '', 7, 'RBAC: access denied'],
    )
  }
})

const WEB = (...ports: number[]) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: default }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: web, ports: [${ports.map((port) => `{ containerPort: ${port} }`).join(', ')}] }] }
---
`

function policy(name: string, spec: string, kind = 'AuthorizationPolicy'): string {
  return `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: default }\nspec:\n  ${spec}\n---\n`
}

test('the port is the only one, or said', async (t) => {
  const cwd = folderOf(t, { 'none.yaml': WEB(), 'one.yaml': WEB(80), 'two.yaml': WEB(80, 81) })
  const ask = (file: string, request: object, ...more: string[]) =>
    explain(['-f', file, '--workload', 'default/web', ...more], request, { cwd })
  await refused(ask('none.yaml', { path: '/' }), 2, /no port: say which of `default\/web`.*\n.*name no port of it/)
  await refused(ask('two.yaml', { path: '/' }), 2, /no port: say which .*\n {2}its ports: 80, 81/)
  assert.equal((await ask('one.yaml', { path: '/' })).code, 0)
  assert.equal((await ask('two.yaml', { path: '/' }, '--port', '81')).code, 0)
  assert.equal((await ask('two.yaml', { path: '/', destination: { port: 80 } })).code, 0)
  assert.match((await ask('two.yaml', { path: '/' }, '--port', '90')).stderr, /names no port 90 .*\(80, 81\)/)
  // In many lines each says so in its place, and the command line is what lacks it.
  const many = await sallyport(
    ['explain', '-f', 'two.yaml', '--workload', 'default/web', '--requests', '-', '-o', 'jsonl'],
    { cwd, stdin: '{"id":1,"path":"/"}\n{"id":2,"path":"/","destination":{"port":80}}\n' },
  )
  assert.equal(many.code, 2)
  assert.deepEqual(
    many.stdout.split('\n').map((line) => line.slice(0, 30)),
    ['{"id":1,"line":1,"error":{"cod', '{"id":2,"decision":"allow","st', ''],
  )
})

test('TCP, STRICT, and the address of the client', async (t) => {
  const cwd = folderOf(t, {
    'mesh.yaml':
      WEB(80) +
      policy('strict', 'mtls: { mode: STRICT }', 'PeerAuthentication') +
      policy('remote', 'action: DENY\n  rules: [{ from: [{ source: { remoteIpBlocks: [1.2.3.4] } }] }]') +
      policy('post', 'action: DENY\n  rules: [{ to: [{ operation: { ports: ["81"] } }] }]'),
  })
  const argv = ['-f', 'mesh.yaml', '--workload', 'default/web']
  const source = { principal: 'cluster.local/ns/default/sa/a' }
  const brief = async (request: object) => {
    const { decision: verdict, status, body, phase, policy: id } = await decision(argv, request, { cwd })
    return [verdict, status, body, phase, id]
  }
  assert.deepEqual(await brief({ path: '/' }), ['deny', null, null, 'peer', null])
  assert.deepEqual(await brief({}), ['deny', null, null, 'peer', null])
  assert.deepEqual(await brief({ source }), ['allow', null, null, 'none', null])
  assert.deepEqual(await brief({ source, destination: { port: 81 } }), [
    ...['deny', null, null, 'deny'],
    'ns[default]-policy[post]-rule[0]',
  ])
  assert.deepEqual(await brief({ source, path: '/' }), ['allow', 200, null, 'none', null])
  const remote = ['deny', 403, 'RBAC: access denied', 'deny', 'ns[default]-policy[remote]-rule[0]']
  assert.deepEqual(await brief({ source, path: '/', remoteIp: '1.2.3.4' }), remote)
  const note = await explain(argv, { headers: [['a', 'b']], source }, { cwd })
  assert.match(note.stderr, /is a TCP connection: `headers` is not looked at/)
  const foreign = await explain(argv, { path: '/', source: { principal: 'other.td/ns/a/sa/b' } }, { cwd })
  assert.match(foreign.stderr, /would refuse peers of the trust domain `other\.td`: the mesh's are cluster\.local/)
})

const secret = Buffer.alloc(32, 7)
const jwks = JSON.stringify({ keys: [{ kty: 'oct', k: secret.toString('base64url'), alg: 'HS256' }] })

function token(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'HS256' })}.${part(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

const JWT =
  WEB(80) +
  policy(
    'jwt',
    `jwtRules:\n  - issuer: i\n    jwks: '${jwks}'\n    spaceDelimitedClaims: [roles]\n    outputClaimToHeaders: [{ header: x-sub, claim: sub }]\n    fromHeaders: [{ name: x-token }, { name: authorization, prefix: "Bearer " }]`,
    'RequestAuthentication',
  ) +
  policy(
    'need',
    `action: ALLOW
  rules:
  - when:
    - { key: "request.auth.claims[scope]", values: [read] }
    - { key: "request.auth.claims[roles]", values: [admin] }
    - { key: "request.headers[x-sub]", values: [ann] }
  - to: [{ operation: { paths: [/public] } }]`,
  )
const NEED = ['-f', 'mesh.yaml', '--workload', 'default/web']

test('claims do what the token would have done', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': JWT })
  const verdict = async (request: object) => (await decision(NEED, { path: '/', ...request }, { cwd })).decision
  const claims = { iss: 'i', sub: 'ann', scope: 'read write', roles: 'user admin' }
  const forms: readonly ((claims: object) => object)[] = [
    (given) => ({ claims: given }),
    (given) => ({ headers: [['authorization', `Bearer ${token(given)}`]] }),
  ]
  for (const form of forms) {
    assert.equal(await verdict(form(claims)), 'allow')
    assert.equal(await verdict(form({ ...claims, scope: 'readwrite' })), 'deny')
    assert.equal(await verdict(form({ ...claims, roles: 'administrator' })), 'deny')
    assert.equal(await verdict(form({ ...claims, sub: 'bob' })), 'deny')
  }
  // Nobody speaks in the name of a token.
  assert.equal(await verdict({ claims: { ...claims, sub: 'bob' }, headers: [['x-sub', 'ann']] }), 'deny')
})

test('a bad token beside a good one is refused with --strict-tokens only', async (t) => {
  const other = policy(
    'other',
    "jwtRules: [{ issuer: j, fromHeaders: [{ name: x-j }], jwks: 'JWKS' }]",
    'RequestAuthentication',
  )
  const cwd = folderOf(t, { 'mesh.yaml': JWT + other.replace('JWKS', jwks) })
  const headers = [
    ['authorization', `Bearer ${token({ iss: 'i', sub: 'ann' })}`],
    ['x-j', 'bad'],
  ]
  const request = { path: '/public', headers }
  assert.equal((await decision(NEED, request, { cwd })).decision, 'allow')
  const strict = await decision([...NEED, '--strict-tokens'], request, { cwd })
  assert.deepEqual([strict.decision, strict.status, strict.phase], ['deny', 401, 'authn'])
})

test('claims and a token exclude each other, wherever the token is', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': JWT })
  const both = /`claims` replaces the token: give one of them, not both/
  for (const name of ['authorization', 'x-token']) {
    const value = name === 'authorization' ? `Bearer ${token({})}` : token({})
    await refused(explain(NEED, { path: '/', claims: {}, headers: [[name, value]] }, { cwd }), 3, both)
  }
  await refused(explain(OPA, { path: '/', claims: {}, headers: [['Authorization', 'bearer x']] }), 3, both)
  const basic = await explain(OPA, { path: '/', claims: {}, headers: [['authorization', 'Basic eDp5']] })
  assert.equal(basic.code, 0)
  assert.match(basic.stderr, /note: `claims` is taken as verified, but no RequestAuthentication applies/)
})

test('the keys and the clock of the command line', async (t) => {
  const mesh = JWT.replace(`jwks: '${jwks}'`, 'jwksUri: https://i.example/keys')
  const cwd = folderOf(t, { 'mesh.yaml': mesh, 'keys.json': jwks })
  const request = {
    path: '/public',
    headers: [['authorization', `Bearer ${token({ iss: 'i', exp: Date.UTC(2026, 0, 1) / 1000 })}`]],
  }
  const at = (time: string, keys = 'i=keys.json') =>
    explain([...NEED, '--jwks', keys, '--at', time, '-o', 'jsonl'], request, { cwd })
  assert.equal(JSON.parse((await at('2025-12-31T23:59:59Z')).stdout).decision, 'allow')
  const late = JSON.parse((await at('2026-01-01T01:02:00+00:00')).stdout)
  assert.deepEqual([late.status, late.phase, late.body], [401, 'authn', 'Jwt is expired'])
  const unused = await at('2025-01-01', 'j=keys.json')
  assert.match(unused.stderr, /note: the keys of `j` are not used/)
  assert.equal(JSON.parse(unused.stdout).body, 'Jwks remote fetch is failed')
})

test('a line of the decision log is read back, and a masked token is no bad token', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': JWT })
  const line = (request: object) =>
    JSON.stringify({
      ...{ id: 'q1', time: '2026-01-01T00:00:00.000Z', workload: 'default/web', decision: 'allow', status: 200 },
      ...{ body: null, phase: 'none', policy: null, details: null },
      request: { source: { ip: '127.0.0.1' }, destination: { ip: '127.0.0.1', port: 80 }, method: 'GET', ...request },
      ...{ responseStatus: 200, durationMs: 1.5 },
    })
  const run = (log: string) =>
    sallyport(['explain', ...NEED, '--requests', '-', '-o', 'jsonl'], { cwd, stdin: `${log}\n` })
  for (const name of ['authorization', 'x-token']) {
    const { code, stdout, stderr } = await run(line({ path: '/public', headers: [[name, '[masked]']] }))
    assert.deepEqual([code, JSON.parse(stdout).id, JSON.parse(stdout).decision], [0, 'q1', 'allow'])
    assert.match(stderr, /^note: a masked token cannot be verified: /m)
  }
  // With claims in its place it is decided as the token was.
  const claims = { iss: 'i', sub: 'ann', scope: 'read', roles: 'admin' }
  const replaced = await run(line({ path: '/', headers: [['authorization', '[masked]']], claims }))
  assert.equal(JSON.parse(replaced.stdout).decision, 'allow')
  assert.doesNotMatch(replaced.stderr, /note: /)
  // What is not masked is verified as ever.
  const bad = await run(line({ path: '/public', headers: [['authorization', 'Bearer x']] }))
  assert.equal(JSON.parse(bad.stdout).status, 401)
  const cut = await run(line({ path: `/public?${'x'.repeat(2000)}…`, headers: [['x-long', `${'y'.repeat(512)}…`]] }))
  assert.equal(JSON.parse(cut.stdout).decision, 'allow')
  assert.match(cut.stderr, /note: a long value was cut by the log/)
})

test('one line out for each line in, in order, and 3 at the end where one was bad', async () => {
  const long = JSON.stringify({ id: 'long', path: '/ip', headers: [['x', 'y'.repeat(10 << 20)]] })
  const input = [
    '{"id":"a","path":"/ip"}',
    '{bad',
    '',
    '{"id":5,"path":5}',
    long,
    '{"id":"b","path":"/x"}',
    '',
    ' ',
    '',
  ]
  const { code, stdout } = await sallyport(['explain', ...OPA, '--requests', '-', '-o', 'jsonl'], {
    stdin: input.join('\n'),
  })
  const out = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  assert.equal(code, 3)
  assert.deepEqual(
    out.map((line) => [line.id, line.decision ?? line.error.code, line.line]),
    [
      ['a', 'allow', undefined],
      [null, 'bad_json', 2],
      [null, 'bad_json', 3],
      [5, 'bad_request', 4],
      ['long', 'allow', undefined],
      ['b', 'ask', undefined],
    ],
  )
  const array = await sallyport(['explain', ...OPA, '--requests', '-', '-o', 'json'], { stdin: input.join('\n') })
  const objects = JSON.parse(array.stdout)
  assert.equal(objects.length, 6)
  assert.deepEqual(Object.keys(objects[1]), ['id', 'line', 'error'])
  assert.deepEqual(Object.keys(objects[1].error), ['code', 'message'])
  assert.ok('trace' in objects[0])
  const text = await sallyport(['explain', ...OPA, '--requests', '-'], { stdin: '{bad\n{"path":"/ip"}\n' })
  assert.equal(text.code, 3)
  assert.match(text.stderr, /^-:1: not valid JSON/)
  assert.match(text.stdout, /^ALLOW 200 {2}GET \/ip /)
  for (const [format, empty] of [
    ['jsonl', ''],
    ['json', '[]\n'],
    ['text', ''],
  ] as const) {
    const none = await sallyport(['explain', ...OPA, '--requests', '-', '-o', format], { stdin: '\n' })
    assert.deepEqual(none, { code: 0, stdout: empty, stderr: '' })
  }
})
