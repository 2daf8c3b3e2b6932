import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attributeOf } from './attribute.ts'
import type { Match } from './ir.ts'

/** Without what the user wrote; null where it cannot be expressed. */
function lower(key: string, value: string): object | null {
  const attribute = attributeOf(key)
  assert.ok(attribute, key)
  const match: Match | null = attribute.lower(value, 'foo')
  if (match === null) return null
  const { written, ...rest } = match
  assert.equal(written, value)
  return rest
}

const exact = (value: string) => ({ kind: 'exact', value })
const prefix = (value: string) => ({ kind: 'prefix', value })
const suffix = (value: string) => ({ kind: 'suffix', value })
const any = { kind: 'nonEmpty' }
const present = { kind: 'present' }

test('where a key stands, and whether TCP has it', () => {
  const cases: readonly (readonly [key: string, side: 'permission' | 'principal', httpOnly: boolean])[] = [
    ['hosts', 'permission', true],
    ['methods', 'permission', true],
    ['paths', 'permission', true],
    ['destination.port', 'permission', false],
    ['destination.ip', 'permission', false],
    ['connection.sni', 'permission', false],
    ['experimental.envoy.filters.a[b]', 'permission', false],
    ['source.ip', 'principal', false],
    ['remote.ip', 'principal', false],
    ['source.namespace', 'principal', false],
    ['source.serviceAccount', 'principal', false],
    ['source.principal', 'principal', false],
    ['source.trustDomain', 'principal', false],
    ['request.auth.principal', 'principal', true],
    ['request.auth.audiences', 'principal', true],
    ['request.auth.presenter', 'principal', true],
    ['request.auth.claims[a]', 'principal', true],
    ['request.headers[a]', 'principal', true],
  ]
  for (const [key, side, httpOnly] of cases) {
    const attribute = attributeOf(key)
    assert.deepEqual([attribute?.side, attribute?.httpOnly], [side, httpOnly], key)
  }
  for (const key of [
    '',
    'source',
    'source.serviceaccount',
    'request.auth',
    'request.auth.claim',
    'destination.labels[a]',
  ]) {
    assert.equal(attributeOf(key), null, key)
  }
})

test('a `*` is a wildcard at one end; alone it is any value that is not empty, or presence', () => {
  for (const [value, expected] of [
    ['a', exact('a')],
    ['a*', prefix('a')],
    ['*a', suffix('a')],
    ['*a*', suffix('a*')],
    ['a*b', exact('a*b')],
    ['**', suffix('*')],
    ['', exact('')],
  ] as const) {
    for (const [key, kind] of [
      ['paths', 'path'],
      ['methods', 'method'],
      ['hosts', 'host'],
      ['connection.sni', 'sni'],
    ] as const) {
      assert.deepEqual(lower(key, value), { kind, match: expected }, `${key} ${value}`)
    }
    assert.deepEqual(lower('request.headers[x]', value), { kind: 'header', name: 'x', match: expected })
    assert.deepEqual(lower('request.auth.audiences', value), { kind: 'claim', path: ['aud'], match: expected })
  }
  assert.deepEqual(lower('paths', '*'), { kind: 'path', match: any })
  assert.deepEqual(lower('connection.sni', '*'), { kind: 'sni', match: any })
  assert.deepEqual(lower('request.auth.presenter', '*'), { kind: 'claim', path: ['azp'], match: any })
  assert.deepEqual(lower('methods', '*'), { kind: 'method', match: present })
  assert.deepEqual(lower('hosts', '*'), { kind: 'host', match: present })
  assert.deepEqual(lower('request.headers[x]', '*'), { kind: 'header', name: 'x', match: present })
  assert.deepEqual(lower('hosts', 'E.Com'), { kind: 'host', match: exact('e.com') }, 'hosts ignore case')
  assert.deepEqual(lower('methods', 'get'), { kind: 'method', match: exact('get') }, 'methods do not')
})

