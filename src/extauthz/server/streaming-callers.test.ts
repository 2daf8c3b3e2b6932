import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { type ClientHttp2Stream, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import { afterEach, describe, test } from 'node:test'
import { frameMessage } from '../grpc-framing.ts'
import { acceptSockets } from './accept-sockets.ts'
import { defaultLimits, type GrpcHandler, type GrpcTransportLimits, maxStreamedBytes } from './grpc-transport.ts'
import { createHttp2Transport } from './http2-transport.ts'
import { createNodeTransport } from './node-transport.ts'

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

/** Calls whose method has not been told of their end. */
let unclosed = 0

/** Answers each message with its length; ends a call to `/a.B/Busy` as soon as it begins. */
const handler: GrpcHandler = {
  has: () => false,
  handle: () => assert.fail(),
  streaming: (path) => (stream) => {
    unclosed++
    if (path === '/a.B/Busy') stream.end(8, 'busy')
    return {
      message: ({ length }) => stream.send(Buffer.from(String(length))),
      halfClosed: () => stream.end(0),
      closed: () => {
        unclosed--
      },
    }
  },
}

const transports = { 'our HTTP/2': createHttp2Transport, 'node:http2': createNodeTransport }

for (const [name, create] of Object.entries(transports)) {
  describe(name, () => {
    async function peer(limits: Partial<GrpcTransportLimits> = {}) {
      const transport = create(handler, { ...defaultLimits, ...limits })
      const accepting = await acceptSockets(
        { kind: 'tcp', host: '127.0.0.1', port: 0 },
        { name: 'test', mode: null },
        (socket) => transport.accept(socket),
      )
      const session = connectHttp2(`http://127.0.0.1:${accepting.address.port}`).on('error', () => {})
      endings.push(
        () => transport.close(0),
        () => accepting.close(),
        () => session.destroy(),
      )
      return (fields: Record<string, string> = {}) => {
        const head = { ':method': 'POST', ':path': '/a.B/C', 'content-type': 'application/grpc', ...fields }
        return session.request(head).on('error', () => {})
      }
    }

    test('a message that comes one octet a frame is read', async () => {
      const stream = (await peer())()
      for (const octet of frameMessage(Buffer.alloc(100))) {
        await new Promise((written) => stream.write(Buffer.from([octet]), written))
      }
      const [answer] = await once(stream, 'data')
      assert.deepEqual(answer, frameMessage(Buffer.from('100')))
      stream.end()
      assert.equal(await status(stream), '0')
    })

    test('a message is bounded, whatever unary ones may have', async () => {
      const open = await peer()
      const most = open()
      most.write(frameMessage(Buffer.alloc(maxStreamedBytes)))
      const [answer] = await once(most, 'data')
      assert.deepEqual(answer, frameMessage(Buffer.from(String(maxStreamedBytes))))
      const more = open()
      more.write(frameMessage(Buffer.alloc(maxStreamedBytes + 1)))
      assert.equal(await status(more), '8')
    })

    test('a method may end its call as it begins, and is told so like of any other end', async () => {
      unclosed = 0
      const open = await peer()
      const refused = open({ ':path': '/a.B/Busy' })
      refused.write(frameMessage(Buffer.alloc(1)))
      assert.equal(await status(refused), '8')
      const next = open()
      assert.equal(await status(next), '0', 'others go on')
      assert.equal(unclosed, 0)
    })

    test('a compressed one is refused: for want of a codec, or because nothing was said of one', async () => {
      const open = await peer()
      for (const [fields, expected] of [
        [{}, '13'],
        [{ 'grpc-encoding': 'gzip' }, '12'],
      ] as const) {
        const stream = open(fields)
        stream.write(Buffer.from([1, 0, 0, 0, 1, 0]))
        assert.equal(await status(stream), expected)
      }
    })

    test('halves of messages count among what all callers may have, until they end', async () => {
      const open = await peer({ maxBufferedBytes: 100 * 1024 })
      const half = frameMessage(Buffer.alloc(60 * 1024)).subarray(0, -1)
      const first = open()
      first.write(half)
      // The one is counted before the other is: a connection's streams are read in turn, so an answer says so.
      const between = open()
      between.write(frameMessage(Buffer.alloc(1)))
      await once(between, 'data')
      const second = open()
      second.write(half)
      assert.equal(await status(second), '8')
      first.write(Buffer.alloc(1))
      await once(first, 'data')
      const third = open()
      third.write(Buffer.concat([half, Buffer.alloc(1)]))
      await once(third, 'data')
    })
  })
}

/** The `grpc-status` of a call, in its head or behind its messages. */
async function status(stream: ClientHttp2Stream): Promise<unknown> {
  stream.resume().end()
  const heads: IncomingHttpHeaders[] = []
  stream.on('response', (head) => heads.push(head))
  stream.on('trailers', (trailers) => heads.push(trailers))
  if (!stream.closed) await once(stream, 'close')
  return heads.find((head) => head['grpc-status'] !== undefined)?.['grpc-status']
}
