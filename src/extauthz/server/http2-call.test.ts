import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, test } from 'node:test'
import { ErrorCode, Flag, FRAME_HEADER, FrameReader, FrameType, PREFACE, writeFrameHeader } from '../../http2/frames.ts'
import { HpackEncoder } from '../../http2/hpack/encoder.ts'
import { frameMessage, grpcStatus } from '../grpc-framing.ts'
import { allow } from './answer.ts'
import { createAuthorizer } from './authorizer.ts'
import { defaultLimits, type GrpcHandler, type GrpcTransportLimits } from './grpc-transport.ts'
import { serveGrpc } from './transport.test.fixture.ts'

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER + payload.length)
  writeFrameHeader(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, FRAME_HEADER)
  return bytes
}

const handler: GrpcHandler = {
  has: (path) => path === '/a.B/C',
  handle: ({ message }) =>
    message.length === 0
      ? { kind: 'status', status: grpcStatus.invalidArgument, text: 'nothing' }
      : { kind: 'message', message },
}

async function serve(limits: Partial<GrpcTransportLimits>) {
  const served = await serveGrpc(handler, { ...defaultLimits, ...limits })
  endings.push(served.close)
  return served
}

interface Caller {
  readonly socket: Socket
  readonly encoder: HpackEncoder
  /** Of each frame its type, its stream and its first four octets as a number. */
  readonly seen: string[]
  until(line: string): Promise<void>
}

/** Speaks frames. Its first SETTINGS hold `settings`. */
async function call(port: number, settings: Uint8Array): Promise<Caller> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  endings.push(() => socket.destroy())
  await once(socket, 'connect')
  const seen: string[] = []
  const reader = new FrameReader(1 << 24, (type, _flags, stream, bytes, from, to) => {
    seen.push(`${type} ${stream}${to - from === 4 ? ` ${bytes.readUInt32BE(from)}` : ''}`)
    return true
  })
  socket.on('data', (chunk: Buffer) => reader.read(chunk))
  socket.write(Buffer.concat([PREFACE, frame(FrameType.settings, 0, 0, settings)]))
  const until = async (line: string) => {
    while (!seen.includes(line)) await once(socket, 'data')
  }
  return { socket, encoder: new HpackEncoder(), seen, until }
}

function request({ encoder }: Caller, stream: number, message: Buffer): Buffer {
  const fields = [':method', 'POST', ':scheme', 'http', ':path', '/a.B/C', 'content-type', 'application/grpc']
  const head = frame(FrameType.headers, Flag.endHeaders, stream, encoder.encode(fields))
  return Buffer.concat([head, frame(FrameType.data, Flag.endStream, stream, message)])
}

/** SETTINGS_INITIAL_WINDOW_SIZE 0. */
const noWindow = Buffer.from([0, 4, 0, 0, 0, 0])

test('an answer that the caller leaves no window for is given up in time, and its connection closed as unused', async () => {
  const { port } = await serve({ readTimeout: 100, idleTimeout: 100 })
  const caller = await call(port, noWindow)
  caller.socket.write(request(caller, 1, frameMessage(Buffer.from('hello'))))
  await caller.until(`${FrameType.resetStream} 1 ${ErrorCode.cancel}`)
  assert(caller.seen.includes(`${FrameType.headers} 1`))
  if (!caller.socket.closed) await once(caller.socket, 'close')
})

test('an answer waits for its window, which may come in pieces', async () => {
  const { port } = await serve({ readTimeout: 5000 })
  const caller = await call(port, noWindow)
  caller.socket.write(request(caller, 1, frameMessage(Buffer.from('hi'))))
  await caller.until(`${FrameType.headers} 1`)
  for (let i = 0; i < 7; i++) {
    const before = caller.seen.length
    caller.socket.write(frame(FrameType.windowUpdate, 0, 1, Buffer.from([0, 0, 0, 1])))
    while (caller.seen.length === before) await once(caller.socket, 'data')
  }
  assert.equal(caller.seen.filter((line) => line === `${FrameType.data} 1`).length, 7)
  // Its status is behind it.
  assert.equal(caller.seen.filter((line) => line === `${FrameType.headers} 1`).length, 2)
})

test('a connection that does not speak is not kept for as long as one that nobody uses', async () => {
  const { port } = await serve({ readTimeout: 100 })
  const silent = connect(port, '127.0.0.1').on('error', () => {})
  endings.push(() => silent.destroy())
  silent.resume()
  const speaking = await call(port, noWindow)
  await once(silent, 'close')
  await new Promise((resolve) => setTimeout(resolve, 600))
  assert(!speaking.socket.closed)
})

test('closed while it begins to listen, it does not listen', async () => {
  const authorizer = createAuthorizer({ check: () => allow() })
  const listening = authorizer.listen({ grpc: '127.0.0.1:0', http: '127.0.0.1:0' })
  await authorizer.close({ grace: 0 })
  for (const address of Object.values(await listening.catch(() => ({})))) {
    const socket = connect((address as { port: number }).port, '127.0.0.1')
    endings.push(() => socket.destroy())
    const [error] = await once(socket, 'error')
    assert.equal(error.code, 'ECONNREFUSED')
  }
})
