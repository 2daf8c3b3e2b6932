import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderMap } from '../match/header-map.ts'
import { parseIp } from '../match/ip.ts'
import { compile } from './compile.ts'
import { type Claims, Facts } from './facts.ts'
import { createInterpreter } from './interpret.ts'
import { type LowerOptions, lowerSpecs, type Specs } from './policies.test.fixture.ts'

const CLIENT = 'spiffe://cluster.local/ns/b/sa/s'

interface Asked {
  readonly peer?: string
  readonly ip?: string
  readonly remoteIp?: string
  readonly port?: number
  readonly sni?: string
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly claims?: Claims
}

function factsOf(asked: Asked, protocol: 'http' | 'tcp'): Facts {
  const ip = (text: string) => parseIp(text) as NonNullable<ReturnType<typeof parseIp>>
  const connection = {
    peer: asked.peer ?? CLIENT,
    sourceIp: ip(asked.ip ?? '127.0.0.1'),
    destinationIp: ip('10.0.0.2'),
    destinationPort: asked.port ?? 8080,
    sni: asked.sni ?? '',
  }
  if (protocol === 'tcp') return Facts.ofConnection(connection)
  const facts = Facts.ofRequest(connection, {
    method: asked.method ?? 'GET',
    path: asked.path ?? '/',
    host: asked.host ?? 'web.foo',
    scheme: 'http',
    headers: HeaderMap.from(asked.headers ?? []),
    remoteIp: ip(asked.remoteIp ?? asked.ip ?? '127.0.0.1'),
  })
  facts.authenticated(facts.path, asked.claims ?? null)
  return facts
}

/** `allow`, `deny` and the id of what refused, or `ask` and the provider. */
function decide(specs: Specs, asked: Asked, options: LowerOptions = {}): string {
  const ir = lowerSpecs(specs, options)
  const facts = factsOf(asked, options.protocol ?? 'http')
  const [told, compiled] = [createInterpreter(ir), compile(ir)].map((decider) => {
    const custom = decider.custom(facts)
    if (custom.kind === 'deny') return `deny ${custom.policy}`
    const verdict = decider.decide(facts)
    if (verdict.kind === 'deny') return `deny ${verdict.policy}`
    return custom.kind === 'ask' ? `ask ${custom.provider.name}` : 'allow'
  })
  assert.equal(compiled, told, 'both engines')
  return told as string
}

const ALLOW = 'allow'
const NONE = 'deny none'
const MATCHED = 'deny ns[foo]-policy[p]-rule[0]'

/** One policy `p`; whether it matches is seen in that an ALLOW allows. */
function matches(rule: string, asked: Asked, options: LowerOptions = {}): boolean {
  return decide({ p: `{ rules: [${rule}] }` }, asked, options) === ALLOW
}

test('the order of actions, and what their absence means', () => {
  const rows: readonly (readonly [specs: Specs, asked: Asked, expected: string])[] = [
    [{}, {}, ALLOW],
    [{ p: '{}' }, {}, NONE],
    [{ a: '{ rules: [{}] }', p: '{ action: DENY, rules: [{}] }' }, {}, MATCHED],
    [{ '!p': '{ rules: [{ to: [{ operation: { paths: [/x] } }] }] }' }, { path: '/y' }, ALLOW],
    [{ p: '{ action: AUDIT, rules: [{}] }' }, {}, ALLOW],
    [
      {
        'istio-system/a': '{ rules: [{ from: [{ source: { namespaces: [a] } }] }] }',
        p: '{ rules: [{ from: [{ source: { namespaces: [b] } }] }] }',
      },
      {},
      ALLOW,
    ],
    [{ p: '{ action: DENY, rules: [] }' }, {}, ALLOW],
    [{ p: '{ action: CUSTOM, provider: { name: grpc }, rules: [{}] }' }, {}, 'ask grpc'],
    [
      { c: '{ action: CUSTOM, provider: { name: grpc }, rules: [{}] }', p: '{ action: DENY, rules: [{}] }' },
      {},
      MATCHED,
    ],
    [{ c: '{ action: CUSTOM, provider: { name: grpc }, rules: [{}] }', p: '{}' }, {}, NONE],
  ]
  for (const [specs, asked, expected] of rows) assert.equal(decide(specs, asked), expected, JSON.stringify(specs))
  const union = {
    p: '{ rules: [{ to: [{ operation: { methods: [GET] } }] }] }',
    q: '{ rules: [{ to: [{ operation: { methods: [POST] } }] }] }',
  }
  assert.deepEqual(
    ['GET', 'POST', 'PUT'].map((method) => decide(union, { method })),
    [ALLOW, ALLOW, NONE],
  )
})

