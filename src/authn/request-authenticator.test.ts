import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { HeaderMap } from '../match/header-map.ts'
import type { JwtRule } from '../mesh/request-authentication.ts'
import type { Accepted, Authentication, Rejection } from './authentication.ts'
import { signToken } from './jwt/sign-token.ts'
import { createOfflineKeySource } from './key-source.ts'
import { createRequestAuthenticator } from './request-authenticator.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const second = now / 1000
const a = generateKeyPairSync('rsa', { modulusLength: 2048 })
const b = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwks = (pair: typeof a) => JSON.stringify({ keys: [pair.publicKey.export({ format: 'jwk' })] })
const tokenA = (claims: object = {}) =>
  signToken('{"alg":"RS256"}', JSON.stringify({ iss: 'A', sub: 'u', ...claims }), { alg: 'RS256', key: a.privateKey })
const tokenB = (claims: object = {}) =>
  signToken('{"alg":"ES256"}', JSON.stringify({ iss: 'B', sub: 'v', ...claims }), { alg: 'ES256', key: b.privateKey })
const forge = (token: string) => token.replace(/.{8}$/, (end) => (end === 'AAAAAAAA' ? 'BBBBBBBB' : 'AAAAAAAA'))

const defaults: Omit<JwtRule, 'keys'> = {
  issuer: 'A',
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
const ruleA = (more: Partial<JwtRule> = {}): JwtRule => ({
  ...defaults,
  keys: { kind: 'inline', jwks: jwks(a) },
  ...more,
})
const ruleB = (more: Partial<JwtRule> = {}): JwtRule => ({
  ...defaults,
  issuer: 'B',
  keys: { kind: 'inline', jwks: jwks(b) },
  ...more,
})

interface Request {
  readonly method?: string
  readonly path?: string
  readonly headers?: readonly (readonly [string, string])[]
}

const T = tokenA()
const bearer = (token: string): Request => ({ headers: [['authorization', `Bearer ${token}`]] })
const form = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'

function ask(rules: readonly JwtRule[], { method = 'GET', path = '/', headers = [] }: Request) {
  const map = HeaderMap.from(headers)
  const request = { method, scheme: 'http', host: 'web.foo:8000', path, headers: map }
  const authentication = createRequestAuthenticator(rules, createOfflineKeySource()).authenticate(request, now)
  assert.ok(!(authentication instanceof Promise), 'keys at hand give an answer at once')
  return { authentication, headers: map }
}

/** The subject, `-` without a token, or the reason of a refusal. */
function subject(rules: readonly JwtRule[], request: Request): string {
  const { authentication } = ask(rules, request)
  if (authentication.kind === 'rejected') return authentication.body
  return authentication.claims === null ? '-' : String(authentication.claims.sub ?? 'no sub')
}

const accepted = (authentication: Authentication): Accepted => {
  assert.equal(authentication.kind, 'accepted', JSON.stringify(authentication))
  return authentication as Accepted
}
const rejected = (authentication: Authentication): Rejection => {
  assert.equal(authentication.kind, 'rejected', JSON.stringify(authentication))
  return authentication as Rejection
}

test('without a token a request passes, and keeps its headers', () => {
  assert.equal(subject([ruleA()], {}), '-')
  assert.equal(subject([], bearer('bad')), '-')
  for (const value of [
    '',
    'Bearer',
    'Bearer ',
    `bearer ${T}`,
    `BEARER ${T}`,
    `Basic ${T}`,
    'Basic x',
    `Bearer\t${T}`,
    T,
  ]) {
    const { authentication, headers } = ask([ruleA()], { headers: [['authorization', value]] })
    assert.equal(accepted(authentication).claims, null, value)
    assert.equal(headers.get('authorization'), value)
  }
})

test('the prefix may stand anywhere and what is no token byte is skipped', () => {
  for (const value of [
    `Bearer ${T}`,
    `Foo Bearer ${T}`,
    `Bearer    ${T}`,
    `Bearer ,;${T}`,
    `Bearer ${T} `,
    ` Bearer ${T}\t`,
  ])
    assert.equal(subject([ruleA()], { headers: [['Authorization', value]] }), 'u', value)
  const [header, payload, signature] = T.split('.')
  for (const [value, body] of [
    [`Bearer ${T} junk`, 'Jwt verification fails'],
    [`Bearer "${T}"`, 'Jwt signature is an invalid Base64url encoded'],
    [`Bearer ${T},x`, 'Jwt signature is an invalid Base64url encoded'],
    ['Bearer !!', form],
    ['Bearer abc', form],
    ['Bearer a.b.c', 'Jwt header is an invalid Base64url encoded'],
    [`Bearer ${header}.${payload}`, form],
    [`Bearer ${header}.${payload}.`, form],
  ] as const)
    assert.equal(subject([ruleA()], { headers: [['authorization', value]] }), body, value)
  assert.equal(subject([ruleA()], bearer(`${header}..${payload}.${signature}`)), 'u')
})

test('lines of authorization are one value, lines of another header are tokens of their own', () => {
  const lines = (name: string, ...values: string[]) => ({
    headers: values.map((value): [string, string] => [name, value]),
  })
  const own = ruleA({ fromHeaders: [{ name: 'x-jwt', prefix: '' }] })
  assert.equal(subject([ruleA()], lines('authorization', 'Basic x', `Bearer ${T}`)), 'u')
  assert.equal(
    subject([ruleA()], lines('authorization', `Bearer ${T}`, 'Bearer bad')),
    'Jwt signature is an invalid Base64url encoded',
  )
  assert.equal(
    subject([ruleA()], lines('authorization', 'Bearer bad', `Bearer ${T}`)),
    'Jwt header is an invalid Base64url encoded',
  )
  assert.equal(subject([own], lines('x-jwt', T, T)), 'u')
  assert.equal(subject([own], lines('x-jwt', T, 'bad')), form)
})

test('refusals: status, body, challenge and details', () => {
  const expired = rejected(ask([ruleA()], bearer(tokenA({ exp: second - 62 }))).authentication)
  assert.deepEqual(expired, {
    kind: 'rejected',
    status: 401,
    body: 'Jwt is expired',
    wwwAuthenticate: 'Bearer realm="http://web.foo:8000/", error="invalid_token"',
    details: 'jwt_authn_access_denied{Jwt_is_expired}',
  })
  const audience = rejected(ask([ruleA({ audiences: ['svc'] })], bearer(T)).authentication)
  assert.equal(audience.status, 403)
  assert.equal(audience.body, 'Audiences in Jwt are not allowed')
  assert.equal(audience.wwwAuthenticate, 'Bearer realm="http://web.foo:8000/", error="invalid_token"')
  assert.equal(audience.details, 'jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}')
})

test('the realm holds no query, no end of its quotes, and at most 256 bytes of path', () => {
  const realm = (path: string) =>
    rejected(ask([ruleA()], { path, ...bearer('bad') }).authentication).wwwAuthenticate?.split('"')[1]
  assert.equal(realm('/a?access_token=secret'), 'http://web.foo:8000/a')
  assert.equal(realm('/a#secret'), 'http://web.foo:8000/a')
  assert.equal(realm('/a"b\\c\r\n'), 'http://web.foo:8000/a%22b%5Cc%0D%0A')
  assert.equal(realm(`/${'a'.repeat(1000)}`), `http://web.foo:8000/${'a'.repeat(255)}`)
})

test('claims of a token without iss, sub or exp', () => {
  assert.equal(subject([ruleA()], bearer(tokenA({ iss: undefined }))), 'Jwt issuer is not configured')
  assert.equal(subject([ruleA({ issuer: null })], bearer(tokenA({ iss: undefined }))), 'u')
  assert.equal(subject([ruleA()], bearer(tokenA({ sub: undefined }))), 'no sub')
  assert.equal(subject([ruleA()], bearer(tokenA({ exp: second - 58 }))), 'u')
  assert.equal(subject([ruleA()], bearer(tokenA({ nbf: second + 70 }))), 'Jwt not yet valid')
})

test('query parameters: the first occurrence, percent-decoded', () => {
  const at = (path: string) => subject([ruleA()], { path })
  assert.equal(at(`/?access_token=${T}`), 'u')
  assert.equal(at(`/?x=1&access_token=${T.replaceAll('.', '%2E')}&y=2`), 'u')
  assert.equal(at(`/?access%5Ftoken=${T}`), 'u')
  assert.equal(at('/?access_token='), form)
  assert.equal(at('/?access_token'), form)
  assert.equal(at(`/?access_token=bad&access_token=${T}`), form)
  assert.equal(at(`/?Access_Token=${T}`), '-')
  assert.equal(at('/#?access_token=bad'), '-')
  assert.equal(at('/access_token=bad'), '-')
})

test('all tokens that a rule finds must verify, and the first location gives the claims', () => {
  const request = (header: string, parameter: string): Request => ({
    path: `/?access_token=${parameter}`,
    headers: [['authorization', `Bearer ${header}`]],
  })
  assert.equal(subject([ruleA()], request(T, 'bad')), form)
  assert.equal(subject([ruleA()], request('bad', T)), form)
  assert.equal(subject([ruleA()], request(tokenA({ sub: 'h' }), tokenA({ sub: 'q' }))), 'h')
})

test('locations that a rule names replace the defaults', () => {
  const rule = ruleA({
    fromHeaders: [
      { name: 'x-jwt', prefix: '' },
      { name: 'X-Tok', prefix: 'tok ' },
    ],
    fromParams: ['token'],
  })
  const at = (name: string, value: string) => subject([rule], { headers: [[name, value]] })
  assert.equal(at('x-jwt', T), 'u')
  assert.equal(at('X-JWT', T), 'u')
  assert.equal(at('x-jwt', ''), form)
  assert.equal(at('x-jwt', `Bearer ${T}`), 'Jwt header is an invalid JSON')
  assert.equal(at('x-tok', `tok ${T}`), 'u')
  assert.equal(at('x-tok', `xx tok ${T}`), 'u')
  for (const value of [T, `TOK ${T}`, `tok${T}`]) assert.equal(at('x-tok', value), '-')
  assert.equal(at('authorization', 'Bearer bad'), '-')
  assert.equal(subject([rule], { path: `/?token=${T}` }), 'u')
  assert.equal(subject([rule], { path: '/?access_token=bad' }), '-')
  assert.equal(subject([rule], { path: '/?token=bad', headers: [['x-jwt', T]] }), form)
})

test('cookies: the first occurrence, without quotes', () => {
  const at = (...lines: string[]) =>
    subject([ruleA({ fromCookies: ['ck'] })], { headers: lines.map((line): [string, string] => ['cookie', line]) })
  assert.equal(at(`ck=${T}`), 'u')
  assert.equal(at('a=b; x', `c=d;  ck="${T}"; e=f`), 'u')
  assert.equal(at(`ck=bad; ck=${T}`), form)
  assert.equal(at('ck='), form)
  assert.equal(at(`CK=${T}`), '-')
  assert.equal(at('ck'), '-')
})

test('a verified token leaves the header or the target, but never a cookie', () => {
  const gone = ask([ruleA()], {
    headers: [
      ['authorization', 'Basic x'],
      ['x-a', '1'],
      ['authorization', `Bearer ${T}`],
    ],
  })
  accepted(gone.authentication)
  assert.deepEqual([...gone.headers], [['x-a', '1']])

  const path = (target: string) => accepted(ask([ruleA()], { path: target }).authentication).path
  assert.equal(path(`/a?access_token=${T}`), '/a')
  assert.equal(path(`/a?access_token=${T}#f`), '/a#f')
  assert.equal(path(`/a?c=%2F%26x%3Dy&access_token=${T}&b=%20+`), '/a?c=%2F%26x%3Dy&b=%20+')
  assert.equal(path(`/a?access_token=${T}&access%5ftoken=other&z`), '/a?z')

  const cookie = ask([ruleA({ fromCookies: ['ck'] })], { headers: [['cookie', `ck=${T}`]] })
  accepted(cookie.authentication)
  assert.equal(cookie.headers.get('cookie'), `ck=${T}`)
})

test('forwardOriginalToken keeps it', () => {
  const rule = ruleA({ forwardOriginalToken: true })
  const { authentication, headers } = ask([rule], { path: `/?access_token=${T}`, ...bearer(T) })
  assert.equal(accepted(authentication).path, `/?access_token=${T}`)
  assert.equal(headers.get('authorization'), `Bearer ${T}`)
})

test('a preflight request skips verification, any other OPTIONS does not', () => {
  const origin: [string, string] = ['origin', 'https://x']
  const method: [string, string] = ['access-control-request-method', 'GET']
  const bad: [string, string] = ['authorization', 'Bearer bad']
  const options = (...headers: [string, string][]): Request => ({ method: 'OPTIONS', headers })
  const { authentication, headers } = ask([ruleA()], options(origin, method, bad))
  assert.equal(accepted(authentication).claims, null)
  assert.equal(headers.get('authorization'), 'Bearer bad')
  for (const request of [
    options(bad),
    options(origin, bad),
    options(origin, ['access-control-request-method', ''], bad),
    { method: 'GET', headers: [origin, method, bad] },
  ])
    assert.equal(subject([ruleA()], request), form)
})

test('two issuers at one place', () => {
  const rules = [ruleB(), ruleA()]
  assert.equal(subject(rules, bearer(T)), 'u')
  assert.equal(subject(rules, bearer(tokenB())), 'v')
  assert.equal(subject(rules, bearer(tokenA({ iss: 'C' }))), 'Jwt issuer is not configured')
  assert.equal(subject(rules, bearer(tokenB({ exp: second - 100 }))), 'Jwt is expired')
  assert.equal(subject(rules, bearer(tokenA({ exp: second - 100 }))), 'Jwt is expired')
})

test('two issuers at two places: one good token is enough, and only the winner acts', () => {
  const atB = ruleB({ fromHeaders: [{ name: 'x-b', prefix: '' }] })
  const request = (inA: string, inB: string): Request => ({
    headers: [
      ['authorization', `Bearer ${inA}`],
      ['x-b', inB],
    ],
  })
  const rules = [atB, ruleA()]
  assert.equal(subject(rules, request(T, 'bad')), 'u')
  assert.equal(subject(rules, request('bad', tokenB())), 'v')
  assert.equal(subject(rules, request('bad', 'bad')), form)
  assert.equal(subject(rules, bearer(tokenB())), 'Jwt issuer is not configured')
  assert.equal(subject(rules, request(T, tokenB())), 'u')

  const bad = ask(rules, request(T, 'bad'))
  assert.deepEqual([...bad.headers], [['x-b', 'bad']])
  const lost = ask(rules, request('bad', tokenB()))
  assert.deepEqual([...lost.headers], [['authorization', 'Bearer bad']])
})

test('a good token for each of two issuers at two shared places passes', () => {
  const output = { outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }] }
  const rules = [ruleA(output), ruleB({ outputClaimToHeaders: [{ header: 'x-b', claim: 'sub' }] })]
  const both = (header: string, parameter: string) => {
    const { authentication, headers } = ask(rules, { path: `/?access_token=${parameter}`, ...bearer(header) })
    const { claims, path } = accepted(authentication)
    return [claims?.sub, path, ...[...headers].flat()]
  }
  // A's rule verifies the parameter and takes it away, fails at the header, and B's rule finds only its own.
  assert.deepEqual(both(tokenB(), T), ['v', '/', 'x-sub', 'u', 'x-b', 'v'])
  // B's rule takes its parameter away and fails at the header; then A's rule finds only its own and B's none.
  assert.deepEqual(both(T, tokenB()), ['u', '/', 'x-sub', 'u'])
})

