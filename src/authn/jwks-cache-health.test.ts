import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { HeaderMap } from '../match/header-map.ts'
import type { JwtKeys, JwtRule } from '../mesh/request-authentication.ts'
import type { Logger } from '../observe/log.ts'
import { MetricsRegistry } from '../observe/metrics.ts'
import { createHttpFetch } from './http-fetch.ts'
import { createJwksCache, type Fetched, type JwksCacheOptions } from './jwks-cache.ts'
import { signToken } from './jwt/sign-token.ts'
import { createTokenVerifier } from './jwt/token-verifier.ts'
import { createRequestAuthenticator } from './request-authenticator.ts'

const logger: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
const servers: Server[] = []
after(() => {
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
})

const pairs = Array.from({ length: 3 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const [k1, k2, k3] = pairs as [(typeof pairs)[0], (typeof pairs)[0], (typeof pairs)[0]]
const jwk = (pair: typeof k1, kid: string) => ({ ...pair.publicKey.export({ format: 'jwk' }), kid })
const tokenOf = (pair: typeof k1, kid = '') =>
  signToken(JSON.stringify({ alg: 'ES256', ...(kid === '' ? {} : { kid }) }), '{"iss":"A","sub":"u"}', {
    alg: 'ES256',
    key: pair.privateKey,
  })

function ruleOf(keys: JwtKeys): JwtRule {
  return {
    ...{ issuer: 'A', audiences: [], keys, fromHeaders: [], fromParams: [], fromCookies: [] },
    ...{ forwardOriginalToken: false, outputPayloadToHeader: null, outputClaimToHeaders: [] },
    ...{ spaceDelimitedClaims: [], timeout: 5000 },
  }
}

/** A server whose one page is what `page.body` says with `page.status`. */
async function issuer(body: string) {
  const page = { status: 200, body, requests: 0, uri: '' }
  const server = createServer((_, response) => {
    page.requests++
    response.writeHead(page.status).end(page.body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  page.uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys?secret=1`
  return page
}

function setUp(rules: readonly JwtRule[], more: Partial<JwksCacheOptions> = {}) {
  const clock = { now: Date.parse('2026-01-01T00:00:00Z') }
  const metrics = new MetricsRegistry()
  const cache = createJwksCache({ fetch: createHttpFetch(), logger, metrics, now: () => clock.now, ...more })
  cache.use(rules)
  const verifier = createTokenVerifier({ logger, metrics })
  const authenticate = (token: string) =>
    createRequestAuthenticator(rules, cache, { verifier }).authenticate(
      {
        ...{ method: 'GET', scheme: 'http', host: 'h', path: '/' },
        headers: HeaderMap.from([['authorization', `Bearer ${token}`]]),
      },
      clock.now,
    )
  const judge = async (token: string) => {
    const authentication = await authenticate(token)
    return authentication.kind === 'accepted' ? 'ok' : authentication.body
  }
  const series = (name: string) =>
    metrics
      .render()
      .split('\n')
      .filter((line) => line.startsWith(name))
  return { cache, clock, authenticate, judge, series }
}

const fails = 'Jwt verification fails'
const noKey = "Jwks doesn't have key to match kid or alg from Jwt"

test('an outage shows in problems and metrics, with what it means, and ends', async () => {
  const page = await issuer('nothing')
  page.status = 404
  const label = `{uri="${page.uri.replace(/\?.*/, '')}"}`
  const { cache, clock, judge, series } = setUp([ruleOf({ kind: 'uri', uri: page.uri })])
  await cache.ready()
  assert.match(
    cache.problems().join(),
    /\/keys could not be fetched \(answered with status 404\): tokens that need them are refused$/,
  )
  assert.deepEqual(series('sallyport_jwks_keys{'), [`sallyport_jwks_keys${label} 0`])
  assert.equal(await judge(tokenOf(k1, '1')), 'Jwks remote fetch is failed')

  Object.assign(page, { status: 200, body: JSON.stringify({ keys: [jwk(k1, '1')] }) })
  clock.now += 10_000
  assert.equal(await judge(tokenOf(k1, '1')), 'ok')
  assert.deepEqual(cache.problems(), [])
  assert.deepEqual(series('sallyport_jwks_keys{'), [`sallyport_jwks_keys${label} 1`])
  assert.deepEqual(series('sallyport_jwks_fetched_timestamp'), [
    `sallyport_jwks_fetched_timestamp_seconds${label} ${clock.now / 1000}`,
  ])

  page.body = '<!doctype html><title>sorry</title>'
  clock.now += 10_000
  assert.equal(await judge(tokenOf(k2, '2')), noKey)
  assert.match(cache.problems().join(), /\(Jwks is an invalid JSON\): the last good ones are in use$/)
  assert.deepEqual(series('sallyport_jwks_fetches_total'), [
    `sallyport_jwks_fetches_total{${label.slice(1, -1)},outcome="failed"} 2`,
    `sallyport_jwks_fetches_total{${label.slice(1, -1)},outcome="ok"} 1`,
  ])
  assert.doesNotMatch(series('').join('\n') + cache.problems().join(), /secret/)
  cache.use([])
  assert.deepEqual([cache.problems(), series('sallyport_jwks_keys{')], [[], []])
  cache.close()
})

test('bad keys among good ones are skipped, equal ids are alternatives, an empty set is none', async () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 512 }).publicKey.export({ format: 'jwk' })
  const bad = [null, 5, {}, { kty: 'x' }, { kty: 'EC', crv: 'P-256', x: '!', y: '!' }, { kty: 'RSA', n: 'AQAB' }, rsa]
  const page = await issuer(
    JSON.stringify({ keys: [...bad, jwk(k1, 'same'), jwk(k2, 'same'), { ...jwk(k3, ''), kid: 7 }] }),
  )
  const { cache, judge } = setUp([ruleOf({ kind: 'uri', uri: page.uri })])
  assert.equal(await judge(tokenOf(k1, 'same')), 'ok')
  assert.equal(await judge(tokenOf(k2, 'same')), 'ok')
  assert.equal(await judge(tokenOf(k3, 'same')), 'ok', 'a kid that is no string is no kid')
  assert.equal(await judge(tokenOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'same')), fails)
  cache.close()
  for (const body of ['{"keys":[]}', JSON.stringify({ keys: bad }), '{}', '{"keys":{}}', '[]', '']) {
    const empty = await issuer(body)
    const other = setUp([ruleOf({ kind: 'uri', uri: empty.uri })])
    assert.equal(await other.judge(tokenOf(k1)), "Jwks doesn't have any valid public key", body)
    assert.equal(other.cache.problems().length, 1)
    other.cache.close()
  }
})

test('refreshes are spread over a tenth of their time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (const [random, at] of [
    [0, 1_200_000],
    [0.5, 1_140_000],
    [1, 1_080_000],
  ] as const) {
    let fetches = 0
    const fetch = async (): Promise<Fetched> => {
      fetches++
      return { kind: 'ok', body: JSON.stringify({ keys: [jwk(k1, '1')] }) }
    }
    const { cache } = setUp([ruleOf({ kind: 'uri', uri: 'http://a.example/' })], { fetch, random: () => random })
    await cache.ready()
    t.mock.timers.tick(at - 1)
    assert.equal(fetches, 1)
    t.mock.timers.tick(1)
    assert.equal(fetches, 2, String(random))
    cache.close()
  }
})

test('a token stays known while its keys stay, and not a moment longer', async () => {
  const page = await issuer(JSON.stringify({ keys: [jwk(k1, '1')] }))
  const rules = [ruleOf({ kind: 'uri', uri: page.uri })]
  const { cache, clock, authenticate, judge } = setUp(rules)
  const token = tokenOf(k1, '1')
  assert.equal(await judge(token), 'ok')
  const refetch = async () => {
    clock.now += 10_000
    await judge(tokenOf(k2, 'unknown'))
  }
  await refetch()
  assert.equal(page.requests, 2)
  cache.use(rules)
  assert.ok(!(authenticate(token) instanceof Promise), 'the same text is the same set')
  page.body = JSON.stringify({ keys: [jwk(k2, '1')] })
  await refetch()
  assert.equal(await judge(token), fails)
  cache.close()
})

test('inline keys are the same set after a reload', async () => {
  const rules = [ruleOf({ kind: 'inline', jwks: JSON.stringify({ keys: [jwk(k1, '1')] }) })]
  const { cache, authenticate, judge } = setUp(rules)
  const token = tokenOf(k1)
  assert.ok(authenticate(token) instanceof Promise)
  assert.equal(await judge(token), 'ok')
  cache.use(rules)
  assert.ok(!(authenticate(token) instanceof Promise))
  cache.close()
})
