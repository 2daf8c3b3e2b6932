import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { parseJwks } from './jwk.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
const oct = { kty: 'oct', k: Buffer.from('secret').toString('base64url') }

const parse = (...keys: unknown[]) => parseJwks(JSON.stringify({ keys }))
const kinds = (...keys: unknown[]) => {
  const parsed = parse(...keys)
  return parsed.kind === 'keys' ? parsed.keys.map((key) => key.kind) : parsed.reason
}

test('reads every type of key', () => {
  assert.deepEqual(kinds(rsa, p256, p384, ed25519, oct), ['rsa', 'ec', 'ec', 'ed25519', 'oct'])
})

test('skips keys that it does not understand, and says why', () => {
  const parsed = parse(
    7,
    {},
    { kty: 'XX' },
    { ...rsa, alg: 'ES256' },
    { ...rsa, e: 'BQ' },
    { kty: 'RSA', n: 'AQAB', e: 'AQAB' },
    { ...p256, alg: 'ES384' },
    { ...p256, crv: 'secp256k1' },
    { ...p256, x: p384.x },
    { ...p256, y: undefined },
    { ...ed25519, crv: 'X25519' },
    { ...ed25519, x: 'AA' },
    { ...oct, alg: 'RS256' },
    { kty: 'oct', k: '' },
    { ...p256, kid: 'good' },
  )
  assert.equal(parsed.kind, 'keys')
  assert.deepEqual(parsed.kind === 'keys' && parsed.keys.map((key) => key.kid), ['good'])
  assert.equal(parsed.kind === 'keys' && parsed.skipped.length, 14)
})

test('a curve that is missing follows from the algorithm, else it is P-256', () => {
  const { crv: _, ...withoutCurve } = p256
  const { crv: __, ...withoutCurve384 } = p384
  const parsed = parse(withoutCurve, { ...withoutCurve384, alg: 'ES384' })
  assert.deepEqual(parsed.kind === 'keys' && parsed.keys.map((key) => key.kind === 'ec' && key.curve), [
    'P-256',
    'P-384',
  ])
})

test('a set without usable keys is unusable', () => {
  for (const text of ['', 'x', '[]', '{}', '{"keys":{}}', '{"keys":[]}', '{"keys":[{"kty":"XX"}]}', '{"a":"b"}'])
    assert.equal(parseJwks(text).kind, 'unusable', text)
  assert.equal(parse(...new Array(300).fill(oct)).kind, 'unusable')
})

test('reasons hold no key material', () => {
  const parsed = parse({ ...oct, alg: 'RS256', k: 'c2VjcmV0LXNlY3JldA' })
  assert.equal(parsed.kind, 'unusable')
  assert.doesNotMatch(JSON.stringify(parsed), /c2VjcmV0/)
})
