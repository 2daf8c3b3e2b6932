import assert from 'node:assert/strict'
import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { prepareClaimChecks } from './claim-checks.ts'
import { parseJwks } from './jwk.ts'
import type { KeySet } from './key-set.ts'
import { signToken } from './sign-token.ts'
import { verifyToken } from './verify-token.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const second = now / 1000

interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

const rsa: Pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const otherRsa: Pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const p256: Pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384: Pair = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const p521: Pair = generateKeyPairSync('ec', { namedCurve: 'P-521' })
const ed25519: Pair = generateKeyPairSync('ed25519')
const secret = createSecretKey(randomBytes(64))

const jwk = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: 'jwk' }), ...more })
const keySet = (...keys: object[]): KeySet => {
  const parsed = parseJwks(JSON.stringify({ keys }))
  return parsed.kind === 'keys' ? parsed : { kind: 'none', reason: "Jwks doesn't have any valid public key" }
}
const standard = keySet(jwk(rsa.publicKey, { kid: 'r', alg: 'RS256' }))
const checks = (issuer: string | null = 'a', audiences: string[] = []) => prepareClaimChecks({ issuer, audiences })

const make = (payload: object | string, header: object | string = {}, key: KeyObject = rsa.privateKey, alg = 'RS256') =>
  signToken(
    typeof header === 'string' ? header : JSON.stringify({ alg, ...header }),
    typeof payload === 'string' ? payload : JSON.stringify(payload),
    { alg, key },
  )
const result = (text: string, rule = checks(), keys = standard) => {
  const token = verifyToken(text, rule, keys, now)
  return token.kind === 'verified' ? 'ok' : token.reason
}
const encode = (text: string) => Buffer.from(text).toString('base64url')
const good = make({ iss: 'a', sub: 'u' })
const [goodHeader = '', goodPayload = '', goodSignature = ''] = good.split('.')
const forged = (token: string) => token.replace(/.{8}$/, (end) => (end === 'AAAAAAAA' ? 'BBBBBBBB' : 'AAAAAAAA'))

const form = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'

test('form', () => {
  assert.equal(result(good), 'ok')
  for (const text of [
    '',
    '.',
    '..',
    'abc',
    'a.b',
    `${goodHeader}.${goodPayload}`,
    `${good}.x`,
    `${goodHeader}.${goodPayload}.`,
  ])
    assert.equal(result(text), form, text)
  assert.equal(result(`..${goodHeader}..${goodPayload}.${goodSignature}.`), 'ok')
  assert.equal(result(`${good}==`), 'ok')
})

test('base64url and JSON of each segment, in order', () => {
  const at = (header: string, payload: string, signature: string) => result(`${header}.${payload}.${signature}`)
  assert.equal(at('a', 'b', 'c'), 'Jwt header is an invalid Base64url encoded')
  assert.equal(at('YQ', 'b', 'c'), 'Jwt header is an invalid JSON')
  assert.equal(at(encode('{"alg":"RS256","alg":"RS256"}'), 'b', 'c'), 'Jwt header is an invalid JSON')
  assert.equal(at(encode('[]'), 'b', 'c'), 'Jwt header is an invalid JSON')
  assert.equal(at(goodHeader, 'b', 'c'), 'Jwt payload is an invalid Base64url encoded')
  assert.equal(at(goodHeader, 'YQ', 'c'), 'Jwt payload is an invalid JSON')
  assert.equal(at(goodHeader, encode('{"iss":"a","iss":"a"}'), 'c'), 'Jwt payload is an invalid JSON')
  assert.equal(at(goodHeader, goodPayload, 'c'), 'Jwt signature is an invalid Base64url encoded')
  assert.equal(at(goodHeader, goodPayload, `"${goodSignature}"`), 'Jwt signature is an invalid Base64url encoded')
  assert.equal(at(goodHeader, goodPayload, `${goodSignature} junk`), 'Jwt verification fails')
})