test('names in brackets', () => {
  const header = (key: string) => (lower(key, 'v') as { readonly name?: string } | null)?.name ?? null
  assert.equal(header('request.headers[X-A]'), 'x-a')
  assert.equal(header('request.headers[Host]'), ':authority')
  assert.equal(header('request.headers[:path]'), ':path')
  assert.equal(header('request.headers[[a]]'), '[a]')
  assert.equal(header('request.headers[a][b]'), 'a][b')
  for (const key of ['request.headers', 'request.headers[', 'request.headersX[a]', 'request.headers]a[']) {
    assert.equal(header(key), null, key)
  }
  const claim = (key: string) => (lower(key, 'v') as { readonly path?: readonly string[] } | null)?.path ?? null
  assert.deepEqual(claim('request.auth.claims[a]'), ['a'])
  assert.deepEqual(claim('request.auth.claims[a][b]'), ['a', 'b'])
  assert.deepEqual(claim('request.auth.claims[a.b]'), ['a.b'])
  assert.deepEqual(claim('request.auth.claims[[x]]'), ['[x]'])
  assert.deepEqual(claim('request.auth.claims[a]x[b]'), ['a]x[b'])
  assert.deepEqual(claim('request.auth.claims'), [], 'the payload itself, which is no text')
  assert.equal(claim('request.auth.claims[a]b'), null)
  assert.equal(claim('request.auth.claims['), null)
})

test('metadata of filters: a list in brackets, else one text', () => {
  const metadata = (key: string, list: boolean, match: object) => ({
    kind: 'metadata',
    filter: 'envoy.filters.a',
    key,
    list,
    match,
  })
  assert.deepEqual(lower('experimental.envoy.filters.a[k]', 'v'), metadata('k', false, exact('v')))
  assert.deepEqual(lower('experimental.envoy.filters.a[k]', '[v*]'), metadata('k', true, prefix('v')))
  assert.deepEqual(lower('experimental.envoy.filters.a[k]', '[*]'), metadata('k', true, any))
  assert.deepEqual(lower('experimental.envoy.filters.a[k]', '[[v]]'), metadata('k', true, exact('v')))
  assert.deepEqual(lower('experimental.envoy.filters.a[k]', '[v'), metadata('k', false, exact('[v')))
  assert.deepEqual(lower('experimental.envoy.filters.a[k][l]', 'v'), metadata('k][l', false, exact('v')))
  assert.equal(lower('experimental.envoy.filters.a', 'v'), null)
})

test('a request principal is split at its last slash', () => {
  const cases: readonly (readonly [value: string, issuer: object, subject: object])[] = [
    ['*', any, any],
    ['*/s', any, exact('s')],
    ['*X/s', suffix('X'), exact('s')],
    ['*X', any, suffix('X')],
    ['i/*', exact('i'), any],
    ['https://idp/*', exact('https://idp'), any],
    ['https://*', exact('https:/'), any],
    ['i/p*', exact('i'), prefix('p')],
    ['p*', prefix('p'), any],
    ['https://idp/s', exact('https://idp'), exact('s')],
    ['i', exact('i'), exact('')],
    ['*/*', any, exact('*')],
  ]
  for (const [value, issuer, subject] of cases) {
    assert.deepEqual(lower('request.auth.principal', value), { kind: 'requestPrincipal', issuer, subject }, value)
  }
})

test('ports and addresses that are none cannot be expressed', () => {
  for (const value of ['80', '080', '0', '65535', '00000000000000000000080']) {
    assert.deepEqual(lower('destination.port', value), { kind: 'port', port: Number(value) })
  }
  for (const value of ['', '-1', '+80', '65536', '4294967376', '8_0', '0x50', '1e2', '80-90', ' 80', 'http']) {
    assert.equal(lower('destination.port', value), null, value)
  }
  for (const key of ['source.ip', 'remote.ip', 'destination.ip']) {
    for (const value of [
      '',
      'x',
      '1.2.3',
      '01.2.3.4',
      '1.2.3.4/33',
      '1.2.3.4/08',
      '1.2.3.4/',
      '/8',
      'fe80::%eth0/64',
    ]) {
      assert.equal(lower(key, value), null, `${key} ${value}`)
    }
  }
  assert.equal(lower('paths', '/a{*}'), null, 'Istio refuses the template')
})
