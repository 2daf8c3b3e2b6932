import assert from 'node:assert/strict'
import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { Logger } from '../../observe/log.ts'
import { MetricsRegistry } from '../../observe/metrics.ts'
import { prepareClaimChecks } from './claim-checks.ts'
import { parseJwks } from './jwk.ts'
import type { KeySet } from './key-set.ts'
import { signToken } from './sign-token.ts'
import { createTokenVerifier, type TokenVerifierOptions } from './token-verifier.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const second = now / 1000
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
const secret = createSecretKey(randomBytes(32))

function keySet(...keys: KeyObject[]): KeySet {
  const parsed = parseJwks(JSON.stringify({ keys: keys.map((key) => key.export({ format: 'jwk' })) }))
  assert.equal(parsed.kind, 'keys')
  return parsed
}
const keys = keySet(rsa.publicKey)
const rule = (audiences: string[] = []) => prepareClaimChecks({ issuer: 'a', audiences })
let serial = 0
/** A token of its own each time. */
const make = (claims: object = {}, key = rsa.privateKey, alg = 'RS256') =>
  signToken(JSON.stringify({ alg }), JSON.stringify({ iss: 'a', jti: String(serial++), ...claims }), { alg, key })
const forge = (token: string) => token.replace(/.{8}$/, (end) => (end === 'AAAAAAAA' ? 'BBBBBBBB' : 'AAAAAAAA'))

