import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2, constants, createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { type ConnectionEvents, Http2Connection } from './connection.ts'
import { ErrorCode, FrameType, PREFACE, writeFrameHeader } from './frames.ts'
import type { ConnectionLimits } from './limits.ts'
import type { Http2Stream, StreamEvents } from './stream.ts'

const endings: (() => unknown)[] = []
after(async () => {
  for (const end of endings.reverse()) await end()
})

interface Message {
  readonly fields: readonly string[]
  readonly body: Buffer
  readonly trailers: readonly string[]
}

/** A server of ours that hands whole requests to `answer`. */
async function serve(
  answer: (message: Message, stream: Http2Stream) => void,
  limits: Partial<ConnectionLimits> = {},
): Promise<{ readonly port: number; readonly connections: Http2Connection[]; readonly closed: string[] }> {
  const connections: Http2Connection[] = []
  const closed: string[] = []
  const server = createServer((socket) => {
    const connection = attach(socket, 'server', limits, {
      request(stream, fields, ended) {
        const parts: Buffer[] = []
        const done = (trailers: readonly string[]) => answer({ fields, body: Buffer.concat(parts), trailers }, stream)
        stream.events = {
          fields() {},
          data(bytes, from, to, last) {
            parts.push(Buffer.from(bytes.subarray(from, to)))
            if (last) done([])
          },
          trailers: done,
          reset() {},
        }
        if (ended) done([])
      },
      goingAway() {},
      closed(code, reason) {
        closed.push(`${code} ${reason}`)
      },
    })
    connections.push(connection)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(() => server.close())
  return { port: (server.address() as AddressInfo).port, connections, closed }
}

function attach(
  socket: Socket,
  role: 'server' | 'client',
  limits: Partial<ConnectionLimits>,
  events: ConnectionEvents,
): Http2Connection {
  const connection = new Http2Connection({
    ...{ role, limits, now: () => performance.now() },
    write: (bytes) => {
      socket.write(bytes)
      return socket.writableLength === 0
    },
    events: {
      ...events,
      closed(code, reason) {
        events.closed(code, reason)
        socket.end()
      },
    },
  })
  socket.on('data', (chunk) => connection.receive(chunk))
  socket.on('error', () => socket.destroy())
  socket.on('close', () => connection.end('the socket has ended'))
  endings.push(() => socket.destroy())
  return connection
}

test('a client of Node: bodies both ways, trailers, many at once', async () => {
  const { port } = await serve(({ fields, body, trailers }, stream) => {
    assert.equal(fields[fields.indexOf(':path') + 1], '/echo')
    stream.sendFields([':status', '200', 'x-trailers', String(trailers.length)])
    stream.send(body, ['x-end', String(body.length)])
  })
  const client = connectHttp2(`http://127.0.0.1:${port}`)
  endings.push(() => client.destroy())
  const sizes = [0, 1, 100, 16_384, 16_385, 70_000, 3_000_000]
  await Promise.all(
    [...sizes, ...sizes].map(async (size) => {
      const body = Buffer.alloc(size, 'abc')
      const request = client.request({ ':method': 'POST', ':path': '/echo' }, { waitForTrailers: true })
      request.on('wantTrailers', () => request.sendTrailers({ 'x-last': 'yes' }))
      const [headers, trailers, answer] = await Promise.all([
        once(request, 'response').then(([value]) => value),
        once(request, 'trailers').then(([value]) => value),
        request.toArray(),
        request.end(body),
      ])
      assert.equal(headers[':status'], 200)
      assert.equal(headers['x-trailers'], '2')
      assert.equal(trailers['x-end'], String(size))
      assert.ok(Buffer.concat(answer).equals(body))
    }),
  )
  client.close()
  await once(client, 'close')
})

test('a server of Node: the same from the other side, and a response that is reset', async () => {
  const server = createHttp2Server().listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(() => server.close())
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    if (headers[':path'] === '/reset') {
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
      return
    }
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.pipe(stream)
  })
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const going: number[] = []
  const connection = attach(socket, 'client', {}, { request() {}, goingAway: (code) => going.push(code), closed() {} })
  const ask = (path: string, body: Buffer) =>
    new Promise<string>((resolve) => {
      let size = 0
      let status = ''
      const events: StreamEvents = {
        fields: ([, value = '']) => {
          status = value
        },
        data: (_bytes, from, to) => {
          size += to - from
        },
        trailers: (fields) => resolve(`${status} ${size} ${fields.join(':')}`),
        reset: (code) => resolve(`reset ${code}`),
      }
      const fields = [':method', 'POST', ':scheme', 'http', ':path', path, ':authority', 'h']
      const stream = connection.request(fields, false, events) ?? assert.fail('no stream')
      stream.send(body, 'end')
    })
  const answers = await Promise.all([
    ask('/', Buffer.alloc(2_000_000)),
    ask('/reset', Buffer.alloc(5)),
    ask('/', Buffer.alloc(0)),
  ])
  assert.deepEqual(answers, ['200 2000000 grpc-status:0', 'reset 11', '200 0 grpc-status:0'])
  assert.equal(connection.open, 0)
})

