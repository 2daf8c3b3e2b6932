import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeaderMap } from '../../match/header-map.ts'
import type { View } from '../../mesh/delegation.ts'
import type { HttpProvider } from '../../mesh/provider.ts'
import type { Claims } from '../../policy/facts.ts'
import type { CheckBody, CheckRequest } from '../check.ts'
import { encodeCheckRequest } from '../check-request.ts'
import { createHttpRules } from '../client/http-rules.ts'
import { cacheKey, encodeKey } from './cache-key.ts'
import { createProjection } from './projection.ts'

const NOTHING: View = { source: [], headers: [], queryParameters: [], claims: [], body: false }

/** A request whose parts are given in short; `claims` go beside it. */
interface Parts {
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string | null
  readonly partial?: boolean
  readonly received?: number
  readonly ip?: string
  readonly port?: number
  readonly principal?: string
  readonly id?: string
  readonly time?: number
  readonly claims?: Claims | null
}

function request(parts: Parts): CheckRequest {
  const { ip = '10.0.0.1', port = 4711, principal = '', body = null, id = '7', time = 1_700_000_000_123 } = parts
  return {
    source: { ip, port, principal },
    destination: { ip: '10.0.0.2', port: 8000, principal: '' },
    time,
    http: {
      id,
      method: parts.method ?? 'GET',
      path: parts.path ?? '/',
      host: parts.host ?? 'web',
      scheme: 'http',
      protocol: 'HTTP/1.1',
      headers: HeaderMap.from(parts.headers ?? []),
      body: body === null ? null : bodyOf(body, parts),
    },
  }
}

function bodyOf(text: string, { partial = false, received = text.length }: Parts): CheckBody {
  return { bytes: Buffer.from(text, 'latin1'), partial, received }
}

function shown(view: Partial<View>, parts: Parts): CheckRequest {
  return createProjection({ ...NOTHING, ...view })(request(parts), parts.claims ?? null)
}

function path(queryParameters: readonly string[], target: string): string {
  return shown({ queryParameters }, { path: target }).http?.path ?? assert.fail()
}

const httpProvider: HttpProvider = {
  kind: 'http',
  name: 'p',
  service: 's',
  port: 1,
  timeout: 1000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: null,
  pathPrefix: '',
  includeRequestHeaders: ['a', 'x-*', '*-id', 'cookie'],
  includeAdditionalHeaders: [],
  headersToUpstreamOnAllow: [],
  headersToDownstreamOnAllow: [],
  headersToDownstreamOnDeny: [],
}
const httpRules = createHttpRules(httpProvider)

/** All that leaves for a provider of either kind. */
function bytes(question: CheckRequest): string {
  const http = question.http ?? assert.fail()
  return JSON.stringify([
    Buffer.from(encodeCheckRequest(question, { packAsBytes: true })).toString('hex'),
    http.method,
    http.path,
    httpRules.requestHeaders(question, http),
    http.body === null ? null : Buffer.from(http.body.bytes).toString('hex'),
  ])
}

test('an empty view shows method, scheme, host, path and the own address, and nothing else', () => {
  const parts = { path: '/a?b=c', headers: [['a', 'b']], body: 'x', principal: 'p', claims: { sub: 'a' } } as const
  assert.deepEqual(shown({}, parts), {
    source: { ip: '', port: 0, principal: '' },
    destination: { ip: '10.0.0.2', port: 8000, principal: '' },
    time: 0,
    http: {
      id: '',
      method: 'GET',
      path: '/a',
      host: 'web',
      scheme: 'http',
      protocol: 'HTTP/1.1',
      headers: new HeaderMap(),
      body: null,
    },
    claims: null,
  })
})

test('headers by name, prefix and suffix, with every line, in order; `*` is all of them', () => {
  const headers = [
    ['X-A', '1'],
    ['cookie', 'a'],
    ['cookie', 'b'],
    ['req-id', '2'],
    ['id', '3'],
    ['x', '4'],
  ] as const
  const names = (entries: readonly string[]) => [...(shown({ headers: entries }, { headers }).http?.headers ?? [])]
  assert.deepEqual(names(['Cookie', 'X-*', '*-ID']), [
    ['x-a', '1'],
    ['cookie', 'a'],
    ['cookie', 'b'],
    ['req-id', '2'],
  ])
  assert.equal(names(['*']).length, 6)
})

