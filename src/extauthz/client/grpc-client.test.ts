import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { constants, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { connect, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, test } from 'node:test'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import grpc from '@grpc/grpc-js'
import { HeaderMap } from '../../match/header-map.ts'
import type { GrpcProvider } from '../../mesh/provider.ts'
import type { Logger } from '../../observe/log.ts'
import { CheckRequestSchema, CheckResponseSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import type { CheckClient, CheckOutcome, CheckRequest } from '../check.ts'
import { frameMessage } from '../grpc-framing.ts'
import { allow, createAuthorizer, deny } from '../index.ts'
import type { Endpoint } from './endpoints.ts'
import type { ClientOptions } from './failure.ts'
import { createGrpcClient } from './grpc-client.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()))
})

const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
const never = new AbortController().signal

const provider: GrpcProvider = {
  kind: 'grpc',
  name: 'opa.local',
  service: 'default/opa.default.svc.cluster.local',
  port: 9191,
  timeout: 2000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: null,
}

function request(path = '/', lines: [string, string][] = []): CheckRequest {
  const peer = { ip: '10.0.0.1', port: 1, principal: '' }
  const headers = HeaderMap.from(lines)
  const line = { id: '1', method: 'GET', host: 'web', scheme: 'http', protocol: 'HTTP/1.1', body: null }
  return { source: peer, destination: peer, time: 0, http: { ...line, path, headers } }
}

function client(
  endpoints: readonly (number | Endpoint)[],
  timeout = provider.timeout,
  options: ClientOptions = {},
): CheckClient {
  const list = endpoints.map((at) => (typeof at === 'number' ? { address: '127.0.0.1', port: at } : at))
  const made = createGrpcClient({ ...provider, timeout }, () => list, options)
  closing.push(() => made.close())
  return made
}

async function listen(server: Server, at: object = { port: 0, host: '127.0.0.1' }): Promise<number> {
  await new Promise<void>((resolve) => server.listen(at, resolve))
  const address = server.address()
  return typeof address === 'string' ? 0 : (address as AddressInfo).port
}

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, session: ServerHttp2Session) => void

/** A server of raw streams; counts connections. */
async function http2(handler: Handler): Promise<{ port: number; sessions: ServerHttp2Session[] }> {
  const sessions: ServerHttp2Session[] = []
  const server = createHttp2Server()
  server.on('session', (session) => sessions.push(session.on('error', () => {})))
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    handler(stream, headers, stream.session as ServerHttp2Session)
  })
  closing.push(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return { port: await listen(server), sessions }
}

/** A server of raw bytes. */
async function tcp(onConnection: (socket: import('node:net').Socket) => void): Promise<number> {
  const sockets = new Set<import('node:net').Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    onConnection(socket)
  })
  closing.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return listen(server)
}

async function freePort(): Promise<number> {
  const server = createTcpServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

function reply(
  stream: ServerHttp2Stream,
  body: Buffer,
  trailers: Record<string, string> = { 'grpc-status': '0' },
): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers(trailers))
  stream.end(body)
}

const response = (value: MessageInitShape<typeof CheckResponseSchema>) =>
  frameMessage(toBinary(CheckResponseSchema, create(CheckResponseSchema, value)))
const yes = response({ status: { code: 0 } })
const allowed: CheckOutcome = { kind: 'allow', changes: [], responseChanges: [] }

function failed(outcome: CheckOutcome, reason: string, message?: RegExp): void {
  assert.equal(outcome.kind, 'error')
  assert.equal(outcome.reason, reason)
  if (message !== undefined) assert.match(outcome.message, message)
}

