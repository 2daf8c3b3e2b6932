import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Server } from 'node:http'
import { after, before, describe, test } from 'node:test'
import type { Answer, Authorizer, AuthorizerRequest } from '#src/extauthz/index.ts'
import { allow, createAuthorizer, deny } from '#src/extauthz/index.ts'
import { customFilters as custom } from './custom-filters.ts'
import { cluster, type Line, type RunningEnvoy, send, startApp, startEnvoy } from './envoy.ts'
import { peer } from './peers.ts'

const found = peer('envoy')
const secret = 'secret'

function sign(text: string): Buffer {
  return createHmac('sha256', secret).update(text).digest()
}

function token(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${sign(text).toString('base64url')}`
}

/** The claims of a token that this secret signed and whose time has come; null for any other. */
function verify(jwt: string): Record<string, unknown> | null {
  const [header, payload, signature, ...rest] = jwt.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return null
  const given = Buffer.from(signature, 'base64url')
  const expected = sign(`${header}.${payload}`)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  if (JSON.parse(Buffer.from(header, 'base64url').toString()).alg !== 'HS256') return null
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const now = Date.now() / 1000
  return claims.nbf <= now && now < claims.exp ? claims : null
}

/** The token policy: the claim `path`, decoded, is a prefix of the request's path. */
function byToken(request: AuthorizerRequest): Answer {
  const [scheme, jwt] = (request.headers.authorization ?? '').split(' ')
  const claims = scheme === 'Bearer' && jwt !== undefined ? verify(jwt) : null
  if (claims === null || typeof claims.path !== 'string') return deny()
  const prefix = Buffer.from(claims.path, 'base64').toString()
  return request.path.startsWith(prefix) ? allow({ headers: { 'x-path': prefix } }) : deny()
}

describe('real Envoy asks our authorizer', { skip: 'skip' in found ? found.skip : false }, () => {
  let app: Server
  let authorizer: Authorizer
  let envoy: RunningEnvoy
  const asked: AuthorizerRequest[] = []
  let check: (request: AuthorizerRequest) => Answer | Promise<Answer> = byToken

  before(async () => {
    const upstream = await startApp((request, response) => {
      response.writeHead(200, ['x-up', '1', 'content-type', 'application/json'])
      response.end(JSON.stringify(request.rawHeaders), 'latin1')
    })
    app = upstream.server
    const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} } as const
    authorizer = createAuthorizer({
      logger: silent,
      check(request) {
        asked.push(request)
        return check(request)
      },
    })
    const { grpc } = await authorizer.listen({ grpc: '127.0.0.1:0' })
    assert(grpc)
    envoy = await startEnvoy('path' in found ? found.path : '', custom, [
      cluster('app', upstream.port),
      cluster('authz', grpc.port, true),
    ])
  })

  after(async () => {
    await envoy?.stop()
    await authorizer?.close()
    app?.closeAllConnections()
    app?.close()
  })

  async function get(path: string, lines: Line[] = [], method = 'GET', body = '') {
    asked.length = 0
    return send(envoy.port, path, [['host', 'httpbin:8000'], ...lines], method, body)
  }

  const valid = token({ path: Buffer.from('/headers').toString('base64'), nbf: 1_500_000_000, exp: 1_900_000_000 })
  const bearer = (jwt: string): Line[] => [['authorization', `Bearer ${jwt}`]]

  test('the four requests of a policy by token', async () => {
    const statuses = [
      (await get('/headers')).status,
      (await get('/get', bearer(valid))).status,
      (await get('/headers', bearer(valid))).status,
      (await get('/ip')).status,
    ]
    assert.deepEqual(statuses, [403, 403, 200, 200])
    assert.equal(asked.length, 0, 'the last one is not asked about')
  })

  test('an expired, an early and a forged token are refused', async () => {
    const path = Buffer.from('/headers').toString('base64')
    const tokens = [
      token({ path, nbf: 1_500_000_000, exp: 1_600_000_000 }),
      token({ path, nbf: 4_000_000_000, exp: 4_100_000_000 }),
      `${valid.slice(0, -2)}xx`,
      valid.split('.').slice(0, 2).join('.'),
    ]
    for (const jwt of tokens) assert.equal((await get('/headers', bearer(jwt))).status, 403)
  })

  test('the request is presented whole', async () => {
    await get(
      '/a/../b?x=%20y',
      [
        ['X-A', '1'],
        ['x-a', '2'],
        ['cookie', 'a=1'],
      ],
      'POST',
      '0123456789',
    )
    const [request] = asked
    assert(request)
    const { method, path, pathname, host, protocol, truncated, headers } = request
    assert.deepEqual(
      { method, path, pathname, host, protocol, truncated },
      {
        method: 'POST',
        path: '/b?x=%20y',
        pathname: '/b',
        host: 'httpbin:8000',
        protocol: 'HTTP/1.1',
        truncated: true,
      },
    )
    assert.deepEqual([headers['x-a'], headers.cookie, headers.host], ['1,2', 'a=1', undefined])
    assert.equal(request.body.text(), '01234567')
    assert.deepEqual([request.source.ip, request.destination.ip], ['127.0.0.1', '127.0.0.1'])
    assert.equal(request.destination.port, envoy.port)
    assert(Math.abs(request.time - Date.now()) < 60_000)
  })

  test('an allow changes request and response as it says', async () => {
    check = () =>
      allow({
        headers: { 'x-user': 'ann', 'x-utf8': 'wéb' },
        removeHeaders: ['x-secret'],
        responseHeaders: { 'x-up': 'ours', 'set-cookie': ['a=1', 'b=2'] },
      })
    const reply = await get('/', [
      ['x-user', 'forged'],
      ['x-user', 'twice'],
      ['x-secret', '1'],
    ])
    check = byToken
    assert.equal(reply.status, 200)
    const seen = JSON.parse(reply.body) as string[]
    assert.deepEqual(
      seen.filter((_, i) => seen[i - 1] === 'x-user'),
      ['ann'],
    )
    assert(seen.includes(Buffer.from('wéb').toString('latin1')))
    assert(!seen.includes('x-secret'))
    const response = reply.lines.filter(([name]) => name === 'x-up' || name === 'set-cookie')
    assert.deepEqual(response.sort(), [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['x-up', 'ours'],
    ])
  })

  test('a denial is sent as it is', async () => {
    check = () => deny({ status: 302, headers: { location: '/login', 'set-cookie': ['a=1', 'b=2'] }, body: 'go' })
    const reply = await get('/')
    check = byToken
    assert.deepEqual([reply.status, reply.body], [302, 'go'])
    const lines = reply.lines.filter(([name]) => name === 'location' || name === 'set-cookie')
    assert.deepEqual(lines, [
      ['location', '/login'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ])
  })

  test('a check that fails in any way refuses', async () => {
    const failures: (typeof check)[] = [
      () => {
        throw new Error('x')
      },
      () => new Promise(() => {}),
      (() => true) as never,
      () => allow({ headers: { 'x-a': 'b\r\nx-c: d' } }),
    ]
    const statuses: number[] = []
    for (const failing of failures) {
      check = failing
      statuses.push((await get('/')).status)
    }
    check = byToken
    assert.deepEqual(statuses, [403, 403, 403, 500])
  })

  test('requests go on while the authorizer drains, and are refused once it is gone', async () => {
    check = () => allow()
    assert.equal((await get('/')).status, 200)
    const closed = authorizer.close()
    await closed
    assert.equal((await get('/')).status, 403)
    assert.equal((await get('/ip')).status, 200)
  })
})
