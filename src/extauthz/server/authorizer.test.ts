import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect, constants, type Settings } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { describe, test } from 'node:test'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type grpc from '@grpc/grpc-js'
import type { Fields, Logger } from '../../observe/log.ts'
import type { CheckResponse } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { CheckRequestSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from '../../proto/gen/grpc/health/v1/health_pb.js'
import { frameMessage } from '../grpc-framing.ts'
import type { AuthorizerConnection, AuthorizerOptions, AuthorizerRequest } from '../index.ts'
import { allow, BadRequest, createAuthorizer, deny, error } from '../index.ts'
import { call, check, checkPath, get, running, silent, start } from './grpc-peers.test.fixture.ts'

/** What the client is told: the arm, its status and its headers. */
function told(response: CheckResponse) {
  const { status, httpResponse } = response
  if (httpResponse.case !== 'deniedResponse') return { code: status?.code, arm: httpResponse.case }
  return { code: status?.code, status: httpResponse.value.status?.code, body: httpResponse.value.body }
}

/** Something that happens once, and can be awaited. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

const status = (code: number) => (error: unknown) => (error as grpc.ServiceError).code === code

describe('authorizer over gRPC', () => {
  test('the check sees the request and its answer changes it', async () => {
    const seen: AuthorizerRequest[] = []
    const { client } = await start({
      check(request) {
        seen.push(request)
        return allow({
          headers: { 'x-team': 'wéb' },
          removeHeaders: ['authorization'],
          responseHeaders: { 'x-one': '1', 'set-cookie': ['a=1', 'b=2'] },
        })
      },
    })
    const socketAddress = { address: '10.1.2.3', portSpecifier: { case: 'portValue' as const, value: 4711 } }
    const response = await check(client, {
      attributes: {
        source: {
          address: { address: { case: 'socketAddress', value: socketAddress } },
          principal: 'spiffe://cluster.local/ns/a/sa/b',
        },
        contextExtensions: { tier: 'gold' },
        request: {
          time: { seconds: 1_700_000_000n, nanos: 5_000_000 },
          http: {
            method: 'POST',
            path: '/a/b?x=%20y&x=2',
            host: 'web.foo:8000',
            scheme: 'https',
            protocol: 'HTTP/2',
            headers: {
              ':path': '/a/b?x=%20y&x=2',
              'X-User': 'a',
              cookie: 'a=1,b=2',
              'x-envoy-auth-partial-body': 'true',
            },
            body: '{"n": 1}',
          },
        },
      },
    })
    const [request] = seen
    assert(request)
    const { method, path, pathname, host, scheme, protocol, time, truncated, source, destination } = request
    assert.deepEqual(
      { method, path, pathname, host, scheme, protocol, time, truncated, source, destination },
      {
        method: 'POST',
        path: '/a/b?x=%20y&x=2',
        pathname: '/a/b',
        host: 'web.foo:8000',
        scheme: 'https',
        protocol: 'HTTP/2',
        time: 1_700_000_000_005,
        truncated: true,
        source: { ip: '10.1.2.3', port: 4711, principal: 'spiffe://cluster.local/ns/a/sa/b' },
        destination: { ip: '', port: 0, principal: '' },
      },
    )
    assert.deepEqual(request.query.getAll('x'), [' y', '2'])
    assert.equal(request.headers['x-user'], 'a')
    assert.equal(request.headers[':path'], undefined)
    assert.equal(request.headers.constructor, undefined)
    assert.deepEqual(request.body.json(), { n: 1 })
    assert.equal(request.contextExtensions.tier, 'gold')
    assert.equal(response.status?.code, 0)
    assert.equal(response.httpResponse.case, 'okResponse')
    const { headers, headersToRemove, responseHeadersToAdd } = response.httpResponse.value
    const options = (list: typeof headers) => list.map(({ header, append }) => [header?.key, header?.value, append])
    assert.deepEqual(options(headers), [['x-team', 'wéb', false]])
    assert.deepEqual(headersToRemove, ['authorization'])
    assert.deepEqual(options(responseHeadersToAdd), [
      ['x-one', '1', false],
      ['set-cookie', 'a=1', true],
      ['set-cookie', 'b=2', true],
    ])
  })

  test('an answer can append, and change the query and the metadata', async () => {
    const { client } = await start({
      check: () =>
        allow({
          headers: { 'x-a': '1' },
          appendHeaders: { 'x-b': '2' },
          query: { tenant: 'a b' },
          removeQuery: ['debug'],
          metadata: { user: { id: 7, groups: ['a'] } },
        }),
    })
    const response = await check(client, get('/a?%64ebug=1&x=2'))
    assert.equal(response.httpResponse.case, 'okResponse')
    const { headers, queryParametersToSet, queryParametersToRemove } = response.httpResponse.value
    assert.deepEqual(
      headers.map(({ header, append }) => [header?.key, header?.value, append]),
      [
        ['x-a', '1', false],
        ['x-b', '2', true],
      ],
    )
    assert.deepEqual(
      queryParametersToSet.map(({ key, value }) => [key, value]),
      [['tenant', 'a%20b']],
    )
    assert.deepEqual(queryParametersToRemove, ['debug', '%64ebug'])
    assert.deepEqual(response.dynamicMetadata, { user: { id: 7, groups: ['a'] } })
  })

  test('either HTTP/2 gives the same answers, and each is the one that was asked for', async () => {
    const judge = ({ path }: AuthorizerRequest) =>
      path === '/a' ? allow({ headers: { 'x-team': 'wéb' } }) : deny({ status: 401, body: 'no' })
    const answers: unknown[] = []
    const settings: (number | undefined)[] = []
    for (const http2 of ['own', 'node'] as const) {
      const { client, port } = await start({ check: judge, http2 })
      answers.push([await check(client, get('/a')), told(await check(client, get('/b')))])
      const session = connect(`http://127.0.0.1:${port}`)
      running.push(() => session.destroy())
      settings.push(((await once(session, 'remoteSettings')) as [Settings])[0].initialWindowSize)
    }
    assert.deepEqual(answers[1], answers[0])
    assert.notEqual(settings[1], settings[0])
    assert.throws(() => createAuthorizer({ check: judge, http2: 'nod' as 'node' }), /own or node/)
  })

  test('without an answer the call fails, so that the proxy decides', async () => {
    const { client } = await start({ check: async () => error() })
    await assert.rejects(check(client, get('/')), status(14))
  })

  test('a request that cannot be read is refused with its status, and fills no log', async () => {
    const lines: string[] = []
    const log = (message: string) => lines.push(message)
    const logger: Logger = { ...silent, info: log, warn: log, error: log }
    const { client } = await start({
      check: (request) => {
        throw new BadRequest('no way to read it', request.path === '/large' ? 413 : 400)
      },
      logger,
    })
    const answers = [await check(client, get('/')), await check(client, get('/large'))].map(told)
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body]),
      [
        [400, ''],
        [413, ''],
      ],
    )
    assert.deepEqual(lines, [])
  })

  test('a denial carries status, headers and body', async () => {
    const { client } = await start({
      check: async () => deny({ status: 401, headers: { 'www-authenticate': 'Bearer' }, body: 'no' }),
    })
    const response = await check(client, get('/'))
    assert.deepEqual(told(response), { code: 16, status: 401, body: 'no' })
  })

  const refusals: [string, AuthorizerOptions['check'], number][] = [
    [
      'throws',
      () => {
        throw new Error('token abc')
      },
      403,
    ],
    ['rejects', async () => Promise.reject(new Error('token abc')), 403],
    [
      'throws something that is no error',
      () => {
        throw null
      },
      403,
    ],
    ['returns nothing', (() => undefined) as never, 403],
    ['returns true', (() => true) as never, 403],
    ['returns an object with kind allow only', (() => ({ kind: 'allow' })) as never, 403],
    [
      'returns an answer whose parts throw',
      (() => ({
        kind: 'allow',
        get headers() {
          throw new Error('x')
        },
      })) as never,
      403,
    ],
    ['allows with a list of headers', () => allow({ headers: [['a', 'b']] as never }), 403],
    ['allows with a Map of headers', () => allow({ headers: new Map([['a', 'b']]) as never }), 403],
    ['allows with a number as a header', () => allow({ headers: { a: 1 as never } }), 403],
    ['denies with status 99999', () => deny({ status: 99999 }), 403],
    ['allows with a line break in a value', () => allow({ headers: { a: 'b\r\nc: d' } }), 500],
    ['allows with NUL in a response header', () => allow({ responseHeaders: { a: ['b\0'] } }), 500],
    ['allows with a space in a name', () => allow({ headers: { 'a b': 'c' } }), 500],
    ['allows with a content-length', () => allow({ headers: { 'Content-Length': '1' } }), 500],
    ['removes a name with a line break', () => allow({ removeHeaders: ['a\r\nb'] }), 500],
    ['denies with a line break in a value', () => deny({ headers: { location: '/\nx: y' } }), 500],
  ]
  for (const [what, answer, expected] of refusals) {
    test(`a check that ${what} refuses with ${expected} and tells nothing`, async () => {
      const lines: [string, Fields | undefined][] = []
      const logger: Logger = { ...silent, error: (message, fields) => lines.push([message, fields]) }
      const { client } = await start({ check: answer, logger })
      const response = await check(client, get('/'))
      assert.notEqual(response.status?.code, 0)
      const { status, body } = told(response)
      assert.deepEqual({ status, body }, { status: expected, body: '' })
      assert.equal(lines.length, 1)
      assert(!JSON.stringify(lines).includes('abc'))
    })
  }

  test('a check that takes too long refuses', async () => {
    const { client } = await start({ check: () => new Promise(() => {}), timeout: 20 })
    assert.equal(told(await check(client, get('/'))).status, 403)
  })

  test("the caller's deadline ends the call and the signal tells the check", async () => {
    const aborted = gate()
    const { client } = await start({
      check: (request) => new Promise(() => request.signal.addEventListener('abort', () => aborted.open())),
      timeout: 60_000,
    })
    await assert.rejects(check(client, get('/'), { deadline: Date.now() + 50 }), status(4))
    await aborted.opened
  })

  test('a connection is asked about separately, and refused without checkConnection', async () => {
    const tcp = { attributes: { source: { principal: 'spiffe://a/ns/b/sa/c' }, tlsSession: { sni: 'db.foo' } } }
    const without = await start({ check: () => allow() })
    assert.equal(told(await check(without.client, tcp)).status, 403)
    const seen: AuthorizerConnection[] = []
    const checkConnection = (connection: AuthorizerConnection) => {
      seen.push(connection)
      return allow()
    }
    const { client } = await start({ check: () => deny(), checkConnection })
    assert.equal((await check(client, tcp)).status?.code, 0)
    assert.deepEqual([seen[0]?.source.principal, seen[0]?.sni], ['spiffe://a/ns/b/sa/c', 'db.foo'])
  })

  test('what asks nothing or is no message is never allowed', async () => {
    const { client } = await start({ check: () => allow() })
    await assert.rejects(call(client, checkPath, new Uint8Array(0)), status(3))
    await assert.rejects(call(client, checkPath, Buffer.from([0x0a, 0x05, 1])), status(13))
    await assert.rejects(call(client, checkPath, Buffer.from('garbage')), status(13))
    await assert.rejects(call(client, '/envoy.service.auth.v3.Authorization/Nothing', new Uint8Array(0)), status(12))
    await assert.rejects(check(client, get('/', { a: 'b'.repeat(5 * 1024 * 1024) })), status(8))
  })

  test('health answers for the services that are there, and not for others', async () => {
    const { client } = await start({})
    const ask = async (service: string) => {
      const bytes = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }))
      return fromBinary(HealthCheckResponseSchema, await call(client, '/grpc.health.v1.Health/Check', bytes)).status
    }
    assert.equal(await ask(''), 1)
    assert.equal(await ask('envoy.service.auth.v3.Authorization'), 1)
    await assert.rejects(ask('other'), status(5))
  })

  test('close lets the checks under way finish, and no new connection in', async () => {
    const entered = gate()
    const release = gate()
    const { client, authorizer, port } = await start({
      async check() {
        entered.open()
        await release.opened
        return allow()
      },
    })
    const answer = check(client, get('/'))
    await entered.opened
    const closed = authorizer.close()
    release.open()
    assert.equal((await answer).status?.code, 0)
    await closed
    await assert.rejects(
      new Promise((resolve, reject) => connectTcp(port, '127.0.0.1').once('connect', resolve).once('error', reject)),
      { code: 'ECONNREFUSED' },
    )
  })

  test('close does not wait for a hung check longer than the grace', async () => {
    const entered = gate()
    const { client, authorizer } = await start({
      check: () => {
        entered.open()
        return new Promise(() => {})
      },
      timeout: 60_000,
    })
    const answer = assert.rejects(check(client, get('/')))
    await entered.opened
    await authorizer.close({ grace: 20 })
    await answer
  })
})

describe('authorizer and frames', () => {
  /** Sends bytes as the body of a call; returns the HTTP status, the gRPC status and the body. */
  async function raw(port: number, body: Buffer, headers: Record<string, string> = {}, end = true) {
    const session = connect(`http://127.0.0.1:${port}`)
    try {
      const stream = session.request({
        ':method': 'POST',
        ':path': checkPath,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      })
      const seen: Record<string, unknown> = {}
      stream.on('response', (fields) => Object.assign(seen, fields))
      stream.on('trailers', (fields) => Object.assign(seen, fields))
      stream.resume()
      stream.write(body)
      if (end) stream.end()
      await new Promise<void>((resolve, reject) => stream.once('close', resolve).once('error', reject))
      return { http: seen[':status'], grpc: seen['grpc-status'] }
    } finally {
      session.destroy()
    }
  }
  const message = frameMessage(toBinary(CheckRequestSchema, create(CheckRequestSchema, get('/'))))
  const compressed = Buffer.concat([Buffer.from([1]), message.subarray(1)])
  const odd = Buffer.concat([Buffer.from([7]), message.subarray(1)])

  const cases: [string, Buffer, Record<string, string>, { http: number; grpc?: string }][] = [
    ['a whole message', message, {}, { http: 200, grpc: '0' }],
    ['half a message', message.subarray(0, message.length - 1), {}, { http: 200, grpc: '13' }],
    ['half a prefix', message.subarray(0, 3), {}, { http: 200, grpc: '13' }],
    ['two messages', Buffer.concat([message, message]), {}, { http: 200, grpc: '13' }],
    ['a compressed message', compressed, { 'grpc-encoding': 'gzip' }, { http: 200, grpc: '12' }],
    ['a compressed message that names no encoding', compressed, {}, { http: 200, grpc: '13' }],
    ['a flag that means nothing', odd, {}, { http: 200, grpc: '13' }],
    ['a malformed timeout', message, { 'grpc-timeout': '1 second' }, { http: 200, grpc: '13' }],
    ['another content type', message, { 'content-type': 'application/json' }, { http: 415 }],
    ['gRPC-Web', message, { 'content-type': 'application/grpc-web' }, { http: 415 }],
    ['GET', message, { ':method': 'PUT' }, { http: 405 }],
  ]
  for (const [what, body, headers, expected] of cases) {
    test(what, async () => {
      const { port } = await start({ check: () => allow() })
      const { http, grpc } = await raw(port, body, headers)
      assert.deepEqual(grpc === undefined ? { http } : { http, grpc }, expected)
    })
  }

  test('a message that never ends is given up at the deadline', async () => {
    const { port } = await start({ check: () => allow() })
    assert.deepEqual(await raw(port, message.subarray(0, 6), { 'grpc-timeout': '30m' }, false), {
      http: 200,
      grpc: '4',
    })
  })

  test('a drained client is told with two GOAWAYs, the first of which refuses nothing', async () => {
    const { port, authorizer } = await start({ check: () => allow() })
    const session = connect(`http://127.0.0.1:${port}`)
    await new Promise((resolve) => session.once('remoteSettings', resolve))
    const last: [number | undefined, number | undefined][] = []
    session.on('goaway', (code, id) => last.push([code, id]))
    const gone = new Promise((resolve) => session.once('close', resolve))
    await authorizer.close()
    await gone
    assert.deepEqual(last[0], [constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1])
  })
})

describe('authorizer addresses', () => {
  test('an address that is none, or taken, is refused', async () => {
    const authorizer = createAuthorizer({ check: () => deny() })
    await assert.rejects(authorizer.listen({ grpc: ':9191' }), /no address/)
    await assert.rejects(authorizer.listen({}), /neither/)
    const { port } = await start({})
    await assert.rejects(authorizer.listen({ http: '127.0.0.1:0', grpc: `127.0.0.1:${port}` }), { code: 'EADDRINUSE' })
  })
})