test('equal issuers are alternatives', () => {
  const rules = [ruleA({ audiences: ['1'] }), ruleA({ audiences: ['2'] })]
  assert.equal(subject(rules, bearer(tokenA({ aud: '2' }))), 'u')
  const refusal = rejected(ask(rules, bearer(forge(tokenA({ aud: '2' })))).authentication)
  assert.equal(refusal.status, 403)
})

test('output headers: nobody but a verified token sets them', () => {
  const rules = [
    ruleA({
      outputPayloadToHeader: 'X-Payload',
      outputClaimToHeaders: [
        { header: 'X-Role', claim: 'role' },
        { header: 'x-team', claim: 'org.team' },
      ],
    }),
    ruleB({ outputClaimToHeaders: [{ header: 'x-b', claim: 'sub' }] }),
  ]
  const spoofed: [string, string][] = [
    ['x-payload', 'p'],
    ['X-Role', 'admin'],
    ['x-role', 'root'],
    ['x-team', 't'],
    ['x-b', 'b'],
    ['x-c', 'c'],
  ]
  const kept = [['x-c', 'c']]
  assert.deepEqual([...ask(rules, { headers: spoofed }).headers], kept)
  assert.deepEqual(
    [...ask(rules, { headers: [...spoofed, ['authorization', 'Bearer bad']] }).headers].slice(0, 1),
    kept,
  )
  const preflight: [string, string][] = [
    ['origin', 'x'],
    ['access-control-request-method', 'GET'],
  ]
  assert.deepEqual(
    [...ask(rules, { method: 'OPTIONS', headers: [...spoofed, ...preflight] }).headers],
    [...kept, ...preflight],
  )

  const token = tokenA({ role: 'dev', org: { team: 'web' }, 'org.team': 'no' })
  assert.deepEqual(
    [...ask(rules, { headers: [...spoofed, ['authorization', `Bearer ${token}`]] }).headers],
    [
      ['x-c', 'c'],
      ['x-payload', token.split('.')[1]],
      ['x-role', 'dev'],
      ['x-team', 'web'],
    ],
  )
})

