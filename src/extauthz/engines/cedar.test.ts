import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { CedarEngine } from '../../mesh/authorizer.ts'
import { pathsAbove } from './cedar-checks.ts'
import { createEngine } from './engine.ts'
import { type Asking, engineTests, judgeOf, peer, saidOf, secretToken } from './engines.test.fixture.ts'

const { folder, logged, logger } = engineTests()

interface Files {
  readonly policies: string
  readonly entities?: unknown
  readonly schema?: string
  readonly tokens?: readonly string[]
  readonly principal?: CedarEngine['principal']
}

async function load({ policies, entities, schema, tokens = [], principal = 'source' }: Files) {
  const engine: CedarEngine = {
    kind: 'cedar',
    policies: folder.write('policy.cedar', policies),
    entities: entities === undefined ? null : folder.write('entities.json', JSON.stringify(entities)),
    schema: schema === undefined ? null : folder.write('policy.cedarschema', schema),
    tokens,
    principal,
  }
  return createEngine(engine, { logger }).load()
}

async function decided(files: Files | string, asking: Asking = {}): Promise<string> {
  const loading = await load(typeof files === 'string' ? { policies: files } : files)
  const verdict = await judgeOf(loading, logger).ask(asking)
  if (loading.kind === 'loaded') loading.close?.()
  return saidOf(verdict)
}

const front = 'spiffe://cluster.local/ns/web/sa/front'
const asking: Asking = {
  method: 'POST',
  path: '/api/v1/users?page=2&page=3',
  host: 'web.example',
  headers: { 'x-user': 'alice', 'x-name': 'ü' },
  source: peer(front, '10.1.2.3', 4321),
  contextExtensions: { team: 'a' },
  attributes: { tlsSession: { sni: 'web.example' } },
}

test('who, what and where of a request', async () => {
  const when = (condition: string) => `permit(principal, action, resource) when { ${condition} };`
  const holds = [
    `permit(principal == Principal::"${front}", action, resource);`,
    'permit(principal, action == Action::"POST", resource == Resource::"/api/v1/users");',
    'permit(principal, action, resource in Resource::"/api");',
    'permit(principal, action, resource in Resource::"/");',
    when('context.path == "/api/v1/users" && context.method == "POST" && context.host == "web.example"'),
    when('context.query has page && context.query.page.contains("3") && !(context.query has other)'),
    when(
      'context.headers["x-user"] == "alice" && context.headers["x-name"] == "ü" && !(context.headers has "x-other")',
    ),
    when('context.source.ip.isInRange(ip("10.0.0.0/8")) && context.source.port == 4321'),
    when('context.source.namespace == "web" && context.source.serviceAccount == "front"'),
    when('context.source.trustDomain == "cluster.local" && context.destination.port == 8080'),
    when('context.sni == "web.example" && context.contextExtensions.team == "a" && !(context has auth)'),
    when('context.now > datetime("2020-01-01") && context.scheme like "ht*"'),
    when('context == context && context.path like "/api/*"'),
  ]
  for (const policies of holds) assert.equal(await decided(policies, asking), 'allow', policies)
  const fails = [
    'permit(principal == Principal::"anonymous", action, resource);',
    'permit(principal, action == Action::"GET", resource);',
    'permit(principal, action, resource in Resource::"/ap");',
    `permit(principal, action, resource); forbid(principal, action, resource in Resource::"/api/v1");`,
    when('context.headers["x-other"] == "a"'),
  ]
  for (const policies of fails) assert.equal(await decided(policies, asking), '403', policies)
  assert.equal(await decided('permit(principal == Principal::"anonymous", action, resource);'), 'allow')
})

test('a policy that fails on a request does not permit, and one that would forbid refuses', async () => {
  const permits = 'permit(principal, action, resource);'
  const failing = (effect: string) =>
    `@id("failing")\n${effect}(principal, action, resource) when { context.headers.x == "a" };`
  assert.equal(await decided(`${permits}\n${failing('permit')}`), 'allow')
  assert.equal(await decided(failing('permit')), '403')
  logged.length = 0
  assert.equal(await decided(`@id("all")\n${permits}\n${failing('forbid')}`), '403')
  assert.deepEqual(logged.find(({ level }) => level === 'warn')?.fields, { policies: ['failing'] })
  assert.deepEqual(logged.find(({ message }) => message === 'decided')?.fields, { decision: 'deny', policies: ['all'] })
})

