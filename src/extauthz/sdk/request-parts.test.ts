import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, test } from 'node:test'
import {
  type AuthorizerRequest,
  BadRequest,
  bearerToken,
  clientAddress,
  cookies,
  formBody,
  jsonBody,
  sameSecret,
} from '../index.ts'
import { requestFrom } from '../server/request.ts'

const peer = { ip: '10.0.0.1', port: 1, principal: '' }

/** A request with these header lines, as a server of this room reads it. */
function request(lines: readonly (readonly [string, string])[], body = ''): AuthorizerRequest {
  return requestFrom({
    method: 'GET',
    path: '/',
    host: 'a',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    lines,
    body: Buffer.from(body, 'latin1'),
    source: peer,
    destination: peer,
    contextExtensions: {},
    time: 0,
    signal: new AbortController().signal,
    attributes: () => ({}),
  })
}

const refuses = (status: number) => (error: unknown) => error instanceof BadRequest && error.status === status

describe('bearerToken', () => {
  const read = (...values: string[]) => bearerToken(request(values.map((value) => ['authorization', value] as const)))

  test('finds the token, and nothing where there is none', () => {
    assert.equal(read('Bearer a.b-c_d~e+f/g=='), 'a.b-c_d~e+f/g==')
    assert.equal(read('bearer  abc '), 'abc')
    assert.equal(read(), null)
    assert.equal(read(''), null)
    assert.equal(read('Basic YTpi'), null)
    assert.equal(read('Bearerabc'), null)
    assert.equal(read('Digest username="bearer", realm="x"'), null)
  })

  for (const values of [
    ['Bearer a', 'Bearer b'],
    ['Bearer a', 'Bearer a'],
    ['Basic YTpi', 'Bearer b'],
    ['Bearer a,Bearer b'],
    ['Basic YTpi,Bearer b'],
    ['Basic YTpi, bearer'],
    ['Bearer'],
    ['Bearer '],
    ['Bearer a b'],
    ['Bearer "a"'],
  ]) {
    test(`refuses ${JSON.stringify(values)}`, () => assert.throws(() => read(...values), refuses(400)))
  }
})

describe('cookies', () => {
  const read = (...values: string[]) => cookies(request(values.map((value) => ['cookie', value] as const)))

  test('by name, from one line or several', () => {
    const jar = read('a=1; b="2";c = 3 ;d=e=f; ; junk; =x', 'g=4')
    assert.deepEqual(
      ['a', 'b', 'c', 'd', 'g', 'junk', 'A', 'constructor'].map((name) => jar.get(name)),
      ['1', '2', '3', 'e=f', '4', undefined, undefined, undefined],
    )
    assert.deepEqual(jar.names, ['a', 'b', 'c', 'd', '', 'g'])
    assert.equal(jar.has('a'), true)
    assert.equal(jar.has('z'), false)
    assert.deepEqual(read().names, [])
  })

  test('refuses lines that may have been joined', () => {
    assert.throws(() => read('a=1,b=2'), refuses(400))
    assert.throws(() => read('a=1; session=good; x=1,session=evil'), refuses(400))
    assert.throws(() => read('a=1, b=2; c=3'), refuses(400))
  })

  test('refuses a name that may mean two things, and reads the others', () => {
    const jar = read('a=1; s=x; c=1,2; s=y; t=same; t=same')
    assert.equal(jar.get('a'), '1')
    assert.equal(jar.get('t'), 'same')
    assert.throws(() => jar.get('s'), refuses(400))
    assert.throws(() => jar.has('s'), refuses(400))
    assert.throws(() => jar.get('c'), refuses(400))
  })
})

