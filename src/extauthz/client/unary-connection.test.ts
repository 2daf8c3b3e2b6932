import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { constants, createServer } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { closeAll, closing, freePort, listen, reply, tcp, yes } from './grpc-servers.test.fixture.ts'
import { openHttp2 } from './http2-connection.ts'
import { openNodeHttp2 } from './node-http2-connection.ts'
import type { ConnectionListener, OpenUnaryConnection, UnaryCall, UnaryEnd } from './unary-connection.ts'

/** Whatever speaks HTTP/2 for the client does what is told here. */
const implementations: readonly (readonly [string, OpenUnaryConnection])[] = [
  ['our own', openHttp2],
  ['node:http2', openNodeHttp2],
]

afterEach(closeAll)

const message = Buffer.from([0, 0, 0, 0, 0])

interface Server {
  readonly port: number
  readonly streams: ServerHttp2Stream[]
  readonly headers: IncomingHttpHeaders[]
  readonly sessions: ServerHttp2Session[]
  readonly sockets: Socket[]
  /** Resolves when so many calls have come. */
  arrived(count: number): Promise<void>
}

async function serve(settings: { readonly maxConcurrentStreams?: number } = {}): Promise<Server> {
  const streams: ServerHttp2Stream[] = []
  const headers: IncomingHttpHeaders[] = []
  const sessions: ServerHttp2Session[] = []
  const sockets: Socket[] = []
  let wake: () => void = () => {}
  const server = createServer({ settings })
  server.on('connection', (socket) => sockets.push(socket))
  server.on('session', (session) => sessions.push(session.on('error', () => {})))
  server.on('stream', (stream, head) => {
    streams.push(stream.on('error', () => {}))
    headers.push(head)
    wake()
  })
  closing.push(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  const arrived = async (count: number) => {
    while (streams.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  return { port: await listen(server), streams, headers, sessions, sockets, arrived }
}

/** A connection, what it has told, and ways to wait for that. */
function connectTo(open: OpenUnaryConnection, port: number, maxAnswerBytes = 1000) {
  const told: string[] = []
  const waiting = new Set<() => void>()
  const tell = (line: string) => {
    told.push(line)
    for (const wake of waiting) wake()
  }
  const listener: ConnectionListener = {
    opened: () => tell('opened'),
    roomier: () => tell('roomier'),
    draining: () => tell('draining'),
    closed: (problem) => tell(`closed ${problem}`),
  }
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const connection = open({ socket, authority: 'authz.example', scheme: 'http', maxAnswerBytes }, listener)
  closing.push(() => connection.close())
  const until = async (start: string) => {
    while (!told.some((line) => line.startsWith(start))) {
      await new Promise<void>((resolve) => waiting.add(resolve))
      waiting.clear()
    }
  }
  const call = () => {
    let cancel = () => {}
    const ended = new Promise<UnaryEnd>((resolve) => {
      let returned = false
      const one: UnaryCall = {
        path: '/a.B/C',
        headers: ['te', 'trailers', 'content-type', 'application/grpc'],
        callHeaders: ['grpc-timeout', '100m'],
        message,
        ended: (end) => {
          assert(returned, 'told before the call had returned')
          resolve(end)
        },
      }
      const handle = connection.call(one)
      returned = true
      cancel = () => handle.cancel()
    })
    return { ended, cancel: () => cancel() }
  }
  return { connection, told, until, call }
}

for (const [name, open] of implementations) {
  describe(`a connection by ${name}`, () => {
    test('opens with the SETTINGS of the peer, which say how much room there is', async () => {
      const { port } = await serve({ maxConcurrentStreams: 2 })
      const { connection, until, told } = connectTo(open, port)
      assert.equal(connection.room, 0)
      await until('opened')
      assert.deepEqual([connection.room, connection.calls, connection.localAddress], [2, 0, '127.0.0.1'])
      assert.deepEqual(told, ['opened'])
    })

    test('a peer that says nothing has no room; nor has one that is not there, which is told once', async () => {
      const silent = connectTo(open, await tcp(() => {}))
      assert.deepEqual(await silent.call().ended, { kind: 'unsent' })
      silent.connection.close()
      await silent.until('closed')
      assert.equal(silent.connection.room, 0)
      const absent = connectTo(open, await freePort())
      await absent.until('closed ECONNREFUSED')
      assert.deepEqual(absent.told, ['closed ECONNREFUSED'])
    })

    test('a call says what it is given, and its answer comes whole', async () => {
      const server = await serve()
      const { until, call } = connectTo(open, server.port)
      await until('opened')
      const { ended } = call()
      await server.arrived(1)
      const [head] = server.headers
      assert.deepEqual(
        [':method', ':scheme', ':path', ':authority', 'te', 'content-type', 'grpc-timeout'].map((key) => head?.[key]),
        ['POST', 'http', '/a.B/C', 'authz.example', 'trailers', 'application/grpc', '100m'],
      )
      const chunks: Buffer[] = []
      for await (const chunk of server.streams[0] as ServerHttp2Stream) chunks.push(chunk)
      assert.deepEqual(Buffer.concat(chunks), message)
      server.streams[0]?.additionalHeaders({ ':status': 103 })
      reply(server.streams[0] as ServerHttp2Stream, yes)
      const end = await ended
      assert.equal(end.kind, 'answered')
      const field = (list: readonly string[] | null, key: string) => list?.[(list?.indexOf(key) ?? -1) + 1]
      assert.deepEqual([field(end.headers, ':status'), field(end.trailers, 'grpc-status')], ['200', '0'])
      assert.deepEqual([end.body, end.tooLarge, end.code], [yes, false, 0])
    })

    test('its room is taken by calls and given back, and beyond it a call does not leave', async () => {
      const server = await serve({ maxConcurrentStreams: 1 })
      const { connection, until, call } = connectTo(open, server.port)
      await until('opened')
      const first = call()
      assert.deepEqual([connection.room, connection.calls], [0, 1])
      assert.deepEqual(await call().ended, { kind: 'unsent' })
      await server.arrived(1)
      reply(server.streams[0] as ServerHttp2Stream, yes)
      assert.equal((await first.ended).kind, 'answered')
      await until('roomier')
      assert.deepEqual([connection.room, connection.calls], [1, 0])
      assert.equal(server.streams.length, 1)
    })

    test('a call that is cancelled is reset, and its end not told', async () => {
      const server = await serve()
      const { connection, until, call } = connectTo(open, server.port)
      await until('opened')
      const { ended, cancel } = call()
      await server.arrived(1)
      const reset = once(server.streams[0] as ServerHttp2Stream, 'close')
      cancel()
      cancel()
      await reset
      assert.equal(server.streams[0]?.rstCode, constants.NGHTTP2_CANCEL)
      await until('roomier')
      assert.equal(connection.calls, 0)
      assert.equal(await Promise.race([ended, Promise.resolve('nothing')]), 'nothing')
    })

    test('an answer beyond the limit is cut off', async () => {
      const server = await serve()
      const { until, call } = connectTo(open, server.port, 100)
      await until('opened')
      const { ended } = call()
      await server.arrived(1)
      server.streams[0]?.respond({ ':status': 200 })
      server.streams[0]?.write(Buffer.alloc(60))
      server.streams[0]?.write(Buffer.alloc(60))
      const end = await ended
      assert.deepEqual(
        [end.kind, end.kind === 'answered' && end.tooLarge, end.kind === 'answered' && end.body.length],
        ['answered', true, 0],
      )
    })

    test('REFUSED_STREAM is no processing, another reset is a loss, and one behind the headers a cut answer', async () => {
      const server = await serve()
      const { until, call } = connectTo(open, server.port)
      await until('opened')
      const [refused, reset, cut] = [call(), call(), call()]
      await server.arrived(3)
      server.streams[0]?.close(constants.NGHTTP2_REFUSED_STREAM)
      server.streams[1]?.close(constants.NGHTTP2_INTERNAL_ERROR)
      server.streams[2]?.respond({ ':status': 200 })
      // Its headers leave first.
      setTimeout(() => server.streams[2]?.close(constants.NGHTTP2_INTERNAL_ERROR), 30)
      assert.deepEqual(await refused.ended, { kind: 'notProcessed' })
      assert.deepEqual(await reset.ended, { kind: 'lost', code: constants.NGHTTP2_INTERNAL_ERROR })
      const end = await cut.ended
      assert.deepEqual([end.kind, end.kind === 'answered' && end.trailers], ['answered', null])
    })

    test('a GOAWAY leaves the calls up to its last stream, and what is behind it was not processed', async () => {
      for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_ENHANCE_YOUR_CALM]) {
        const server = await serve()
        const { connection, until, call } = connectTo(open, server.port)
        await until('opened')
        const [first, second] = [call(), call()]
        await server.arrived(2)
        server.sessions[0]?.goaway(code, 1)
        assert.deepEqual(await second.ended, { kind: 'notProcessed' })
        await until('draining')
        assert.equal(connection.room, 0)
        assert.deepEqual(await call().ended, { kind: 'unsent' })
        if (code === constants.NGHTTP2_NO_ERROR) {
          reply(server.streams[0] as ServerHttp2Stream, yes)
          assert.equal((await first.ended).kind, 'answered')
        }
        await until('closed')
      }
    })

    test('a PING is answered', async () => {
      const { port } = await serve()
      const { connection, until } = connectTo(open, port)
      await until('opened')
      await new Promise<void>((resolve) => connection.ping(resolve))
    })

    test('drained, it begins no call, and closes when the last has ended', async () => {
      const server = await serve()
      const { connection, until, told, call } = connectTo(open, server.port)
      await until('opened')
      const { ended } = call()
      await server.arrived(1)
      connection.drain()
      assert.equal(connection.room, 0)
      assert.deepEqual(await call().ended, { kind: 'unsent' })
      assert(!told.some((line) => line.startsWith('closed')))
      reply(server.streams[0] as ServerHttp2Stream, yes)
      assert.equal((await ended).kind, 'answered')
      await until('closed')
      assert(!told.includes('draining'), 'it was not the peer that drained it')
    })

    test('drained while its peer hangs, it closes all the same', async () => {
      // SETTINGS, and not a byte after them.
      const port = await tcp((socket) => socket.write(Buffer.from('000000040000000000', 'hex')))
      const { connection, until, call } = connectTo(open, port)
      await until('opened')
      const { cancel } = call()
      connection.drain()
      cancel()
      await until('closed')
      assert.equal(connection.calls, 0)
    })

    test('closed, by either side, its calls are lost', async () => {
      for (const side of ['ours', 'theirs']) {
        const server = await serve()
        const { connection, until, told, call } = connectTo(open, server.port)
        await until('opened')
        const { ended } = call()
        await server.arrived(1)
        if (side === 'ours') connection.close()
        else server.sockets[0]?.resetAndDestroy()
        assert.equal((await ended).kind, 'lost')
        await until('closed')
        connection.close()
        assert.equal(told.filter((line) => line.startsWith('closed')).length, 1)
      }
    })
  })
}
