import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conceal } from './conceal.ts'

const token = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"a"}').toString('base64url')}.c2ln`

test('tokens, keys and passwords are hidden wherever they stand', () => {
  const cases: [string, string][] = [
    [`\`${token}\` is not a duration`, '`[masked]` is not a duration'],
    ['write `Bearer abcdef123`', 'write `Bearer [masked]`'],
    ['a "basic dXNlcjpwYXNz" b', 'a "basic [masked]" b'],
    ['{"kty":"oct","k":"c2VjcmV0"}', '{"kty":"oct","k":"[masked]"}'],
    [String.raw`{\"d\": \"c2VjcmV0\", \"n\": \"AQAB\"}`, String.raw`{\"d\": \"[masked]\", \"n\": \"AQAB\"}`],
    ['https://user:pass@host/x', 'https://[masked]@host/x'],
    ['x -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- y', 'x [masked] y'],
    ['x -----BEGIN PRIVATE KEY----- abc', 'x [masked]'],
  ]
  for (const [text, expected] of cases) assert.equal(conceal(text), expected)
})

test('what a message says otherwise stays', () => {
  const texts = [
    'the field `token` is unknown in `spec.jwtRules[0]`',
    'expected text for `k`, found the number 1',
    'write an `https://` or `http://` address',
    'put it in quotes: `"80"`',
    "ports: ['8080'], d: 5s, a@b",
    'a condition on tokens where no RequestAuthentication verifies any',
    'no token is verified',
  ]
  for (const text of texts) assert.equal(conceal(text), text)
})

test('hostile texts cost no more than their length', () => {
  const started = performance.now()
  for (const hostile of [
    'eyJ'.repeat(700),
    'Bearer '.repeat(280),
    '-----BEGIN '.repeat(180),
    '://'.repeat(660),
    'd:'.repeat(1000),
  ]) {
    conceal(hostile)
  }
  assert.ok(performance.now() - started < 200)
})