test('the first rule by id is reported', () => {
  const rules = Array.from(
    { length: 11 },
    (_, i) => `{ to: [{ operation: { paths: [${i === 2 || i === 10 ? '/x' : '/y'}] } }] }`,
  )
  assert.equal(
    decide({ p: `{ action: DENY, rules: [${rules.join(', ')}] }` }, { path: '/x' }),
    'deny ns[foo]-policy[p]-rule[10]',
  )
})

const source = (text: string) => `{ from: [{ source: { ${text} } }] }`
const operation = (text: string) => `{ to: [{ operation: { ${text} } }] }`
const when = (key: string, text: string) => `{ when: [{ key: "${key}", ${text} }] }`

test('sources', () => {
  const rows: readonly (readonly [rule: string, asked: Asked, expected: boolean, options?: LowerOptions])[] = [
    [
      '{ from: [{ source: { principals: ["cluster.local/ns/b/sa/s"] } }], to: [{ operation: { methods: [GET] } }] }',
      { method: 'POST' },
      false,
    ],
    [source('principals: ["cluster.local/ns/b/sa/s"], ipBlocks: ["10.0.0.0/8"]'), { ip: '11.0.0.1' }, false],
    [source('principals: ["cluster.local/ns/b/sa/s"], ipBlocks: ["10.0.0.0/8"]'), { ip: '10.0.0.1' }, true],
    [source('notPrincipals: [x]'), { peer: '' }, true],
    [source('notPrincipals: ["*"]'), { peer: '' }, true],
    [source('notPrincipals: ["*"]'), {}, false],
    [
      source('principals: ["cluster.local/ns/b/*"]'),
      { peer: 'spiffe://td1/ns/b/sa/s' },
      false,
      { trustDomains: ['td1'] },
    ],
    [
      source('principals: ["cluster.local/ns/b/sa/s"]'),
      { peer: 'spiffe://td1/ns/b/sa/s' },
      true,
      { trustDomains: ['td1'] },
    ],
    [source('principals: ["cluster.local/ns/b/sa/s"]'), {}, false, { trustDomains: ['td1'] }],
    [source('principals: ["*/sa/s"]'), {}, true],
    [source('namespaces: ["*sa"]'), {}, true],
    [source('namespaces: [sa]'), {}, false],
    [source('serviceAccounts: [s]'), { peer: 'spiffe://cluster.local/ns/foo/sa/s' }, true],
    [source('serviceAccounts: [s]'), { peer: 'spiffe://cluster.local/ns/foo/sa/s-2' }, false],
    [source('serviceAccounts: [s]'), {}, false],
    [source('serviceAccounts: [b/s]'), {}, true],
    [source('ipBlocks: ["1.2.3.4"]'), { remoteIp: '1.2.3.4' }, false],
    [source('remoteIpBlocks: ["1.2.3.4"]'), { remoteIp: '1.2.3.4' }, true],
    [source('ipBlocks: ["0.0.0.0/0"]'), { ip: '::1' }, false],
    [source('notNamespaces: [b]'), { peer: '' }, true],
    [source('trustDomains: [td1]'), { peer: 'spiffe://old/ns/b/sa/s' }, true, { trustDomains: ['td1', 'old'] }],
    [source('trustDomains: ["cluster*"]'), {}, true],
    [source('trustDomains: [cluster]'), {}, false],
  ]
  for (const [rule, asked, expected, options] of rows) {
    assert.equal(matches(rule, asked, options), expected, `${rule} ${JSON.stringify(asked)}`)
  }
})