describe('gRPC client and an answer', () => {
  test('our own authorizer allows with changes, and denies', async () => {
    const authorizer = createAuthorizer({
      logger: silent,
      check: (request) =>
        request.path === '/no'
          ? deny({ status: 401, headers: { 'set-cookie': ['a=1', 'b=2'] }, body: 'no' })
          : allow({ headers: { 'x-user': request.headers['x-token'] ?? '' }, removeHeaders: ['x-token'] }),
    })
    closing.push(() => authorizer.close())
    const { grpc } = await authorizer.listen({ grpc: '127.0.0.1:0' })
    const asked = client([grpc?.port ?? 0])
    assert.deepEqual(await asked.check(request('/', [['x-token', 'ann']]), never), {
      kind: 'allow',
      changes: [
        { kind: 'set', name: 'x-user', value: 'ann' },
        { kind: 'remove', name: 'x-token' },
      ],
      responseChanges: [],
    })
    assert.deepEqual(await asked.check(request('/no'), never), {
      kind: 'deny',
      status: 401,
      headers: [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ],
      body: Buffer.from('no'),
    })
    assert.equal((await asked.check({ ...request(), http: null }, never)).kind, 'deny')
  })

  test('a server that is not ours decides by the path', async () => {
    const server = new grpc.Server()
    const unary = {
      requestStream: false,
      responseStream: false,
      requestSerialize: Buffer.from,
      responseDeserialize: Buffer.from,
    }
    const same = (bytes: Buffer) => bytes
    const definition = {
      path: '/envoy.service.auth.v3.Authorization/Check',
      requestDeserialize: same,
      responseSerialize: same,
    }
    server.addService({ check: { ...unary, ...definition } } as never, {
      check: ((call: { request: Buffer }, done: (error: unknown, bytes?: Buffer) => void) => {
        const { attributes } = fromBinary(CheckRequestSchema, call.request)
        const path = attributes?.request?.http?.path
        if (path === '/rpc') done({ code: 7, details: 'no' })
        else done(null, Buffer.from(response({ status: { code: path === '/' ? 0 : 7 } }).subarray(5)))
      }) as never,
    })
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    )
    closing.push(() => server.forceShutdown())
    const asked = client([port])
    assert.deepEqual(await asked.check(request('/'), never), allowed)
    assert.equal((await asked.check(request('/no'), never)).kind, 'deny')
    failed(await asked.check(request('/rpc'), never), 'unavailable', /RPC status 7/)
  })

  test('the call says what Envoy says', async () => {
    let seen: IncomingHttpHeaders = {}
    const { port } = await http2((stream, headers) => {
      seen = headers
      reply(stream, yes)
    })
    assert.deepEqual(await client([port], 1500).check(request(), never), allowed)
    const { ':authority': authority, te, 'content-type': type, 'grpc-timeout': timeout } = seen
    assert.deepEqual([authority, te, type], ['opa.default.svc.cluster.local', 'trailers', 'application/grpc'])
    assert.match(String(timeout), /^1[45][0-9]{2}m$/)
    assert.match(String(seen['x-envoy-expected-rq-timeout-ms']), /^1[45][0-9]{2}$/)
    assert.equal(seen['x-envoy-internal'], 'true')
    assert.equal(seen['x-forwarded-for'], '127.0.0.1')
  })

  test('checks share one connection', async () => {
    const { port, sessions } = await http2((stream) => reply(stream, yes))
    const asked = client([port])
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => asked.check(request(), never)))
    assert(outcomes.every(({ kind }) => kind === 'allow'))
    assert.equal(sessions.length, 1)
  })

  test('endpoints are asked in turn, and one that is down is passed over', async () => {
    const first = await http2((stream) => reply(stream, yes))
    const second = await http2((stream) => reply(stream, yes))
    const asked = client([await freePort(), first.port, second.port])
    let calls = 0
    while (calls++ < 200 && first.sessions.length * second.sessions.length === 0) {
      assert.deepEqual(await asked.check(request(), never), allowed)
    }
    assert(first.sessions.length > 0 && second.sessions.length > 0)
    assert.deepEqual([first.sessions.length, second.sessions.length], [1, 1])
  })

  test('a Unix socket and a name are endpoints too', async () => {
    const path = join(tmpdir(), `check-${process.pid}-${Date.now()}.sock`)
    const server = createHttp2Server()
    server.on('stream', (stream) => reply(stream, yes))
    await listen(server, { path })
    const asked = client([{ address: `unix:${path}`, port: 0 }])
    assert.deepEqual(await asked.check(request(), never), allowed)
    await asked.close()
    await new Promise((resolve) => server.close(resolve))

    const { port } = await http2((stream) => reply(stream, yes))
    let lookups = 0
    const lookup = async () => {
      lookups++
      return ['127.0.0.1']
    }
    const named = client([{ address: 'opa.example', port }], 2000, { lookup })
    await Promise.all([named.check(request(), never), named.check(request(), never)])
    assert.deepEqual(await named.check(request(), never), allowed)
    assert.equal(lookups, 1)
    const unknown = client([{ address: 'opa.example', port }], 2000, {
      lookup: () => Promise.reject(new Error('ENOTFOUND')),
    })
    failed(await unknown.check(request(), never), 'unavailable', /no endpoint/)
  })
})