/** Frames as octets. */
function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(9 + payload.length)
  writeFrameHeader(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, 9)
  return bytes
}

const settings = frame(FrameType.settings, 0, 0)
const number = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
/** `:method GET`, `:scheme http`, `:path /`. */
const get = Buffer.from([0x82, 0x86, 0x84])

/** What a server says last to a client that writes these octets: the code of its GOAWAY, or null when it says none. */
async function afterBytes(limits: Partial<ConnectionLimits>, ...chunks: readonly Uint8Array[]) {
  const said: Buffer[] = []
  const reasons: string[] = []
  const resets: string[] = []
  const connection = new Http2Connection({
    ...{ role: 'server', limits, now: () => 0 },
    write: (bytes) => said.push(bytes) < 0,
    events: {
      request(stream) {
        stream.events = { fields() {}, data() {}, trailers() {}, reset: (code) => resets.push(String(code)) }
      },
      goingAway() {},
      closed: (code, reason) => reasons.push(`${code} ${reason}`),
    },
  })
  for (const chunk of chunks) connection.receive(Buffer.from(chunk))
  connection.flush()
  const types: string[] = []
  const bytes = Buffer.concat(said)
  for (let at = 0; at < bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const [type, length] = [bytes[at + 3], bytes.readUIntBE(at, 3)]
    if (type === FrameType.resetStream) types.push(`reset ${bytes.readUInt32BE(at + 9)}`)
    if (type === FrameType.goAway) types.push(`goaway ${bytes.readUInt32BE(at + 9 + length - 4)}`)
  }
  return { said: types, closed: connection.closed, reasons }
}

