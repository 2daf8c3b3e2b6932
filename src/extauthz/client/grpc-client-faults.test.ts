import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import type { ServerHttp2Stream } from 'node:http2'
import { constants, createServer as createHttp2Server } from 'node:http2'
import { connect } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import type { CheckClient, CheckOutcome } from '../check.ts'
import { frameMessage } from '../grpc-framing.ts'
import {
  allowed,
  client,
  closeAll,
  closing,
  failed,
  freePort,
  type Handler,
  http2,
  listen,
  never,
  reply,
  request,
  response,
  tcp,
  yes,
} from './grpc-servers.test.fixture.ts'

afterEach(closeAll)

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
      'a flag that means nothing',
      (stream) => reply(stream, Buffer.concat([Buffer.from([2]), yes.subarray(1)])),
      'unavailable',
      /malformed/,
    ],
    [
      'a length beyond what follows',
      (stream) => reply(stream, Buffer.concat([Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), yes.subarray(5)])),
      'unavailable',
      /not one message/,
    ],
    [
      'text that is no UTF-8',
      // status { code: 7 }, denied_response { body: "\xff" }
      (stream) => reply(stream, frameMessage(Buffer.from('0a0208071203' + '1a01ff', 'hex'))),
      'unavailable',
      /no CheckResponse/,
    ],
    [
      'a reset after its headers',
      (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
        setTimeout(() => stream.close(constants.NGHTTP2_REFUSED_STREAM), 20)
      },
      'unavailable',
      /cut short/,
    ],
    [
      'an RPC status that is said twice',
      (stream) => reply(stream, yes, { 'grpc-status': ['0', '0'] as never }),
      'unavailable',
      /RPC status malformed/,
    ],
    [
      'informational headers without end',
      (stream) => {
        for (let i = 0; i < 500; i++) stream.additionalHeaders({ ':status': 103 })
        stream.close(constants.NGHTTP2_INTERNAL_ERROR)
      },
      'unavailable',
      /./,
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

  test('fields that nobody knows are passed over, and informational headers before an answer too', async () => {
    const { port } = await http2((stream) => {
      stream.additionalHeaders({ ':status': 103 })
      // Field 1000, a string, beside status { code: 0 }.
      reply(stream, frameMessage(Buffer.from('0a00' + 'c23e0161', 'hex')))
    })
    assert.deepEqual(await client([port]).check(request(), never), allowed)
  })

  test("an answer after the deadline is nobody's, and the connection goes on", async () => {
    let calls = 0
    const { port, sessions } = await http2((stream) => {
      if (calls++ > 0) reply(stream, yes)
      else setTimeout(() => stream.destroyed || reply(stream, yes), 120)
    })
    const asked = client([port], 80)
    failed(await asked.check(request(), never), 'timeout')
    assert.deepEqual(await asked.check(request(), never), allowed)
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.deepEqual(await asked.check(request(), never), allowed)
    assert.equal(sessions.length, 1)
  })

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

  for (const [how, code] of [
    ['', '00000000'],
    [' that ends the connection at once (ENHANCE_YOUR_CALM)', '0000000b'],
  ])
    test(`a call that a GOAWAY${how} left out is made again on a new connection`, async () => {
      const { port: behind, sessions } = await http2((stream) => reply(stream, yes))
      let connections = 0
      const port = await tcp((socket) => {
        if (connections++ === 0) {
          // An empty SETTINGS, and once the call is there GOAWAY with last stream 0.
          socket.write(Buffer.from('000000040000000000', 'hex'))
          socket.on('data', (bytes) => {
            if (bytes.includes(':path') || bytes.includes(Buffer.from('000001', 'hex'))) {
              socket.write(Buffer.from(`00000807000000000000000000${code}`, 'hex'))
            }
          })
          return
        }
        const onward = connect({ port: behind, host: '127.0.0.1', noDelay: true }).on('error', () => {})
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
      const onward = connect({ port: behind, host: '127.0.0.1', noDelay: true }).on('error', () => {})
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
