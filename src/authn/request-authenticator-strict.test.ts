import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { HeaderMap } from '../match/header-map.ts'
import type { JwtRule } from '../mesh/request-authentication.ts'
import type { Logger } from '../observe/log.ts'
import { MetricsRegistry } from '../observe/metrics.ts'
import { parseJwks } from './jwt/jwk.ts'
import type { KeySet } from './jwt/key-set.ts'
import { signToken } from './jwt/sign-token.ts'
import type { SignaturePoolLimits } from './jwt/signature-pool.ts'
import { createTokenVerifier } from './jwt/token-verifier.ts'
import { createOfflineKeySource, type KeySource } from './key-source.ts'
import { createRequestAuthenticator, type RequestAuthenticatorOptions } from './request-authenticator.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const [a, b] = [pair(), pair()]
const jwks = ({ publicKey }: typeof a) => JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] })
const token = (iss: string, claims: object = {}, { privateKey: key } = iss === 'A' ? a : b) =>
  signToken('{"alg":"ES256"}', JSON.stringify({ iss, sub: iss, ...claims }), { alg: 'ES256', key })
const rule = (issuer: string, more: Partial<JwtRule> = {}): JwtRule => ({
  ...{ issuer, audiences: [], fromHeaders: [], fromParams: [], fromCookies: [] },
  ...{ forwardOriginalToken: false, outputPayloadToHeader: null, outputClaimToHeaders: [] },
  ...{ spaceDelimitedClaims: [], timeout: 5000 },
  keys: { kind: 'inline', jwks: jwks(issuer === 'A' ? a : b) },
  ...more,
})

type Lines = readonly (readonly [string, string])[]
interface Asked {
  readonly headers?: Lines
  readonly path?: string
  readonly method?: string
}
const logger: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
const pooled = (pool?: SignaturePoolLimits) =>
  createTokenVerifier({ logger, metrics: new MetricsRegistry(), ...(pool === undefined ? {} : { pool }) })

function asker(
  rules: readonly JwtRule[],
  options: RequestAuthenticatorOptions,
  keys: KeySource = createOfflineKeySource(),
) {
  const authenticator = createRequestAuthenticator(rules, keys, options)
  return ({ headers = [], path = '/', method = 'GET' }: Asked) => {
    const request = { method, scheme: 'http', host: 'h', path, headers: HeaderMap.from(headers) }
    return authenticator.authenticate(request, now)
  }
}

/** The subject, `-` without a token, or the reason of a refusal. */
async function subject(answer: ReturnType<ReturnType<typeof asker>>): Promise<string> {
  const authentication = await answer
  if (authentication.kind === 'rejected') return `${authentication.status} ${authentication.body}`
  return String(authentication.claims?.sub ?? '-')
}

const atB = rule('B', { fromHeaders: [{ name: 'x-b', prefix: '' }] })
const bearer = (text: string): readonly [string, string] => ['authorization', `Bearer ${text}`]
const inB = (text: string): readonly [string, string] => ['x-b', text]
const form = '401 Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'

for (const [name, verifier] of [
  ['at once', undefined],
  ['in the pool', pooled()],
] as const) {
  const options = verifier === undefined ? {} : { verifier }

  test(`strict, ${name}: every token must verify by a rule that looks where it stands`, async () => {
    const strict = asker([rule('A'), atB], { ...options, strict: true })
    const loose = asker([rule('A'), atB], options)
    const rows: [Asked, strict: string, loose: string][] = [
      [{}, '-', '-'],
      [{ headers: [['authorization', 'Basic x']] }, '-', '-'],
      [{ headers: [bearer(token('A'))] }, 'A', 'A'],
      [{ headers: [inB(token('B'))] }, 'B', 'B'],
      [{ headers: [bearer(token('A')), inB(token('B'))] }, 'A', 'A'],
      [{ headers: [bearer(token('A')), inB('bad')] }, form, 'A'],
      [{ headers: [bearer('bad'), inB(token('B'))] }, form, 'B'],
      [{ headers: [bearer(token('A')), inB(token('B', { exp: 1 }))] }, '401 Jwt is expired', 'A'],
      [{ headers: [bearer(token('A')), inB(token('B', {}, a))] }, '401 Jwt verification fails', 'A'],
      [{ headers: [bearer(token('A')), inB(token('A'))] }, '401 Jwt issuer is not configured', 'A'],
      [{ headers: [bearer(token('A'))], path: '/?access_token=bad' }, form, form],
      [{ path: `/?access_token=${token('A')}&access%5ftoken=bad` }, form, 'A'],
    ]
    for (const [request, inStrict, inLoose] of rows) {
      assert.equal(await subject(strict(request)), inStrict)
      assert.equal(await subject(loose(request)), inLoose)
    }
  })

  test(`strict, ${name}: a cookie that comes twice`, async () => {
    const ask = asker([rule('A', { fromCookies: ['ck'] })], { ...options, strict: true })
    const cookie = (text: string): readonly [string, string] => ['cookie', text]
    assert.equal(await subject(ask({ headers: [cookie(`ck=${token('A')}; ck=bad`)] })), form)
    assert.equal(await subject(ask({ headers: [cookie(`ck=${token('A')}`), cookie('ck=bad')] })), form)
    assert.equal(await subject(ask({ headers: [cookie(`ck=${token('A')}; x=bad`)] })), 'A')
  })

  test(`strict, ${name}: a place that two rules share`, async () => {
    const ask = asker([rule('A'), rule('B')], { ...options, strict: true })
    assert.equal(await subject(ask({ headers: [bearer(token('A'))] })), 'A')
    assert.equal(await subject(ask({ headers: [bearer(token('B'))] })), 'B')
    assert.equal(await subject(ask({ headers: [bearer(token('C'))] })), '401 Jwt issuer is not configured')
    assert.equal(await subject(ask({ headers: [bearer(token('A', { exp: 1 }))] })), '401 Jwt is expired')
    assert.equal(await subject(ask({ headers: [bearer(token('A'))], path: `/?access_token=${token('B')}` })), 'A')
  })
}

