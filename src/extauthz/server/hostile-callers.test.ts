import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { after, test } from 'node:test'
import grpc from '@grpc/grpc-js'
import { frameMessage } from '../grpc-framing.ts'
import { allow, createAuthorizer } from '../index.ts'
import { type Accepting, acceptSockets } from './accept-sockets.ts'
import { check, checkPath, encodeCheck, get, silent } from './grpc-peers.test.fixture.ts'
import { defaultLimits, type GrpcHandler, type GrpcRefusal, type GrpcTransportLimits } from './grpc-transport.ts'
import { createHttpAuthorizerServer, defaultHttpLimits } from './http-server.ts'
import { createNodeTransport } from './node-transport.ts'
import { plainAllow } from './verdict.ts'

const running: (() => unknown)[] = []
after(async () => {
  for (const end of running.reverse()) await end()
})

const headers = { ':method': 'POST', ':path': checkPath, 'content-type': 'application/grpc', te: 'trailers' }
const message = frameMessage(encodeCheck(get('/')))
const local = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const

async function authorizer(): Promise<{ port: number; client: grpc.Client; metrics: () => string }> {
  const server = createAuthorizer({ check: () => allow(), logger: silent })
  const { grpc: address } = await server.listen({ grpc: '127.0.0.1:0' })
  assert(address)
  const client = new grpc.Client(`127.0.0.1:${address.port}`, grpc.credentials.createInsecure())
  running.push(
    () => server.close({ grace: 0 }),
    () => client.close(),
  )
  return { port: address.port, client, metrics: () => server.metrics() }
}

/** A transport with other limits, and what it refused. */
async function transport(limits: Partial<GrpcTransportLimits>, handler: Partial<GrpcHandler> = {}) {
  const refused: GrpcRefusal[] = []
  const served = createNodeTransport(
    { has: () => true, handle: ({ message }) => ({ kind: 'message', message }), ...handler },
    { ...defaultLimits, ...limits },
    { refused: (why) => refused.push(why) },
  )
  const accepting: Accepting = await acceptSockets(local, { name: 'test', mode: null }, (socket) =>
    served.accept(socket),
  )
  running.push(
    () => served.close(0),
    () => accepting.close(),
  )
  return { port: accepting.address.port, refused, served }
}

function session(port: number): ClientHttp2Session {
  const opened = connectHttp2(`http://127.0.0.1:${port}`)
  opened.on('error', () => {})
  running.push(() => opened.destroy())
  return opened
}

/** The gRPC status of one call. */
async function call(on: ClientHttp2Session, body: Buffer | null, more: Record<string, string> = {}): Promise<unknown> {
  const stream = on.request({ ...headers, ...more })
  stream.on('error', () => {})
  const seen: Record<string, unknown> = {}
  stream.on('response', (fields) => Object.assign(seen, fields))
  stream.on('trailers', (fields) => Object.assign(seen, fields))
  stream.resume()
  if (body !== null) stream.end(body)
  await once(stream, 'close')
  return seen['grpc-status']
}

test('a thousand streams that are reset cost others nothing', async () => {
  const { port, client, metrics } = await authorizer()
  const hostile = session(port)
  await once(hostile, 'remoteSettings')
  for (let i = 0; i < 1000 && !hostile.destroyed; i++) {
    const stream = hostile.request(headers)
    stream.on('error', () => {})
    if (i % 2 === 0) stream.write(message.subarray(0, 7))
    stream.close(constants.NGHTTP2_CANCEL)
    if (i % 50 === 49) await new Promise(setImmediate)
  }
  assert.equal((await check(client, get('/'))).status?.code, 0)
  hostile.destroy()
  while (!/connections\{.*listener="grpc"\} 1$/m.test(metrics())) await new Promise(setImmediate)
  assert.equal((await check(client, get('/'))).status?.code, 0)
  assert.match(metrics(), /checks_in_flight\{.*\} 0$/m)
})

test('what is no HTTP/2 ends its connection, and no other', async () => {
  const { port, client } = await authorizer()
  for (const bytes of [
    'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\0\0\0\0\0\0',
    Buffer.alloc(1024, 0xff),
  ]) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write(bytes)
    await once(socket, 'close')
    assert.equal((await check(client, get('/'))).status?.code, 0)
  }
})