describe('clientAddress', () => {
  const read = (forwarded: string | null, trustedProxies: number, ip = '10.0.0.1') => {
    const { headers } = request(forwarded === null ? [] : [['x-forwarded-for', forwarded]])
    return clientAddress({ headers, source: { ...peer, ip } }, { trustedProxies })
  }
  const cases: [what: string, string | null, number, string | null][] = [
    ['nobody in between', null, 0, '10.0.0.1'],
    ['a client that makes an address up', '1.1.1.1', 0, '10.0.0.1'],
    ['a gateway in between', '203.0.113.7', 1, '203.0.113.7'],
    ['a client that makes one up before a gateway', '1.1.1.1, 203.0.113.7', 1, '203.0.113.7'],
    ['a gateway that asks and has appended its peer', '203.0.113.7,10.0.0.1', 1, '203.0.113.7'],
    ['two proxies', '1.1.1.1,203.0.113.7,192.0.2.1', 2, '203.0.113.7'],
    ['a chain that is too short', '203.0.113.7', 2, null],
    ['no chain', null, 1, null],
    ['a name', 'unknown', 1, null],
    ['a port', '203.0.113.7:80', 1, null],
    ['an empty entry', '203.0.113.7, ', 1, null],
    ['another spelling', '2001:DB8:0:0::7', 1, '2001:db8::7'],
    ['an IPv4 client of a dual-stack socket', '::ffff:203.0.113.7', 1, '203.0.113.7'],
  ]
  for (const [what, forwarded, trusted, expected] of cases) {
    test(what, () => assert.equal(read(forwarded, trusted), expected))
  }

  test('an unknown peer is nobody', () => {
    assert.equal(read('203.0.113.7', 0, ''), null)
    assert.equal(read('203.0.113.7', 1, ''), '203.0.113.7')
    assert.throws(() => read(null, -1), RangeError)
  })
})

describe('bodies', () => {
  const typed = (type: string, body: string, more: readonly (readonly [string, string])[] = []) =>
    request([['content-type', type], ...more], body)

  test('JSON', () => {
    const value = jsonBody(typed('application/json; charset=utf-8', '{"a":[1],"__proto__":2}'))
    assert.deepEqual(Object.entries(value as object), [
      ['a', [1]],
      ['__proto__', 2],
    ])
    assert.deepEqual(jsonBody(typed('application/merge-patch+json', '[]')), [])
  })

  test('a form', () => {
    const form = formBody(typed('application/x-www-form-urlencoded', '?a=1&b=%20+&b=2'))
    assert.deepEqual([...form], [...new Map([['?a', '1']]), ['b', '  '], ['b', '2']])
    assert.deepEqual([...formBody(typed('application/x-www-form-urlencoded', ''))], [])
  })

  const json = 'application/json'
  const refusals: [string, () => unknown, number][] = [
    ['no type', () => jsonBody(request([], '{}')), 415],
    ['another type', () => jsonBody(typed('text/plain', '{}')), 415],
    ['two types', () => jsonBody(typed('text/plain,application/json', '{}')), 415],
    ['a compressed body', () => jsonBody(typed(json, '{}', [['content-encoding', 'gzip']])), 415],
    ['a body cut short', () => jsonBody(typed(json, '{}', [['x-envoy-auth-partial-body', 'true']])), 413],
    ['less than was announced', () => jsonBody(typed(json, '{}', [['content-length', '3']])), 413],
    ['no body', () => jsonBody(typed(json, '')), 400],
    ['no JSON', () => jsonBody(typed(json, '{a:1}')), 400],
    ['a name twice', () => jsonBody(typed(json, '{"role":"user","role":"admin"}')), 400],
    ['invalid UTF-8', () => jsonBody(typed(json, '"\xff"')), 400],
    ['a form of another type', () => formBody(typed('multipart/form-data', 'a=1')), 415],
    ['a form of invalid UTF-8', () => formBody(typed('application/x-www-form-urlencoded', 'a=\xff')), 400],
  ]
  for (const [what, read, status] of refusals) test(`refuses ${what}`, () => assert.throws(read, refuses(status)))
})

test('secrets are the same only when they are', () => {
  assert.equal(sameSecret('abc', 'abc'), true)
  for (const [given, expected] of [
    ['abc', 'abd'],
    ['abc', 'abcd'],
    ['', 'abc'],
    ['abc', ''],
    ['', ''],
  ]) {
    assert.equal(sameSecret(given ?? '', expected ?? ''), false)
  }
})