test('a header that an application may read under a listed name is shown, as it is', () => {
  const headers = [
    ['X_Tenant', 'a'],
    ['x-tenant', 'b'],
    ['x.tenant', 'c'],
    ['xtenant', 'd'],
    ['my_id', 'e'],
  ] as const
  const names = (entries: readonly string[]) =>
    [...(shown({ headers: entries }, { headers }).http?.headers ?? [])].map(([name]) => name)
  for (const listed of ['x-tenant', 'X_TENANT', 'x-ten*']) {
    assert.deepEqual(names([listed]), ['x_tenant', 'x-tenant', 'x.tenant'])
  }
  assert.deepEqual(names(['*-id']), ['my_id'])
  const key = (value: string) => cacheKey(shown({ headers: ['x-tenant'] }, { headers: [['x_tenant', value]] }))
  assert.notEqual(key('a'), key('b'))
})

test('query parameters keep their bytes, and no reader finds a listed one that was withheld', () => {
  assert.equal(path(['tenant'], '/a?x=1&tenant=b%20c&y&tenant=d'), '/a?tenant=b%20c&tenant=d')
  assert.equal(path(['tenant'], '/a?x=1'), '/a')
  assert.equal(path(['tenant'], '/a?'), '/a')
  assert.equal(path(['t*'], '/a?tenant=1&T=2&x=3'), '/a?tenant=1&T=2')
  assert.equal(path(['*'], '/a?x=1&&y'), '/a?x=1&&y')
  // As another reader spells it.
  for (const spelt of ['ten%61nt=1', 'TENANT=1', '%54enant=1', 'x=1;tenant=2', 'x;ten%61nt=2', 'tenant;x', 'tenant']) {
    assert.equal(path(['tenant'], `/a?y=1&${spelt}`), `/a?${spelt}`, spelt)
  }
  // As frameworks nest parameters, and as PHP reads their names.
  for (const spelt of [
    'tenant[]=1',
    'ten%61nt%5B0%5D[a]=1',
    '%20tenant=1',
    'tenant+=1',
    'tenant%00x=1',
    'x;tenant[]',
  ]) {
    assert.equal(path(['tenant'], `/a?y=1&${spelt}`), `/a?${spelt}`, spelt)
  }
  for (const spelt of ['a.b=1', 'a+b=1', 'a%2eb[]=1']) assert.equal(path(['a_b'], `/?${spelt}`), `/?${spelt}`, spelt)
  for (const other of [
    'x[tenant]=1',
    '[tenant]=1',
    'tenants[]=1',
    'x.tenant=1',
    'tenants=1',
    'xtenant=1',
    'x=tenant',
    'ten%2561nt=1',
  ]) {
    assert.equal(path(['tenant'], `/a?${other}`), '/a', other)
  }
  assert.equal(path(['a b', 'ü'], '/?a+b=1&a%20b=2&%C3%BC=3&%FC=4'), '/?a+b=1&a%20b=2&%C3%BC=3')
})

test('claims at the top level, in the order of their names; none listed says not even that there is a token', () => {
  const claims: Claims = { sub: 'a', groups: ['b', 'c'], exp: 1, nested: { sub: 'd' } }
  const text = (names: readonly string[], given: Claims | null) =>
    JSON.stringify(shown({ claims: names }, { claims: given }).claims)
  assert.equal(text(['sub', 'groups', 'absent'], claims), '{"groups":["b","c"],"sub":"a"}')
  assert.equal(text(['*'], claims), '{"exp":1,"groups":["b","c"],"nested":{"sub":"d"},"sub":"a"}')
  assert.equal(text(['absent'], claims), '{}')
  assert.equal(text(['sub'], null), 'null')
  assert.equal(text([], claims), 'null')
  assert.equal(text(['__proto__'], JSON.parse('{"__proto__":"a"}')), '{"__proto__":"a"}')
})

test('source and body only where they are listed, and connections too', () => {
  const parts = { ip: '1.2.3.4', principal: 'spiffe://a', body: 'xy', partial: true }
  assert.deepEqual(shown({ source: ['ip'] }, parts).source, { ip: '1.2.3.4', port: 0, principal: '' })
  assert.deepEqual(shown({ source: ['principal'] }, parts).source, { ip: '', port: 0, principal: 'spiffe://a' })
  assert.deepEqual(shown({ body: true }, parts).http?.body, { bytes: Buffer.from('xy'), partial: true })
  const connection = { ...request(parts), http: null }
  const seen = createProjection({ ...NOTHING, source: ['ip'] })(connection, null)
  assert.deepEqual([seen.source.ip, seen.source.principal, seen.http], ['1.2.3.4', '', null])
})