describe('gRPC client and a provider that fails', () => {
  test('nobody to ask', async () => {
    failed(await client([]).check(request(), never), 'unavailable', /no endpoint/)
  })

  test('refused, and asked again as soon as it is there', async () => {
    const port = await freePort()
    const asked = client([port])
    failed(await asked.check(request(), never), 'unavailable', /ECONNREFUSED/)
    failed(await asked.check(request(), never), 'unavailable', /ECONNREFUSED/)
    const server = createHttp2Server()
    server.on('stream', (stream) => reply(stream, yes))
    await listen(server, { port, host: '127.0.0.1' })
    closing.push(() => server.close())
    assert.deepEqual(await asked.check(request(), never), allowed)
    await asked.close()
  })

  test('a server that hangs is given up at the timeout, and told so', async () => {
    let cancelled: Promise<unknown> = Promise.resolve()
    const { port } = await http2((stream) => {
      cancelled = once(stream, 'close')
    })
    const started = performance.now()
    failed(await client([port], 100).check(request(), never), 'timeout')
    const took = performance.now() - started
    assert(took >= 95 && took < 600, `took ${took} ms`)
    await cancelled
  })

  test('a port that accepts and says nothing is given up at the timeout', async () => {
    const port = await tcp(() => {})
    failed(await client([port], 60).check(request(), never), 'timeout')
  })

  test('a lookup that never ends is given up at the timeout', async () => {
    const asked = client([{ address: 'opa.example', port: 1 }], 60, { lookup: () => new Promise(() => {}) })
    failed(await asked.check(request(), never), 'timeout')
  })

  test('a caller that has gone cancels the call', async () => {
    const abort = new AbortController()
    let cancelled: Promise<unknown> = Promise.resolve()
    const { port } = await http2((stream) => {
      cancelled = once(stream, 'aborted')
      abort.abort()
    })
    const asked = client([port])
    failed(await asked.check(request(), abort.signal), 'cancelled')
    await cancelled
    failed(await asked.check(request(), abort.signal), 'cancelled')
  })

  const faults: [string, Handler, string, RegExp][] = [
    ['RST_STREAM', (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR), 'unavailable', /code 2/],
    ['a connection that breaks', (_stream, _headers, session) => session.destroy(), 'unavailable', /./],
    [
      'an RPC status',
      (stream) => reply(stream, Buffer.alloc(0), { 'grpc-status': '16' }),
      'unavailable',
      /RPC status 16/,
    ],
    [
      'an RPC status after a message that allows',
      (stream) => reply(stream, yes, { 'grpc-status': '7' }),
      'unavailable',
      /RPC status 7/,
    ],
    ['its deadline', (stream) => reply(stream, Buffer.alloc(0), { 'grpc-status': '4' }), 'timeout', /./],
    ['no status at all', (stream) => reply(stream, yes, {}), 'unavailable', /cut short/],
    ['no message', (stream) => reply(stream, Buffer.alloc(0)), 'unavailable', /not one message/],
    ['half a message', (stream) => reply(stream, yes.subarray(0, yes.length - 1)), 'unavailable', /not one message/],
    ['two messages', (stream) => reply(stream, Buffer.concat([yes, yes])), 'unavailable', /not one message/],
    [
      'a compressed message',
      (stream) => reply(stream, Buffer.concat([Buffer.from([1]), yes.subarray(1)])),
      'unavailable',
      /compressed/,
    ],
    [
      'garbage in a frame',
      (stream) => reply(stream, frameMessage(Buffer.from('garbage!'))),
      'unavailable',
      /no CheckResponse/,
    ],
    [
      'a message that is too large',
      (stream) => reply(stream, frameMessage(Buffer.alloc(5 * 1024 * 1024))),
      'unavailable',
      /too large/,
    ],
    ['HTTP 503', (stream) => stream.respond({ ':status': 503 }, { endStream: true }), 'unavailable', /503/],
    [
      'a web page',
      (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'text/html' })
        stream.end('hello')
      },
      'unavailable',
      /not gRPC/,
    ],
    [
      'status 0 among the headers, and a message',
      (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' })
        stream.end(yes)
      },
      'unavailable',
      /cut short/,
    ],
    [
      'a line break in a header',
      (stream) => {
        const value = { headers: [{ header: { key: 'a', value: '\r\n' } }] }
        reply(stream, response({ httpResponse: { case: 'okResponse', value } }))
      },
      'invalid',
      /control character/,
    ],
  ]
  for (const [what, handler, reason, message] of faults) {
    test(`${what} is a failure, and the next check is served`, async () => {
      let calls = 0
      const { port } = await http2((stream, headers, session) => {
        if (calls++ === 0) handler(stream, headers, session)
        else reply(stream, yes)
      })
      const asked = client([port])
      failed(await asked.check(request(), never), reason, message)
      assert.deepEqual(await asked.check(request(), never), allowed)
      assert.equal(calls, 2)
    })
  }

  test('garbage instead of HTTP/2 is a failure', async () => {
    const port = await tcp((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))
    failed(await client([port]).check(request(), never), 'unavailable')
  })

  test('a call that the server did not process is made again, once', async () => {
    let calls = 0
    const { port } = await http2((stream) => {
      if (calls++ === 0) stream.close(constants.NGHTTP2_REFUSED_STREAM)
      else reply(stream, yes)
    })
    assert.deepEqual(await client([port]).check(request(), never), allowed)
    assert.equal(calls, 2)
    const refusing = await http2((stream) => {
      calls++
      stream.close(constants.NGHTTP2_REFUSED_STREAM)
    })
    failed(await client([refusing.port]).check(request(), never), 'unavailable', /twice/)
    assert.equal(calls, 4)
  })

  test('a call that a GOAWAY left out is made again on a new connection', async () => {
    const { port: behind, sessions } = await http2((stream) => reply(stream, yes))
    let connections = 0
    const port = await tcp((socket) => {
      if (connections++ === 0) {
        // An empty SETTINGS, and once the call is there GOAWAY with last stream 0 and no error.
        socket.write(Buffer.from('000000040000000000', 'hex'))
        socket.on('data', (bytes) => {
          if (bytes.includes(':path') || bytes.includes(Buffer.from('000001', 'hex'))) {
            socket.write(Buffer.from('0000080700000000000000000000000000', 'hex'))
          }
        })
        return
      }
      const onward = connect(behind, '127.0.0.1').on('error', () => {})
      socket.pipe(onward).pipe(socket)
      closing.push(() => onward.destroy())
    })
    assert.deepEqual(await client([port]).check(request(), never), allowed)
    assert.deepEqual([connections, sessions.length], [2, 1])
  })

  test('a call that a GOAWAY includes is answered, and the next one goes elsewhere', async () => {
    const { port, sessions } = await http2((stream, _headers, session) => {
      if (sessions.length === 1) session.goaway(constants.NGHTTP2_NO_ERROR, 1)
      setImmediate(() => reply(stream, yes))
    })
    const asked = client([port])
    assert.deepEqual(await asked.check(request(), never), allowed)
    assert.deepEqual(await asked.check(request(), never), allowed)
    assert.equal(sessions.length, 2)
  })

  test('a connection that died silently is found out by the check after which nothing came', async () => {
    // Forwards until told to swallow everything, as a host that lost its power does.
    const { port: behind } = await http2((stream) => reply(stream, yes))
    let swallow = false
    let connections = 0
    const port = await tcp((socket) => {
      connections++
      const onward = connect(behind, '127.0.0.1').on('error', () => {})
      socket.on('data', (bytes) => swallow || onward.write(bytes))
      onward.on('data', (bytes) => swallow || socket.write(bytes))
      closing.push(() => onward.destroy())
    })
    const asked = client([port], 50)
    assert.deepEqual(await asked.check(request(), never), allowed)
    swallow = true
    failed(await asked.check(request(), never), 'timeout')
    let outcome = await asked.check(request(), never)
    for (let i = 0; i < 40 && connections === 1; i++) outcome = await asked.check(request(), never)
    assert.equal(outcome.kind, 'error')
    assert.equal(connections, 2)
    swallow = false
    asked.close()
  })

  test('more checks than the bound fail at once', async () => {
    const streams: ServerHttp2Stream[] = []
    const ready = new Promise<void>((resolve) => {
      void http2((stream) => {
        streams.push(stream)
        if (streams.length === 2) resolve()
      }).then(({ port }) => {
        asked = client([port], 2000, { maxChecks: 2 })
        under = [asked.check(request(), never), asked.check(request(), never)]
      })
    })
    let asked: CheckClient | undefined
    let under: Promise<CheckOutcome>[] = []
    await ready
    assert(asked)
    failed(await asked.check(request(), never), 'unavailable', /too many/)
    for (const stream of streams) reply(stream, yes)
    assert((await Promise.all(under)).every(({ kind }) => kind === 'allow'))
    await asked.close()
    failed(await asked.check(request(), never), 'unavailable', /closed/)
  })
})

after(() => {
  assert.deepEqual(closing, [])
})