test('each fault has its code', async () => {
  const begin = [PREFACE, settings]
  const open = [...begin, frame(FrameType.headers, 4, 1, get)]
  const rows: readonly (readonly [name: string, said: string, ...chunks: Uint8Array[]])[] = [
    ['no preface', 'goaway 1', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['no settings', 'goaway 1', PREFACE, frame(FrameType.ping, 0, 0, Buffer.alloc(8))],
    ['settings of a stream', 'goaway 1', PREFACE, frame(FrameType.settings, 0, 1)],
    ['settings cut off', 'goaway 6', PREFACE, frame(FrameType.settings, 0, 0, Buffer.alloc(5))],
    [
      'a window that is too large',
      'goaway 3',
      PREFACE,
      frame(FrameType.settings, 0, 0, Buffer.from([0, 4, 255, 255, 255, 255])),
    ],
    ['an acknowledgement that says more', 'goaway 6', ...begin, frame(FrameType.settings, 1, 0, Buffer.alloc(6))],
    ['a frame that is too long', 'goaway 6', ...begin, frame(FrameType.data, 0, 1, Buffer.alloc(16_385))],
    ['data of an idle stream', 'goaway 1', ...begin, frame(FrameType.data, 0, 1, Buffer.alloc(1))],
    ['data of no stream', 'goaway 1', ...open, frame(FrameType.data, 0, 0, Buffer.alloc(1))],
    ['a stream of the server', 'goaway 1', ...begin, frame(FrameType.headers, 5, 2, get)],
    [
      'a stream that goes back',
      'goaway 5',
      ...begin,
      frame(FrameType.headers, 5, 5, get),
      frame(FrameType.headers, 5, 3, get),
    ],
    ['padding longer than its frame', 'goaway 1', ...open, frame(FrameType.data, 8, 1, Buffer.from([5, 1]))],
    ['a block that is no HPACK', 'goaway 9', ...begin, frame(FrameType.headers, 5, 1, Buffer.from([0x80]))],
    [
      'fields that are interrupted',
      'goaway 1',
      ...begin,
      frame(FrameType.headers, 1, 1, get),
      frame(FrameType.ping, 0, 0, Buffer.alloc(8)),
    ],
    ['continuation of nothing', 'goaway 1', ...begin, frame(FrameType.continuation, 4, 1, get)],
    ['push', 'goaway 1', ...open, frame(FrameType.pushPromise, 4, 1, get)],
    ['a window raised by nothing', 'goaway 1', ...begin, frame(FrameType.windowUpdate, 0, 0, number(0))],
    ['a window raised too far', 'goaway 3', ...begin, frame(FrameType.windowUpdate, 0, 0, number(0x7fff_ffff))],
    ["a stream's window raised by nothing", 'reset 1', ...open, frame(FrameType.windowUpdate, 0, 1, number(0))],
    ['reset of an idle stream', 'goaway 1', ...begin, frame(FrameType.resetStream, 0, 1, number(8))],
    ['a ping of another length', 'goaway 6', ...begin, frame(FrameType.ping, 0, 0, Buffer.alloc(7))],
    [
      'data behind the end',
      'goaway 5',
      ...begin,
      frame(FrameType.headers, 5, 1, get),
      frame(FrameType.data, 0, 1, Buffer.alloc(1)),
    ],
    [
      'a stream that depends on itself',
      'goaway 1',
      ...begin,
      frame(FrameType.priority, 0, 1, number(1)),
      frame(FrameType.priority, 0, 1, Buffer.concat([number(1), Buffer.alloc(1)])),
    ],
    ['no :path', 'reset 1', ...begin, frame(FrameType.headers, 5, 1, Buffer.from([0x82, 0x86]))],
    [
      'a pseudo-field behind a field',
      'reset 1',
      ...begin,
      frame(FrameType.headers, 5, 1, Buffer.from([0x82, 0x86, 0x90, 0x84])),
    ],
    ['trailers that do not end', 'reset 1', ...open, frame(FrameType.headers, 4, 1, Buffer.from([0x90]))],
  ]
  for (const [name, expected, ...chunks] of rows) {
    const { said } = await afterBytes({}, ...chunks)
    // What a stream does that is over may be held against it alone.
    const allowed =
      name === 'data behind the end'
        ? [expected, 'reset 5']
        : name.includes('depends')
          ? [expected, 'goaway 6']
          : [expected]
    assert.ok(allowed.includes(said.at(-1) ?? 'nothing'), `${name}: ${said}`)
  }
})

test('floods end the connection', async () => {
  const begin = Buffer.concat([PREFACE, settings])
  const many = (one: Buffer, count: number) => Buffer.concat(Array.from({ length: count }, () => one))
  const calm = `goaway ${ErrorCode.enhanceYourCalm}`
  for (const [name, flood] of [
    ['ping', many(frame(FrameType.ping, 0, 0, Buffer.alloc(8)), 2000)],
    ['settings', many(settings, 2000)],
    ['unknown', many(frame(77, 0, 0), 2000)],
    ['priority', many(frame(FrameType.priority, 0, 3, Buffer.alloc(5)), 2000)],
    ['windows', many(frame(FrameType.windowUpdate, 0, 0, number(1)), 2000)],
    [
      'continuation',
      Buffer.concat([frame(FrameType.headers, 1, 1, get), many(frame(FrameType.continuation, 0, 1), 100)]),
    ],
    [
      'rapid reset',
      Buffer.concat(
        Array.from({ length: 1000 }, (_, i) =>
          Buffer.concat([
            frame(FrameType.headers, 5, 2 * i + 1, get),
            frame(FrameType.resetStream, 0, 2 * i + 1, number(8)),
          ]),
        ),
      ),
    ],
  ] as const) {
    const { said, closed } = await afterBytes({}, begin, flood)
    assert.equal(said.at(-1), calm, name)
    assert.ok(closed)
  }
})

test('a server may raise windows and PING at every call, as grpc-go does', async () => {
  let count = 0
  const said: Buffer[] = []
  const frame = (type: number, flags: number, stream: number, payload: readonly number[]) => {
    const bytes = Buffer.alloc(9 + payload.length)
    writeFrameHeader(bytes, 0, payload.length, type, flags, stream)
    bytes.set(payload, 9)
    said.push(bytes)
  }
  const connection = new Http2Connection({
    ...{ role: 'client', now: () => 0 },
    write: () => true,
    events: { request() {}, goingAway() {}, closed: (_code, reason) => assert.fail(reason) },
  })
  frame(FrameType.settings, 0, 0, [])
  connection.receive(Buffer.concat(said.splice(0)))
  for (let id = 1; id < 20_000; id += 2) {
    const events: StreamEvents = { fields: () => count++, data() {}, trailers() {}, reset: () => assert.fail() }
    connection.request([':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'h'], true, events)
    frame(FrameType.windowUpdate, 0, 0, [0, 0, 1, 0])
    frame(FrameType.ping, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])
    frame(FrameType.headers, 0x5, id, [0x88])
    connection.receive(Buffer.concat(said.splice(0)))
  }
  assert.equal(count, 10_000)
})

test('streams beyond the limit are refused, and the others go on', async () => {
  const opening = Array.from({ length: 5 }, (_, i) => frame(FrameType.headers, 4, 2 * i + 1, get))
  const { said, closed } = await afterBytes({ streams: 3 }, PREFACE, settings, ...opening)
  assert.deepEqual(said, ['reset 7', 'reset 7'])
  assert.equal(closed, false)
})

test('cut anywhere, the octets mean the same', async () => {
  const whole = Buffer.concat([
    PREFACE,
    settings,
    frame(FrameType.headers, 5, 1, get),
    frame(FrameType.headers, 5, 2, get),
  ])
  const expected = await afterBytes({}, whole)
  for (let at = 1; at < whole.length; at++) {
    assert.deepEqual(await afterBytes({}, whole.subarray(0, at), whole.subarray(at)), expected)
  }
  assert.deepEqual(await afterBytes({}, ...[...whole].map((byte) => Uint8Array.of(byte))), expected)
})