test('header fields', () => {
  const alg = 'Jwt header [alg] field is required and must be a string'
  assert.equal(result(make({}, '{}')), alg)
  assert.equal(result(make({}, '{"alg":null}')), alg)
  assert.equal(result(make({}, '{"alg":5}')), alg)
  assert.equal(result(make({}, '{"alg":"none"}')), 'Jwt header [alg] is not supported')
  assert.equal(result(make({}, '{"alg":"rs256"}')), 'Jwt header [alg] is not supported')
  assert.equal(result(make({}, { kid: 5 })), 'Jwt header [kid] field is not a string')
  assert.equal(result(make({}, { kid: null })), 'Jwt header [kid] field is not a string')
  assert.equal(result(make({ iss: 'a' }, { typ: 'at+jwt', crit: ['x'] })), 'ok')
})

test('payload fields', () => {
  for (const name of ['iss', 'sub', 'jti']) {
    for (const value of [5, null, ['a'], {}])
      assert.equal(result(make({ [name]: value })), `Jwt payload [${name}] field is not a string`)
  }
  for (const name of ['exp', 'nbf', 'iat']) {
    for (const value of ['x', '1', null, true])
      assert.equal(result(make({ [name]: value })), `Jwt payload [${name}] field is not an integer`)
    for (const value of ['-1', '1e20', '18446744073709551616'])
      assert.equal(result(make(`{"${name}":${value}}`)), `Jwt payload [${name}] field is not a positive 64 bit integer`)
  }
  for (const value of [5, null, {}, [5], ['a', null]])
    assert.equal(result(make({ aud: value })), 'Jwt payload [aud] field is not a string or string list')
})

test('issuer', () => {
  const unknown = 'Jwt issuer is not configured'
  assert.equal(result(make({ iss: 'b' })), unknown)
  assert.equal(result(make({ iss: 'a/' })), unknown)
  assert.equal(result(make({ iss: '' })), unknown)
  assert.equal(result(make({ sub: 'u' })), unknown)
  assert.equal(result(make({ iss: 'b' }), checks(null)), 'ok')
  assert.equal(result(make({ sub: 'u' }), checks(null)), 'ok')
})

test('time, with a tolerance of 60 seconds', () => {
  const at = (claims: object) => result(make({ iss: 'a', ...claims }))
  assert.equal(at({ exp: second - 60 }), 'ok')
  assert.equal(at({ exp: second - 61 }), 'Jwt is expired')
  assert.equal(at({ exp: second - 60.5 }), 'Jwt is expired')
  assert.equal(at({ exp: 0 }), 'ok')
  assert.equal(at({ nbf: second + 60 }), 'ok')
  assert.equal(at({ nbf: second + 61 }), 'Jwt not yet valid')
  assert.equal(at({ iat: second + 1e6 }), 'ok')
})

test('audiences', () => {
  const at = (aud: unknown, ...configured: string[]) => result(make({ iss: 'a', aud }), checks('a', configured))
  const wrong = 'Audiences in Jwt are not allowed'
  assert.equal(at(undefined), 'ok')
  assert.equal(at('x'), 'ok')
  assert.equal(at('http://svc', 'https://svc/'), 'ok')
  assert.equal(at('svc', 'https://svc/'), 'ok')
  assert.equal(at(['x', 'svc/'], 'y', 'svc'), 'ok')
  assert.equal(at('svc//', 'svc'), wrong)
  assert.equal(at('SVC', 'svc'), wrong)
  assert.equal(at('http://https://svc', 'svc'), wrong)
  assert.equal(at(undefined, 'svc'), wrong)
  assert.equal(at([], 'svc'), wrong)
})

test('the order of checks: issuer, not before, expiry, audience, signature', () => {
  const rule = checks('a', ['svc'])
  const late = { nbf: second + 100, exp: second - 100 }
  assert.equal(result(forged(make({ iss: 'b', aud: 'x', ...late })), rule), 'Jwt issuer is not configured')
  assert.equal(result(forged(make({ iss: 'a', aud: 'x', ...late })), rule), 'Jwt not yet valid')
  assert.equal(result(forged(make({ iss: 'a', aud: 'x', exp: second - 100 })), rule), 'Jwt is expired')
  assert.equal(result(forged(make({ iss: 'a', aud: 'x' })), rule), 'Audiences in Jwt are not allowed')
  assert.equal(result(forged(make({ iss: 'a', aud: 'svc' })), rule), 'Jwt verification fails')
})