function setUp(options: Partial<TokenVerifierOptions> = {}) {
  const warnings: unknown[] = []
  const warn: Logger['warn'] = (message, fields) => warnings.push([message, fields])
  const logger: Logger = { level: 'warn', debug() {}, info() {}, warn, error() {} }
  const metrics = new MetricsRegistry()
  const verifier = createTokenVerifier({ logger, metrics, ...options })
  /** What it says, with `later` in front where somebody has to wait for it. */
  const ask = (token: string, checks = rule(), set = keys, at = now) => {
    const verdict = verifier.verify(token, checks, set, at)
    const word = (one: Awaited<typeof verdict>) => (one.kind === 'verified' ? 'good' : one.reason)
    return verdict instanceof Promise ? verdict.then((late) => `later: ${word(late)}`) : word(verdict)
  }
  const metric = (name: string) =>
    Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\d+)$`, 'm').exec(metrics.render())?.[1])
  return { ask, metric, warnings, metrics }
}

const fails = 'Jwt verification fails'

test('a token is verified off the event loop once, and then known at once', async () => {
  const { ask, metric } = setUp()
  const token = make()
  assert.equal(await ask(token), 'later: good')
  assert.equal(ask(token), 'good')
  assert.equal(ask(token), 'good')
  assert.equal(metric('sallyport_jwt_tokens_total{outcome="known"}'), 2)
  assert.equal(metric('sallyport_jwt_tokens_total{outcome="verified"}'), 1)
  assert.equal(metric('sallyport_jwt_tokens_known'), 1)
})

test('what needs no public key is said at once', () => {
  const { ask } = setUp()
  const hmac = make({}, secret, 'HS256')
  assert.equal(ask(hmac, rule(), keySet(secret)), 'good')
  assert.equal(ask(forge(hmac), rule(), keySet(secret)), fails)
  assert.equal(ask(hmac), fails, 'a public key is no secret')
  assert.equal(ask('a.b.c'), 'Jwt header is an invalid Base64url encoded')
  assert.equal(ask(make({ iss: 'b' })), 'Jwt issuer is not configured')
  const none: KeySet = { kind: 'none', reason: 'Jwks remote fetch is failed' }
  assert.equal(ask(make(), rule(), none), 'Jwks remote fetch is failed')
})

test('a bad token is verified each time and never known', async () => {
  const { ask, metric } = setUp()
  const token = forge(make())
  for (let i = 0; i < 3; i++) assert.equal(await ask(token), `later: ${fails}`)
  assert.equal(metric('sallyport_jwt_tokens_known'), 0)
  const good = make()
  assert.equal(await ask(good), 'later: good')
  assert.equal(await ask(forge(good)), `later: ${fails}`, 'the signature is a part of what is known')
})

test('time, audience and issuer are checked at each use of a known token', async () => {
  const { ask } = setUp()
  const token = make({ nbf: second, exp: second + 100, aud: 'x' })
  assert.equal(await ask(token), 'later: good')
  assert.equal(ask(token, rule(), keys, now + 160_999), 'good')
  assert.equal(ask(token, rule(), keys, now + 161_000), 'Jwt is expired')
  assert.equal(ask(token, rule(), keys, now - 60_000), 'good')
  assert.equal(ask(token, rule(), keys, now - 60_001), 'Jwt not yet valid')
  assert.equal(ask(token, rule(['x'])), 'good')
  assert.equal(ask(token, rule(['y'])), 'Audiences in Jwt are not allowed')
  assert.equal(ask(token, prepareClaimChecks({ issuer: 'b', audiences: [] })), 'Jwt issuer is not configured')
})

test('what one set of keys verified says nothing about another one', async () => {
  const { ask } = setUp()
  const token = make()
  assert.equal(await ask(token), 'later: good')
  const rotated = keySet(other.publicKey)
  assert.equal(await ask(token, rule(), rotated), `later: ${fails}`)
  assert.equal(await ask(token, rule(), keySet(rsa.publicKey)), 'later: good', 'equal keys are other keys')
  // Of a token that some set verifies, what other sets said of it is known too: rules with one issuer each ask.
  assert.equal(ask(token, rule(), rotated), fails)
  assert.equal(ask(token), 'good')
  const none: KeySet = { kind: 'none', reason: "Jwks doesn't have any valid public key" }
  assert.equal(ask(token, rule(), none), "Jwks doesn't have any valid public key")
  for (let i = 0; i < 10; i++) assert.equal(await ask(token, rule(), keySet(other.publicKey)), `later: ${fails}`)
  assert.equal(await ask(token), 'later: good', 'only a few sets are kept')
})

test('every key that fits is tried, and the first that verifies decides', async () => {
  const { ask } = setUp()
  const strangers = Array.from({ length: 3 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)
  const set = keySet(other.publicKey, ...strangers, rsa.publicKey)
  assert.equal(await ask(make(), rule(), set), 'later: good')
  assert.equal(await ask(forge(make()), rule(), set), `later: ${fails}`)
})

test('one text that comes many times at once is verified once', async () => {
  const { ask, metric } = setUp({ pool: { running: 1, waiting: 0 } })
  const token = make()
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(token)))
  assert.deepEqual([...new Set(answers)], ['later: good'])
  assert.equal(metric('sallyport_jwt_tokens_total{outcome="verified"}'), 1)
})

test('beyond the bound tokens are refused as what they are: not looked at', async () => {
  const { ask, metric, warnings } = setUp({ pool: { running: 1, waiting: 2 } })
  const known = make()
  assert.equal(await ask(known), 'later: good')
  const flood = Array.from({ length: 3 }, () => ask(forge(make())))
  assert.equal(metric('sallyport_jwt_verifications_waiting'), 2)
  const late = make()
  for (let i = 0; i < 5; i++) assert.equal(ask(late), 'Jwt verification is overloaded')
  assert.equal(ask(known), 'good', 'a known token does not wait')
  assert.equal(ask(make({ iss: 'b' })), 'Jwt issuer is not configured', 'what needs no key is still said')
  assert.deepEqual(warnings, [['tokens are refused with 503: too many wait for their verification', { refused: 1 }]])
  assert.equal(ask(late, rule(), keys, now + 10_000), 'Jwt verification is overloaded')
  assert.deepEqual(warnings[1], ['tokens are refused with 503: too many wait for their verification', { refused: 5 }])
  assert.equal(metric('sallyport_jwt_tokens_total{outcome="overloaded"}'), 6)
  assert.deepEqual([...new Set(await Promise.all(flood))], [`later: ${fails}`])
  assert.equal(await ask(late), 'later: good')
  assert.equal(metric('sallyport_jwt_verifications_waiting'), 0)
})

test('a flood of bad tokens displaces nothing', async () => {
  const { ask } = setUp({ known: { entries: 4, bytes: 1 << 20 } })
  const good = [make(), make()]
  for (const token of good) await ask(token)
  for (let i = 0; i < 20; i++) assert.equal(await ask(forge(make())), `later: ${fails}`)
  for (const token of good) assert.equal(ask(token), 'good')
})

test('the number and the size of what is known is bounded, and what is used stays', async () => {
  const { ask, metric } = setUp({ known: { entries: 8, bytes: 1 << 20 } })
  const used = make()
  await ask(used)
  for (let i = 0; i < 30; i++) {
    assert.equal(await ask(make()), 'later: good')
    assert.equal(ask(used), 'good')
    assert.ok(metric('sallyport_jwt_tokens_known') <= 8)
  }
  const small = setUp({ known: { entries: 1000, bytes: 8000 } })
  for (let i = 0; i < 20; i++) await small.ask(make({ pad: 'x'.repeat(500) }))
  assert.ok(small.metric('sallyport_jwt_tokens_known') <= 8)
  const long = make({ pad: 'x'.repeat(5000) })
  assert.equal(await small.ask(long), 'later: good')
  assert.equal(await small.ask(long), 'later: good', 'one that is too long is not kept')
})

test('no metric and no warning holds a token', async () => {
  const { ask, metrics, warnings } = setUp({ pool: { running: 1, waiting: 0 } })
  const tokens = [make(), make()]
  await Promise.all(tokens.map((token) => ask(token)))
  for (const part of tokens.flatMap((token) => token.split('.')).slice(1, 3)) {
    assert.ok(!metrics.render().includes(part))
    assert.ok(!JSON.stringify(warnings).includes(part))
  }
})