test('entities: groups of principals and of paths, however many there are', async () => {
  const entities = [
    { uid: { type: 'Principal', id: front }, attrs: { level: 3 }, parents: [{ type: 'Group', id: 'web' }] },
    { uid: { type: 'Group', id: 'web' }, attrs: {}, parents: [{ type: 'Group', id: 'all' }] },
    { uid: { type: 'Group', id: 'all' }, attrs: {}, parents: [] },
    { uid: { type: 'Resource', id: '/api' }, attrs: {}, parents: [{ type: 'Area', id: 'internal' }] },
    { uid: { type: 'Area', id: 'internal' }, attrs: { owner: { __entity: { type: 'Owner', id: 'a' } } }, parents: [] },
    { uid: { type: 'Owner', id: 'a' }, attrs: { open: true }, parents: [] },
    { uid: { type: 'Settings', id: 's' }, attrs: { closed: false }, parents: [] },
    ...Array.from({ length: 5000 }, (_, i) => ({ uid: { type: 'Principal', id: `p${i}` }, attrs: {}, parents: [] })),
  ]
  const holds = [
    'permit(principal in Group::"all", action, resource);',
    'permit(principal, action, resource in Area::"internal");',
    'permit(principal, action, resource) when { principal.level > 2 };',
    'permit(principal, action, resource) when { Area::"internal".owner.open && !Settings::"s".closed };',
  ]
  for (const policies of holds) {
    assert.equal(await decided({ policies, entities }, asking), 'allow', policies)
    assert.equal(await decided({ policies: `${policies}`, entities: entities.slice(7) }, asking), '403', policies)
  }
})

test('with a schema only what it names is passed, and policies are checked against it', async () => {
  const schema = `
type Headers = { "x-user"?: String };
entity Group;
entity Principal in [Group];
entity Resource in [Resource];
action GET, POST appliesTo {
  principal: [Principal], resource: [Resource],
  context: { path: String, headers: Headers, source: { ip: ipaddr, namespace?: String }, query: { page?: Set<String> } },
};`
  const policies = `permit(principal, action, resource in Resource::"/api")
when { context.headers has "x-user" && context.headers["x-user"] == "alice" && context.source.namespace == "web" };`
  const wrong = await load({ policies, schema })
  assert.match(wrong.kind === 'failed' ? wrong.message : '', /policy\.cedar:2:\d+: .*namespace/)
  const guarded = policies.replace(
    'context.source.namespace ==',
    'context.source has namespace && context.source.namespace ==',
  )
  assert.equal(await decided({ policies: guarded, schema }, asking), 'allow')
  assert.equal(await decided({ policies: guarded, schema }, { ...asking, method: 'PATCH' }), '403')
  const misspelt = await load({ policies: 'permit(principal, action, resource) when { context.pth == "/" };', schema })
  assert.match(misspelt.kind === 'failed' ? (misspelt.diagnostics?.[0]?.help ?? '') : '', /path/)
  const typeless = await load({ policies: guarded, schema: 'entity Group;' })
  assert.match(typeless.kind === 'failed' ? typeless.message : '', /no entity type `Principal`/)
})

test('mistakes are found when it is loaded, each at its place', async () => {
  const rows: [Files, RegExp][] = [
    [
      { policies: '// é\npermit(principal, action, resource)\nwhen { context.x == };' },
      /policy\.cedar:3:\d+: .*unexpected token/,
    ],
    [{ policies: '' }, /no policy/],
    [{ policies: 'permit(principal == ?principal, action, resource);' }, /a template/],
    [
      { policies: '@id("a") permit(principal, action, resource); @id("a") forbid(principal, action, resource);' },
      /two policies are called `a`/,
    ],
    [{ policies: 'permit(principal, action, resource);', entities: {} }, /not a list of entities/],
    [{ policies: 'permit(principal, action, resource);', entities: [{ uid: 1 }] }, /entities\.json: /],
    [
      { policies: 'permit(principal, action, resource);', schema: 'entity Principal in [Nobody];' },
      /policy\.cedarschema:1:\d+: .*Nobody/,
    ],
  ]
  for (const [files, expected] of rows) {
    const loading = await load(files)
    assert.match(loading.kind === 'failed' ? loading.message : 'loaded', expected)
  }
})