test('formats of claims in headers', () => {
  const show = (value: unknown) => {
    const rule = ruleA({ outputClaimToHeaders: [{ header: 'x-out', claim: 'c' }] })
    const { authentication, headers } = ask([rule], bearer(tokenA({ c: value })))
    accepted(authentication)
    return headers.get('x-out')
  }
  for (const [value, expected] of [
    ['text', 'text'],
    ['\u00e9', '\u00c3\u00a9'],
    [true, 'true'],
    [false, 'false'],
    [0, '0'],
    [42, '42'],
    [2 ** 53, '9007199254740992'],
    [-3, '-3.000000'],
    [1.5, '1.500000'],
    [1 / 128, '0.007812'],
    [3 / 128, '0.023438'],
    [-1 / 128, '-0.007812'],
    [1e20, '100000000000000000000.000000'],
    [1e21, '1000000000000000000000.000000'],
    [{ a: [1, '<'] }, Buffer.from('{"a":[1,"\\u003c"]}').toString('base64')],
    [['a', 'b'], Buffer.from('["a","b"]').toString('base64')],
    ['', undefined],
    [null, undefined],
    [undefined, undefined],
    ['a\r\nx-admin: 1', undefined],
    ['a\nb', undefined],
    ['a\0b', undefined],
    ['a\u0001b', undefined],
    ['a\u007f', undefined],
    ['a\tb', 'a\tb'],
  ] as const)
    assert.equal(show(value), expected, JSON.stringify(value))
})