/** Small texts that look like the encoding itself. */
const text = fc.constantFrom('', 'a', 'b', 'ab', '1', '1:', '-', '1:a', '0:', 'a1:b', ',', 'a,b', '\xff', '{}', 'null')
const name = fc.constantFrom(
  'a',
  'b',
  'x-a',
  'x-b',
  'req-id',
  'cookie',
  'x-sallyport-claims',
  'x-envoy-auth-partial-body',
)
const json: fc.Arbitrary<Claims[string]> = fc.oneof(
  text,
  fc.constantFrom(0, 1, true, null),
  fc.array(text, { maxLength: 2 }),
)
const parameter = fc.tuple(
  fc.constantFrom('a', 'b', 'A', '%61', 'x'),
  text.filter((value) => /^[!-~]*$/.test(value)),
)

const parts: fc.Arbitrary<Parts> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'a'),
  path: fc
    .tuple(fc.constantFrom('/', '/a', '/a/b'), fc.array(parameter, { maxLength: 3 }))
    .map(([bare, query]) => (query.length === 0 ? bare : `${bare}?${query.map((pair) => pair.join('=')).join('&')}`)),
  host: fc.constantFrom('a', 'b'),
  headers: fc.array(fc.tuple(name, text), { maxLength: 4 }),
  body: fc.option(text, { nil: null }),
  partial: fc.boolean(),
  received: fc.nat(9),
  ip: fc.constantFrom('1.2.3.4', '10.0.0.1'),
  port: fc.constantFrom(1, 2),
  principal: fc.constantFrom('', 'spiffe://a/ns/b/sa/c'),
  id: fc.constantFrom('1', '2'),
  time: fc.constantFrom(1, 1_700_000_000_000),
  claims: fc.option(fc.dictionary(fc.constantFrom('a', 'b', 'sub', 'exp'), json, { maxKeys: 3 }), { nil: null }),
})

const names = fc.subarray(['a', 'b', 'x-*', '*-id', 'cookie', 'sub', '*'], { maxLength: 3 })
const view: fc.Arbitrary<View> = fc.record({
  source: fc.subarray(['principal', 'ip'] as const),
  headers: names,
  queryParameters: names,
  claims: names,
  body: fc.boolean(),
})

/** What is shown, without the encoding that is being tested. */
function facts({ source, destination, time, http, claims }: CheckRequest): string {
  const { headers, body, ...line } = http ?? assert.fail()
  const content = body === null ? null : [Buffer.from(body.bytes).toString('hex'), body.partial]
  return JSON.stringify([source, destination, time, line, [...headers], content, claims])
}

test('requests that look different have different keys, and those that look the same have the same', () => {
  fc.assert(
    fc.property(view, parts, parts, (seen, one, other) => {
      const [left, right] = [shown(seen, one), shown(seen, other)]
      const same = facts(left) === facts(right)
      assert.equal(encodeKey(left) === encodeKey(right), same)
      assert.equal(cacheKey(left) === cacheKey(right), same)
    }),
    { numRuns: 3000 },
  )
})

test('one text that is cut into parts in two ways has two keys', () => {
  const all: View = { source: ['principal', 'ip'], headers: ['*'], queryParameters: ['*'], claims: ['*'], body: true }
  // Where a text is cut: what is between two cuts is a method, a host, names and values of headers, a body.
  const cuts = fc.array(fc.nat(8), { minLength: 3, maxLength: 7 }).filter(({ length }) => length % 2 === 1)
  const cut = (whole: string, places: readonly number[]): Parts => {
    const sorted = [...places].sort((a, b) => a - b)
    const pieces = [0, ...sorted].map((from, i) => whole.slice(from, sorted[i]))
    const [method = '', host = '', ...rest] = pieces
    const headers = rest.flatMap((one, i): [string, string][] => (i % 2 === 0 ? [[one, rest[i + 1] ?? '']] : []))
    return rest.length % 4 === 0
      ? { method, host, headers }
      : { method, host, headers: headers.slice(1), body: rest[0] ?? '' }
  }
  fc.assert(
    fc.property(fc.constantFrom('aaaaaaaa', '11111111', '1:1:1:1:', '-1:-0:-1'), cuts, cuts, (whole, some, others) => {
      const [left, right] = [shown(all, cut(whole, some)), shown(all, cut(whole, others))]
      assert.equal(encodeKey(left) === encodeKey(right), facts(left) === facts(right))
    }),
    { numRuns: 5000 },
  )
})

