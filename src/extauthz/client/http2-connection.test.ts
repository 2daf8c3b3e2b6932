import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { connect, type Socket } from 'node:net'
import { afterEach, test } from 'node:test'
import { Flag, FRAME_HEADER, FrameReader, FrameType, PREFACE, writeFrameHeader } from '../../http2/frames.ts'
import { closeAll, closing, tcp } from './grpc-servers.test.fixture.ts'
import { openHttp2 } from './http2-connection.ts'
import type { UnaryConnection, UnaryEnd } from './unary-connection.ts'

afterEach(closeAll)

function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER + payload.length)
  writeFrameHeader(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, FRAME_HEADER)
  return bytes
}

/** `:status 200`. */
const ok = Buffer.from([0x88])

/** A peer that answers the end of each request with octets. */
function peer(answer: (stream: number, socket: Socket) => void): Promise<number> {
  return tcp((socket) => {
    let preface = PREFACE.length
    const reader = new FrameReader(1 << 24, (type, flags, stream) => {
      if ((type === FrameType.data || type === FrameType.headers) && (flags & Flag.endStream) !== 0) {
        answer(stream, socket)
      }
      return true
    })
    socket.on('data', (chunk) => {
      const skipped = Math.min(preface, chunk.length)
      preface -= skipped
      reader.read(chunk, skipped)
    })
    socket.write(frame(FrameType.settings, 0, 0))
  })
}

function opened(
  port: number,
  maxAnswerBytes: number,
  closed = (_problem: string) => {},
  socket = connect({ port, host: '127.0.0.1', noDelay: true }),
): Promise<UnaryConnection> {
  return new Promise((resolve) => {
    const listener = { opened: () => resolve(connection), roomier() {}, draining() {}, closed }
    const connection = openHttp2({ socket, authority: 'a', scheme: 'http', maxAnswerBytes }, listener)
    closing.push(() => connection.close())
  })
}

function call(connection: UnaryConnection): Promise<UnaryEnd> {
  return new Promise((ended) => {
    connection.call({ path: '/a.B/C', headers: [], callHeaders: [], message: Buffer.alloc(5), ended })
  })
}

test('an answer that comes octet by octet costs what it is long', async () => {
  const body = Buffer.alloc(500_000, 'abc')
  const port = await peer((stream, socket) => {
    socket.write(frame(FrameType.headers, Flag.endHeaders, stream, ok))
    socket.write(Buffer.concat(Array.from(body, (byte) => frame(FrameType.data, 0, stream, Uint8Array.of(byte)))))
    socket.write(frame(FrameType.data, Flag.endStream, stream))
  })
  const connection = await opened(port, body.length)
  const began = performance.now()
  const end = await call(connection)
  assert(end.kind === 'answered')
  assert(end.body.equals(body))
  // To copy all that came with each octet takes many times as long.
  const took = performance.now() - began
  assert(took < 5000, `took ${took} ms`)
})

test('a peer that speaks something else, or hangs up, is told from one that is silent', async () => {
  for (const [says, problem] of [
    ['HTTP/1.1 400 Bad Request\r\n\r\n', 'a frame is too long'],
    ['', 'the peer has ended the connection'],
  ] as const) {
    const port = await tcp((socket) => socket.end(says))
    assert.equal(await new Promise((resolve) => void opened(port, 1000, resolve)), problem)
  }
})

test('a call that its connection was lost before, in the same turn, may be made again', async () => {
  let peerSocket: Socket | null = null
  let requests = 0
  const port = await peer((_stream, socket) => {
    requests++
    peerSocket = socket
  })
  for (const lose of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const ends: Promise<UnaryEnd>[] = []
    // Before the connection hears of it: frames leave at the end of a turn, and this is one.
    for (const event of ['end', 'close']) socket.once(event, () => ends.length < 2 && ends.push(call(connection)))
    const connection = await opened(port, 1000, () => {}, socket)
    requests = 0
    ends.push(call(connection))
    while (requests === 0) await new Promise((resolve) => setImmediate(resolve))
    lose(peerSocket ?? assert.fail())
    assert.equal((await ends[0])?.kind, 'lost', 'what was sent may have been acted on')
    assert.equal((await ends[1])?.kind, 'notProcessed')
    assert.equal(requests, 1)
  }
})