test('a message that does not come in time is refused, and so is one that is too long', async () => {
  const { port, refused } = await transport({ readTimeout: 100, maxMessageBytes: 1000 })
  const peer = session(port)
  const stream = peer.request(headers)
  stream.on('error', () => {})
  stream.write(message.subarray(0, 6))
  const [fields] = await once(stream, 'response')
  assert.equal(fields['grpc-status'], '4')
  assert.equal(await call(peer, frameMessage(Buffer.alloc(1001))), '8')
  assert.equal(await call(peer, Buffer.from([0, 0xff, 0xff, 0xff, 0xff])), '8')
  assert.equal(await call(peer, frameMessage(Buffer.alloc(1000))), '0')
  assert.deepEqual(refused, ['deadline', 'size', 'size'])
})

test('calls and bytes beyond the limits are refused, and what has ended makes room', async () => {
  const release: (() => void)[] = []
  const { port, refused } = await transport(
    { maxCalls: 2, maxBufferedBytes: 5000 },
    {
      handle: ({ message }) => new Promise((resolve) => release.push(() => resolve({ kind: 'message', message }))),
    },
  )
  const peer = session(port)
  const first = call(peer, message)
  const second = call(peer, message)
  while (release.length < 2) await new Promise(setImmediate)
  assert.equal(await call(peer, message), '8')
  for (const one of release) one()
  assert.deepEqual(await Promise.all([first, second]), ['0', '0'])
  assert.equal(await call(peer, frameMessage(Buffer.alloc(6000))), '8')
  const third = call(peer, message)
  while (release.length < 3) await new Promise(setImmediate)
  release[2]?.()
  assert.equal(await third, '0')
  assert.deepEqual(refused, ['calls', 'buffered'])
})

test('a handler whose caller has gone is told, and makes no signal that nobody asks for', async () => {
  const signals: AbortSignal[] = []
  const { port } = await transport(
    {},
    {
      handle: (asked) => {
        const descriptor = Object.getOwnPropertyDescriptor(asked, 'signal')
        assert.equal(descriptor, undefined, 'it is a getter of the class')
        signals.push(asked.signal)
        assert.equal(asked.signal, signals[0])
        return new Promise(() => {})
      },
    },
  )
  const peer = session(port)
  const stream = peer.request(headers)
  stream.on('error', () => {})
  stream.end(message)
  while (signals.length === 0) await new Promise(setImmediate)
  assert.equal(signals[0]?.aborted, false)
  const aborted = once(signals[0] as AbortSignal, 'abort')
  stream.close(constants.NGHTTP2_CANCEL)
  await aborted
})

test('a streaming caller that does not read is not read from either, and its end is noticed', async () => {
  const big = Buffer.alloc(64 * 1024)
  let questions = 0
  let over = () => {}
  const closed = new Promise<void>((resolve) => {
    over = resolve
  })
  const { port } = await transport(
    { maxMessageBytes: 256 * 1024 },
    {
      has: () => false,
      streaming: () => (stream) => ({
        message: () => {
          questions++
          stream.send(big)
        },
        halfClosed: () => stream.end(0),
        closed: () => over(),
      }),
    },
  )
  const peer = connectHttp2(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } })
  peer.on('error', () => {})
  running.push(() => peer.destroy())
  const stream = peer.request(headers)
  stream.on('error', () => {})
  const responded = once(stream, 'response')
  // Each question asks for 64 KiB that cannot be sent.
  for (let i = 0; i < 1000; i++) stream.write(frameMessage(Buffer.alloc(1)))
  await responded
  await call(peer, message, { ':path': '/nothing', 'content-type': 'text/plain' })
  assert(questions < 10, String(questions))
  peer.destroy()
  await closed
})