test('whatever is sent to a provider of either kind follows from the key', () => {
  const sent = new Map<string, string>()
  fc.assert(
    fc.property(view, parts, (seen, one) => {
      const question = shown(seen, one)
      const key = cacheKey(question)
      const before = sent.get(key)
      if (before !== undefined) assert.equal(bytes(question), before)
      sent.set(key, bytes(question))
    }),
    { numRuns: 5000 },
  )
  assert.ok(sent.size < 4900, 'some requests look the same')
})

test('what is not in the view leaves no trace in what is sent', () => {
  fc.assert(
    fc.property(parts, parts, (one, other) => {
      const seen: Partial<View> = { headers: ['x-*'], queryParameters: ['b'], claims: ['sub'] }
      const keep = <T>(pairs: readonly T[], test: (pair: T) => boolean) => pairs.filter(test)
      // The visible parts of one, with the invisible parts of the other.
      const mixed: Parts = {
        ...other,
        method: one.method ?? '',
        host: one.host ?? '',
        path: mixPaths(one.path ?? '/', other.path ?? '/'),
        headers: [
          ...keep(other.headers ?? [], ([header]) => !header.startsWith('x-')),
          ...keep(one.headers ?? [], ([header]) => header.startsWith('x-')),
        ],
        claims: one.claims == null ? null : { ...other.claims, ...only(one.claims) },
      }
      if (one.claims != null && !Object.hasOwn(one.claims, 'sub') && other.claims != null) {
        delete (mixed.claims as Record<string, unknown>).sub
      }
      const [left, right] = [shown(seen, one), shown(seen, mixed)]
      assert.equal(bytes(left), bytes(right))
      assert.equal(cacheKey(left), cacheKey(right))
    }),
    { numRuns: 2000 },
  )
})

function mixPaths(one: string, other: string): string {
  const [bare = '', query = ''] = one.split('?')
  const visible = query.split('&').filter((pair) => pair.startsWith('b='))
  const hidden = (other.split('?')[1] ?? '').split('&').filter((pair) => pair !== '' && !pair.startsWith('b='))
  const all = [...hidden, ...visible]
  return all.length === 0 ? bare : `${bare}?${all.join('&')}`
}

function only(claims: Claims): Claims {
  return Object.hasOwn(claims, 'sub') ? { sub: claims.sub as Claims[string] } : {}
}

test('every part of what is shown is in the key', () => {
  const all: View = { source: ['principal', 'ip'], headers: ['*'], queryParameters: ['*'], claims: ['*'], body: true }
  const question = shown(all, { headers: [['a', 'b']], body: 'x', claims: { sub: 'a' }, principal: 'p' })
  const key = encodeKey(question)
  let leaves = 0
  const visit = (holder: Record<string, unknown>, field: string) => {
    const value = holder[field]
    if (value instanceof HeaderMap) {
      for (const change of [
        ['a', 'c'],
        ['b', 'b'],
      ] as const) {
        holder[field] = HeaderMap.from([change])
        assert.notEqual(encodeKey(question), key, field)
      }
    } else if (value instanceof Uint8Array) {
      holder[field] = Buffer.from('y')
      assert.notEqual(encodeKey(question), key, field)
    } else if (typeof value === 'object' && value !== null) {
      for (const inner of Object.keys(value)) visit(value as Record<string, unknown>, inner)
      return
    } else {
      holder[field] = typeof value === 'string' ? `${value}z` : typeof value === 'number' ? value + 1 : !value
      assert.notEqual(encodeKey(question), key, field)
    }
    holder[field] = value
    leaves++
    assert.equal(encodeKey(question), key)
  }
  for (const field of Object.keys(question)) visit(question as unknown as Record<string, unknown>, field)
  assert.ok(leaves >= 17, `${leaves} parts`)
})