test('a folder of policies', async () => {
  mkdirSync(join(folder.path, 'several'))
  folder.write('several/a.cedar', 'permit(principal, action, resource);')
  folder.write('several/b.cedar', 'forbid(principal, action, resource in Resource::"/admin");')
  const engine = { kind: 'cedar', policies: join(folder.path, 'several'), entities: null, schema: null } as const
  const loading = await createEngine({ ...engine, tokens: [], principal: 'source' }, { logger }).load()
  const { ask, connect } = judgeOf(loading, logger)
  assert.equal((await ask({ path: '/a' })).kind, 'allow')
  assert.equal((await ask({ path: '/admin/x' })).kind, 'deny')
  assert.equal((await connect()).kind, 'allow')
  folder.write('several/b.cedar', '')
  const emptied = await createEngine({ ...engine, tokens: [], principal: 'source' }, { logger }).load()
  assert.match(emptied.kind === 'failed' ? emptied.message : 'loaded', /b\.cedar: the file is empty/)
})

test('a path that normalization would change has to pass both ways', async () => {
  const policies = 'permit(principal, action, resource in Resource::"/public");'
  const rows: [string, string][] = [
    ['/public', 'allow'],
    ['/public/a/', 'allow'],
    ['/publicity', '403'],
    ['/public/../admin', '403'],
    ['/public/%2e%2e/admin', '403'],
    ['/public/..%2fadmin', '403'],
    ['/public?/../x', 'allow'],
    [`/public${'/a'.repeat(100)}`, '400'],
    ['', '400'],
  ]
  for (const [path, expected] of rows) assert.equal(await decided(policies, { path }), expected, path)
  const forbids = 'permit(principal, action, resource); forbid(principal, action, resource in Resource::"/admin");'
  for (const path of ['/admin', '//admin/x', '/a/../admin', '/%61dmin', '/x%2f..%2fadmin']) {
    assert.equal(await decided(forbids, { path }), '403', path)
  }
  assert.deepEqual(pathsAbove('/a/b/?x=/c'), ['/a/b/', '/a/b', '/a', '/'])
  assert.deepEqual(pathsAbove('/'), ['/'])
})

test('TCP connections', async () => {
  const policies = `permit(principal == Principal::"${front}", action == Action::"tcp", resource == Resource::"tcp:8080");`
  const { connect } = judgeOf(await load({ policies }), logger)
  assert.equal((await connect(front)).kind, 'allow')
  assert.equal((await connect()).kind, 'deny')
})

test('whoever a token names, and its claims', async () => {
  const key = Buffer.from('secret')
  const jwks = JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', k: key.toString('base64url') }] })
  const tokens = [
    folder.write(
      'tokens.yaml',
      `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt }
spec: { jwtRules: [{ issuer: me, jwks: '${jwks}', forwardOriginalToken: true }] }
`,
    ),
  ]
  const policies = `permit(principal == Principal::"me/a", action, resource)
when { context.auth.claims.roles.contains("admin") && context.auth.claims.level == 3 && context.auth.audiences.contains("x")
  && context.auth.claims.ratio == "0.5" && !(context.auth.claims has gone) && !(context.auth.claims.sly has __entity) };`
  const { ask } = judgeOf(await load({ policies, tokens, principal: 'token' }), logger)
  const claims = {
    iss: 'me',
    sub: 'a',
    aud: 'x',
    roles: ['admin'],
    level: 3,
    ratio: 0.5,
    gone: null,
    sly: { __entity: 1 },
  }
  const bearer = (claims: object, secret = key) => ({
    headers: { authorization: `Bearer ${secretToken(claims, secret)}` },
  })
  assert.equal((await ask(bearer(claims))).kind, 'allow')
  assert.equal((await ask(bearer({ ...claims, sub: 'b' }))).kind, 'deny')
  assert.equal((await ask({ source: peer('me/a') })).kind, 'deny', 'no token, no principal')
  const bad = await ask(bearer(claims, Buffer.from('another')))
  assert.equal(bad.kind === 'deny' && bad.status, 401)
})

test('a policy that the library breaks on leaves the one that decides alone', async () => {
  const good = judgeOf(await load({ policies: 'permit(principal, action, resource);' }), logger)
  const deep = `permit(principal, action, resource) when { ${'('.repeat(5000)}true${')'.repeat(5000)} };`
  const broken = await load({ policies: deep })
  assert.match(broken.kind === 'failed' ? broken.message : '', /policy\.cedar: Cedar breaks on it/)
  assert.equal((await good.ask()).kind, 'allow')
  const next = await load({ policies: 'forbid(principal, action, resource);' })
  assert.equal(next.kind, 'loaded')
  assert.equal((await good.ask()).kind, 'allow')
})