test('a connection is told to go at its age, and its calls are served', async () => {
  const { port } = await transport({ maxConnectionAge: 50 })
  const peer = session(port)
  const goaways: (number | undefined)[] = []
  peer.on('goaway', (_code, last) => goaways.push(last))
  const gone = once(peer, 'close')
  const stream = peer.request(headers)
  const status = new Promise((resolve) => stream.once('trailers', (fields) => resolve(fields['grpc-status'])))
  stream.resume()
  stream.write(message.subarray(0, 5))
  while (goaways.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  stream.end(message.subarray(5))
  assert.equal(await status, '0')
  await gone
  assert.equal(goaways[0], 2 ** 31 - 1)
})

test('a call that was on its way when its connection was told to go is served', async () => {
  const { port } = await transport({ maxConnectionAge: 20 })
  const socket = connect(port, '127.0.0.1')
  running.push(() => socket.destroy())
  const literal = (text: string) => [text.length, ...Buffer.from(text)]
  // POST and http of the static table, then authority, path and content type as literals.
  const block = [
    0x83,
    0x86,
    0x01,
    ...literal('a'),
    0x04,
    ...literal('/a/b'),
    0x0f,
    0x10,
    ...literal('application/grpc'),
  ]
  const frame = (type: number, flags: number, stream: number, payload: readonly number[]) =>
    Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream, ...payload])
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  socket.write(frame(4, 0, 0, []))
  let seen = Buffer.alloc(0)
  let wake = () => {}
  socket.on('data', (chunk: Buffer) => {
    seen = Buffer.concat([seen, chunk])
    wake()
  })
  /** Resolves with the payload of the next frame of a type. */
  const next = async (type: number, stream: number): Promise<Buffer> => {
    for (;;) {
      while (seen.length >= 9 && seen.length >= 9 + seen.readUIntBE(0, 3)) {
        const end = 9 + seen.readUIntBE(0, 3)
        const [found, of, payload] = [seen[3], seen.readUInt32BE(5), seen.subarray(9, end)]
        seen = seen.subarray(end)
        if (found === type && of === stream) return payload
      }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  assert.equal((await next(7, 0)).readUInt32BE(0), 2 ** 31 - 1)
  // As a caller would that has not read so far: neither is its answer to the PING.
  socket.write(frame(1, 4, 1, block))
  socket.write(frame(0, 1, 1, [0, 0, 0, 0, 1, 0x2a]))
  assert.deepEqual([...(await next(0, 1))], [0, 0, 0, 0, 1, 0x2a])
})

test('calls that outlive the age of their connection by more than the grace are cut off', async () => {
  const { port } = await transport(
    { maxConnectionAge: 30, maxConnectionAgeGrace: 30 },
    { handle: () => new Promise(() => {}) },
  )
  const peer = session(port)
  const gone = once(peer, 'close')
  assert.equal(await call(peer, message), undefined)
  await gone
})

test('a peer that answers no PING is cut off, and one that does stays', async () => {
  const { port } = await transport({ keepaliveTime: 40, keepaliveTimeout: 200 })
  const peer = session(port)
  await once(peer, 'remoteSettings')
  const dead = connect(port, '127.0.0.1')
  dead.on('error', () => {})
  dead.resume()
  dead.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]))
  await once(dead, 'close')
  assert.equal(await call(peer, message), '0')
  assert.equal(peer.destroyed, false)
})

test('a caller that ends its side ends the connection', async () => {
  const { port, metrics } = await authorizer()
  const peer = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  peer.resume()
  peer.end(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]))
  await once(peer, 'close')
  while (!/connections\{.*listener="grpc"\} 0$/m.test(metrics())) await new Promise(setImmediate)
})

test('a connection that says nothing is ended when it has been idle', async () => {
  const { port } = await transport({ idleTimeout: 50, keepaliveTimeout: 50 })
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'close')
})

test('an HTTP head or body that comes too slowly ends its connection', async () => {
  const server = createHttpAuthorizerServer(() => plainAllow, { ...defaultHttpLimits, readTimeout: 500 })
  const accepting = await acceptSockets(local, { name: 'test', mode: null }, (socket) => void server.accept(socket))
  running.push(
    () => server.close(0),
    () => accepting.close(),
  )
  const slow = (text: string): Socket => {
    const socket = connect(accepting.address.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.setEncoding('latin1')
    socket.write(text)
    return socket
  }
  const head = slow('GET / HTTP/1.1\r\nhost: a\r\nx-')
  const body = slow('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n123')
  const texts = await Promise.all(
    [head, body].map(async (socket) => {
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      await once(socket, 'close')
      return text.split('\r\n')[0]
    }),
  )
  assert.deepEqual(texts, ['HTTP/1.1 408 Request Timeout', 'HTTP/1.1 408 Request Timeout'])
})