test('tokens', () => {
  const sub = { iss: 'https://idp', sub: 's' }
  const rows: readonly (readonly [rule: string, claims: Claims | null, expected: boolean])[] = [
    [source('requestPrincipals: ["*"]'), { iss: 'i' }, false],
    [source('requestPrincipals: ["*"]'), sub, true],
    [source('requestPrincipals: ["*"]'), { iss: 'i', sub: '' }, false],
    [source('requestPrincipals: ["https://idp/*"]'), sub, true],
    [source('requestPrincipals: ["https://*"]'), sub, false],
    [source('requestPrincipals: ["https://idp/s"]'), sub, true],
    [source('requestPrincipals: ["*"]'), { iss: 1, sub: 's' }, false],
    [source('notRequestPrincipals: ["*"]'), null, true],
    [source('notRequestPrincipals: ["*"]'), sub, false],
    [when('request.auth.claims[groups]', 'values: [g2]'), { groups: ['g1', 'g2'] }, true],
    [when('request.auth.claims[groups]', 'values: [g2]'), { groups: 'g1 g2' }, false],
    [when('request.auth.claims[admin]', 'values: ["true"]'), { admin: true }, false],
    [when('request.auth.claims[n]', 'values: ["1"]'), { n: 1 }, false],
    [when('request.auth.claims[n]', 'values: ["1"]'), { n: [1, '1'] }, true],
    [when('request.auth.claims[a][b]', 'notValues: [x]'), null, true],
    [when('request.auth.claims[a][b]', 'notValues: [x]'), { a: { b: 'x' } }, false],
    [when('request.auth.claims[a][b]', 'values: [x]'), { a: { b: ['x'] } }, true],
    [when('request.auth.claims[a][b]', 'values: [x]'), { a: [{ b: 'x' }] }, false],
    [when('request.auth.claims[a.b]', 'values: [v]'), { a: { b: 'v' } }, false],
    [when('request.auth.claims[a.b]', 'values: [v]'), { 'a.b': 'v' }, true],
    [when('request.auth.claims[constructor][name]', 'values: ["*"]'), {}, false],
    [when('request.auth.claims[__proto__]', 'values: ["*"]'), {}, false],
    [when('request.auth.claims', 'values: ["*"]'), { a: 'b' }, false],
    [when('request.auth.audiences', 'values: [me]'), { aud: ['you', 'me'] }, true],
    [when('request.auth.presenter', 'values: [me]'), { azp: 'me' }, true],
  ]
  for (const [rule, claims, expected] of rows) {
    const asked = claims === null ? {} : { claims }
    assert.equal(matches(rule, asked), expected, `${rule} ${JSON.stringify(claims)}`)
  }
})

test('operations', () => {
  const rows: readonly (readonly [rule: string, asked: Asked, expected: boolean])[] = [
    [operation('hosts: [e.com]'), { host: 'E.com' }, true],
    [operation('hosts: [e.com]'), { host: 'e.com:80' }, false],
    [operation('hosts: ["e.com:*"]'), { host: 'e.com:80' }, true],
    [operation('hosts: ["*"]'), { host: '' }, true],
    [operation('methods: [get]'), { method: 'GET' }, false],
    [operation('methods: ["*"]'), { method: 'PURGE' }, true],
    [operation('paths: [/a]'), { path: '/a?q' }, true],
    [operation('paths: [/a]'), { path: '/a#f' }, true],
    [operation('paths: [/a]'), { path: '/a/' }, false],
    [operation('paths: [/a]'), { path: '/A' }, false],
    [operation('paths: ["/a/*/b"]'), { path: '/a/x/b' }, false],
    [operation('paths: ["/a/*/b"]'), { path: '/a/*/b' }, true],
    [operation('paths: ["/foo/{*}"]'), { path: '/foo/bar' }, true],
    [operation('paths: ["/foo/{*}"]'), { path: '/foo/' }, false],
    [operation('paths: ["/foo/{*}"]'), { path: '/foo/a/b' }, false],
    [operation('paths: ["/foo/{*}"]'), { path: '/foo/a*b' }, true],
    [operation('paths: ["/foo/{*}/"]'), { path: '/foo/a/' }, true],
    [operation('paths: ["/foo/{*}/"]'), { path: '/foo/a' }, false],
    [operation('paths: ["/admin/{**}"]'), { path: '/admin' }, false],
    [operation('paths: ["/admin/{**}"]'), { path: '/admin/' }, true],
    [operation('paths: ["/store/{**}/cart"]'), { path: '/store/cart' }, false],
    [operation('paths: ["/store/{**}/cart"]'), { path: '/store//cart' }, true],
    [operation('paths: ["/admin/{*}"]'), { path: '/admin/x[1' }, false],
    [operation('ports: ["80"]'), { port: 8080 }, false],
    [operation('ports: ["8080"]'), { port: 8080 }, true],
    [operation('notPaths: [/a], paths: ["/a*"]'), { path: '/ab' }, true],
    [operation('notPaths: [/a], paths: ["/a*"]'), { path: '/a' }, false],
    [when('connection.sni', 'values: [WWW.a.com]'), { sni: 'www.a.com' }, false],
    [when('connection.sni', 'values: ["*"]'), { sni: '' }, false],
    [when('request.headers[:path]', 'values: ["/a?q"]'), { path: '/a?q' }, true],
    [when('request.headers[host]', 'values: [e.com]'), { host: 'E.com' }, false],
  ]
  for (const [rule, asked, expected] of rows) {
    assert.equal(matches(rule, asked), expected, `${rule} ${JSON.stringify(asked)}`)
  }
})

