import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http2'
import { createServer as createHttp2Server } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import grpc from '@grpc/grpc-js'
import { CheckRequestSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { allow, createAuthorizer, deny } from '../index.ts'
import {
  allowed,
  client,
  closeAll,
  closing,
  failed,
  freePort,
  http2,
  listen,
  never,
  reply,
  request,
  response,
  silent,
  yes,
} from './grpc-servers.test.fixture.ts'

afterEach(closeAll)

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