test('space-delimited claims are lists in the claims only', () => {
  const rule = ruleA({
    spaceDelimitedClaims: ['roles'],
    outputClaimToHeaders: [{ header: 'x-scope', claim: 'scope' }],
  })
  const claims = { scope: ' read  write ', permission: 'p', roles: 'x y', groups: 'a b', nested: { scope: 'a b' } }
  const { authentication, headers } = ask([rule], bearer(tokenA(claims)))
  assert.deepEqual(JSON.parse(JSON.stringify(accepted(authentication).claims)), {
    iss: 'A',
    sub: 'u',
    scope: ['read', 'write'],
    permission: ['p'],
    roles: ['x', 'y'],
    groups: 'a b',
    nested: { scope: 'a b' },
  })
  assert.equal(headers.get('x-scope'), ' read  write ')
  const scope = (value: unknown) => accepted(ask([rule], bearer(tokenA({ scope: value }))).authentication).claims?.scope
  assert.equal(scope(''), '')
  assert.deepEqual(scope(['read write']), ['read write'])
  assert.equal(scope(5), 5)
})

test('keys that are unusable or were never fetched refuse every token of their issuer', () => {
  const unusable = ruleA({ keys: { kind: 'inline', jwks: '{"keys":[]}' } })
  assert.equal(subject([unusable], bearer(T)), "Jwks doesn't have any valid public key")
  const remote = ruleA({ keys: { kind: 'uri', uri: 'https://idp.example/jwks' } })
  assert.equal(subject([remote], bearer(T)), 'Jwks remote fetch is failed')
  assert.equal(subject([remote], {}), '-')
})

test('a key set given offline stands in for a remote one', () => {
  const remote = ruleA({ keys: { kind: 'discovery', issuer: 'A' } })
  const authenticator = createRequestAuthenticator([remote], createOfflineKeySource(new Map([['A', jwks(a)]])))
  const headers = HeaderMap.from([['authorization', `Bearer ${T}`]])
  const authentication = authenticator.authenticate(
    { method: 'GET', scheme: 'http', host: 'h', path: '/', headers },
    now,
  )
  assert.equal(accepted(authentication as Authentication).claims?.sub, 'u')
})