test('headers', () => {
  const two = (name: string, a: string, b: string) => [[name, a] as const, [name, b] as const]
  const rows: readonly (readonly [rule: string, headers: Asked['headers'], expected: boolean])[] = [
    [when('request.headers[x]', 'values: [a]'), [], false],
    [when('request.headers[x]', 'notValues: [a]'), [], true],
    [when('request.headers[X]', 'values: [a]'), [['x', 'a']], true],
    [when('request.headers[x]', 'values: ["*"]'), [['x', '']], true],
    [when('request.headers[x]', 'values: [admin]'), two('x', 'user', 'admin'), true],
    [when('request.headers[x]', 'values: [admin]'), [['x', 'user,admin']], false],
    [when('request.headers[x]', 'notValues: [admin]'), two('x', 'user', 'admin'), false],
    [when('request.headers[accept]', 'values: [b]'), two('accept', 'a', 'b'), false],
    [when('request.headers[accept]', 'values: ["a,b"]'), two('accept', 'a', 'b'), true],
    [when('request.headers[__proto__]', 'values: ["*"]'), [], false],
  ]
  for (const [rule, headers, expected] of rows) {
    assert.equal(matches(rule, { headers: headers ?? [] }), expected, `${rule} ${JSON.stringify(headers)}`)
  }
})

test('TCP: an ALLOW with HTTP fields falls away, a DENY matches more', () => {
  const tcp = { protocol: 'tcp' } as const
  const deny = (rule: string) => ({ p: `{ action: DENY, rules: [${rule}] }` })
  const rows: readonly (readonly [specs: Specs, asked: Asked, expected: string])[] = [
    [{ p: `{ rules: [${operation('methods: [GET]')}] }` }, {}, NONE],
    [
      { p: '{ rules: [{ to: [{ operation: { ports: ["3306"] } }, { operation: { methods: [GET] } }] }] }' },
      { port: 3306 },
      NONE,
    ],
    [{ p: `{ rules: [${operation('ports: ["3306"]')}, ${operation('methods: [GET]')}] }` }, { port: 3306 }, ALLOW],
    [deny(operation('methods: [POST], ports: ["8080"]')), { port: 8080 }, MATCHED],
    [deny(operation('methods: [POST], ports: ["8080"]')), { port: 9090 }, ALLOW],
    [deny(when('request.headers[x]', 'values: [a]')), {}, MATCHED],
    [deny(source('namespaces: [b], notRequestPrincipals: ["*"]')), {}, MATCHED],
    [deny(source('namespaces: [c]')), {}, ALLOW],
    [{ p: '{ action: CUSTOM, provider: { name: http }, rules: [{}] }' }, {}, ALLOW],
    [{ p: '{ action: CUSTOM, provider: { name: grpc }, rules: [{}] }' }, {}, 'ask grpc'],
  ]
  for (const [specs, asked, expected] of rows) {
    assert.equal(decide(specs, asked, tcp), expected, `${JSON.stringify(specs)} ${JSON.stringify(asked)}`)
  }
})

test('a provider that cannot be asked refuses what its policies match, and nothing else', () => {
  const custom = (name: string, path: string) =>
    `{ action: CUSTOM, provider: { name: ${name} }, rules: [${operation(`paths: [${path}]`)}] }`
  const bad = (name: string, policy: string) =>
    `deny istio-ext-authz-${name}-ns[foo]-policy[${policy}]-rule[0]-deny-due-to-bad-CUSTOM-action`
  assert.equal(decide({ p: custom('absent', '/x') }, { path: '/x' }), bad('absent', 'p'))
  assert.equal(decide({ p: custom('absent', '/x') }, { path: '/y' }), ALLOW)
  const two = { p: custom('grpc', '/x'), q: custom('http', '/y') }
  assert.deepEqual(
    ['/x', '/y', '/z'].map((path) => decide(two, { path })),
    [bad('grpc', 'p'), bad('http', 'q'), ALLOW],
  )
})

test('dry runs are told and decide nothing', () => {
  const ir = lowerSpecs({
    '!a': `{ rules: [${operation('paths: [/a]')}] }`,
    '!d': `{ action: DENY, rules: [${operation('paths: [/d]')}] }`,
    e: `{ action: DENY, rules: [${operation('paths: [/e]')}] }`,
  })
  for (const decider of [createInterpreter(ir), compile(ir)]) {
    const dryRun = (path: string) => decider.dryRun(factsOf({ path }, 'http'))
    const allowed = { result: 'allowed', policy: 'ns[foo]-policy[a]-rule[0]' }
    const denied = { result: 'denied', policy: 'ns[foo]-policy[d]-rule[0]' }
    assert.deepEqual(dryRun('/a'), { allow: allowed, deny: { result: 'allowed', policy: null } })
    assert.deepEqual(dryRun('/d'), { allow: { result: 'denied', policy: null }, deny: denied })
    assert.deepEqual(dryRun('/e'), { deny: { result: 'allowed', policy: null } }, 'refused before the ALLOW filter')
  }
  assert.equal(decide({ '!d': '{ action: DENY, rules: [{}] }', '!a': '{}' }, {}), ALLOW)
})