test('the choice of a key', () => {
  const none = "Jwks doesn't have key to match kid or alg from Jwt"
  const claims = { iss: 'a' }
  assert.equal(result(make(claims, { kid: 'r' })), 'ok')
  assert.equal(result(make(claims, { kid: 'other' })), none)
  assert.equal(result(make(claims, {}, rsa.privateKey, 'RS512')), none)
  assert.equal(result(make(claims, {}, p256.privateKey, 'ES256')), none)
  assert.equal(result(make(claims, {}, otherRsa.privateKey)), 'Jwt verification fails')
  const two = keySet(jwk(otherRsa.publicKey), jwk(rsa.publicKey))
  assert.equal(result(make(claims, { kid: 'any' }), checks(), two), 'ok')
  assert.equal(result(make(claims), checks(), keySet()), "Jwks doesn't have any valid public key")
})

test('every algorithm verifies, and nothing else does', () => {
  const pairs: [string, KeyObject, KeyObject][] = [
    ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg): [string, KeyObject, KeyObject] => [
      alg,
      rsa.publicKey,
      rsa.privateKey,
    ]),
    ['ES256', p256.publicKey, p256.privateKey],
    ['ES384', p384.publicKey, p384.privateKey],
    ['ES512', p521.publicKey, p521.privateKey],
    ['EdDSA', ed25519.publicKey, ed25519.privateKey],
    ...['HS256', 'HS384', 'HS512'].map((alg): [string, KeyObject, KeyObject] => [alg, secret, secret]),
  ]
  for (const [alg, publicKey, privateKey] of pairs) {
    const token = make({ iss: 'a' }, {}, privateKey, alg)
    assert.equal(result(token, checks(), keySet(jwk(publicKey))), 'ok', alg)
    assert.equal(result(forged(token), checks(), keySet(jwk(publicKey))), 'Jwt verification fails', alg)
    for (const [other, otherKey] of pairs) {
      if (otherKey === publicKey) continue
      // As Envoy: an Ed25519 key that is tried ends the search at a signature that is not as long as its own.
      const strange = other === 'EdDSA' && Buffer.from(token.split('.')[2] ?? '', 'base64url').length !== 64
      const reason = strange ? 'Jwt ED25519 signature is wrong length' : 'Jwt verification fails'
      assert.equal(result(token, checks(), keySet(jwk(otherKey))), reason, `${alg} under ${other}`)
    }
  }
})

test('a public key is never an HMAC secret', () => {
  const { n } = rsa.publicKey.export({ format: 'jwk' })
  for (const text of [rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string, n as string]) {
    const token = make({ iss: 'a' }, {}, createSecretKey(Buffer.from(text)), 'HS256')
    assert.equal(result(token, checks(), keySet(jwk(rsa.publicKey))), 'Jwt verification fails')
  }
})

test('a signature under another curve is refused', () => {
  const token = signToken('{"alg":"ES256"}', '{"iss":"a"}', { alg: 'ES384', key: p384.privateKey })
  assert.equal(result(token, checks(), keySet(jwk(p384.publicKey))), 'Jwt verification fails')
})

test('signatures of a wrong length are refused without an exception', () => {
  const [header, payload] = make({ iss: 'a' }, {}, p256.privateKey, 'ES256').split('.')
  for (const length of [1, 63, 65, 500]) {
    const token = `${header}.${payload}.${Buffer.alloc(length, 1).toString('base64url')}`
    assert.equal(result(token, checks(), keySet(jwk(p256.publicKey))), 'Jwt verification fails')
    const rs = `${goodHeader}.${goodPayload}.${Buffer.alloc(length, 1).toString('base64url')}`
    assert.equal(result(rs), 'Jwt verification fails')
  }
  const [edHeader, edPayload] = make({ iss: 'a' }, {}, ed25519.privateKey, 'EdDSA').split('.')
  assert.equal(
    result(`${edHeader}.${edPayload}.AAAA`, checks(), keySet(jwk(ed25519.publicKey))),
    'Jwt ED25519 signature is wrong length',
  )
})