test('strict: a preflight request may go without a token, but not with a bad one', async () => {
  const preflight: Lines = [
    ['origin', 'https://x'],
    ['access-control-request-method', 'GET'],
  ]
  const ask = asker([rule('A')], { strict: true })
  assert.equal(await subject(ask({ method: 'OPTIONS', headers: preflight })), '-')
  assert.equal(await subject(ask({ method: 'OPTIONS', headers: [...preflight, bearer(token('A'))] })), '-')
  assert.equal(await subject(ask({ method: 'OPTIONS', headers: [...preflight, bearer('bad')] })), form)
})

test('strict: a line that the winner takes away must verify too', async () => {
  const by = (issuer: string, prefix: string) => rule(issuer, { fromHeaders: [{ name: 'x', prefix }] })
  const lines: Lines = [
    ['x', `a ${token('A')}`],
    ['x', 'b bad'],
  ]
  assert.equal(await subject(asker([by('A', 'a '), by('B', 'b ')], {})({ headers: lines })), 'A')
  assert.equal(await subject(asker([by('A', 'a '), by('B', 'b ')], { strict: true })({ headers: lines })), form)
})

test('without a token, and with known ones, the answer is there at once', async () => {
  for (const strict of [false, true]) {
    const ask = asker([rule('A'), atB], { verifier: pooled(), strict })
    assert.ok(!(ask({}) instanceof Promise))
    const both = { headers: [bearer(token('A')), inB(token('B'))] }
    assert.equal(await subject(ask(both)), 'A')
    const again = ask(both)
    assert.ok(!(again instanceof Promise), `strict: ${strict}`)
  }
})

test('equal issuers with keys of their own: what each says of a token is known', async () => {
  const rules = [rule('A', { keys: { kind: 'inline', jwks: jwks(b) } }), rule('A')]
  const ask = asker(rules, { verifier: pooled() })
  const request = { headers: [bearer(token('A'))] }
  assert.equal(await subject(ask(request)), 'A')
  // The first set is asked once more, now that the token is worth remembering.
  assert.equal(await subject(ask(request)), 'A')
  assert.ok(!(ask(request) instanceof Promise))
})

test('a token that there was no time for is refused with 503, and no other token stands in for it', async () => {
  const verifier = pooled({ running: 1, waiting: 0 })
  const ask = asker([rule('A'), atB], { verifier })
  const known = token('B')
  assert.equal(await subject(ask({ headers: [inB(known)] })), 'B')
  const busy = ask({ headers: [bearer(token('A'))] })
  const refusal = await ask({ headers: [bearer(token('A')), inB(known)] })
  assert.deepEqual(refusal, {
    kind: 'rejected',
    status: 503,
    body: 'Jwt verification is overloaded',
    wwwAuthenticate: null,
    details: 'jwt_authn_access_denied{Jwt_verification_is_overloaded}',
  })
  assert.equal(await subject(ask({ headers: [inB(known)] })), 'B', 'known tokens do not wait')
  assert.equal(
    await subject(asker([rule('A'), atB], { verifier, strict: true })({ headers: [bearer(token('A'))] })),
    '503 Jwt verification is overloaded',
  )
  assert.equal(await subject(busy), 'A')
})

test('keys that are replaced while a token waits have no say', async () => {
  const sets = [a, b].map((one) => parseJwks(jwks(one)) as KeySet)
  let current = sets[0] as KeySet
  const source: KeySource = { keysFor: () => ({ current: () => current, refetch: () => null }) }
  const ask = asker([rule('A')], { verifier: pooled() }, source)
  const waiting = ask({ headers: [bearer(token('A'))] })
  assert.ok(waiting instanceof Promise)
  current = sets[1] as KeySet
  assert.equal(await subject(waiting), '401 Jwt verification fails')
})

test('output headers and the target of a token that had to wait are those of one that is known', async () => {
  const options = { verifier: pooled() }
  const rules = [rule('A', { outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }], outputPayloadToHeader: 'x-p' })]
  const authenticator = createRequestAuthenticator(rules, createOfflineKeySource(), options)
  const text = token('A', { scope: 'r w' })
  const outcome = async () => {
    const headers = HeaderMap.from([
      ['x-sub', 'admin'],
      ['x-p', 'y'],
    ])
    const request = { method: 'GET', scheme: 'http', host: 'h', path: `/a?x=1&access_token=${text}`, headers }
    const answer = await authenticator.authenticate(request, now)
    return JSON.stringify([answer, [...headers]])
  }
  const first = await outcome()
  assert.equal(await outcome(), first)
  assert.deepEqual(JSON.parse(first), [
    { kind: 'accepted', claims: { iss: 'A', sub: 'A', scope: ['r', 'w'] }, path: '/a?x=1' },
    [
      ['x-p', text.split('.')[1]],
      ['x-sub', 'A'],
    ],
  ])
})
