import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, mock, test } from 'node:test'
import { Flag, FRAME_HEADER, FrameReader, FrameType, PREFACE, writeFrameHeader } from './frames.ts'
import { speakOver } from './over-socket.ts'

const endings: (() => unknown)[] = []
after(() => {
  for (const end of endings.reverse()) end()
})

function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER + payload.length)
  writeFrameHeader(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, FRAME_HEADER)
  return bytes
}

/** `:method GET`, `:scheme http`, `:path /`. */
const get = Buffer.from([0x82, 0x86, 0x84])
/** Nobody keeps an `etag` in a table, so that each answer is as long as the first. */
const answer = [':status', '200', 'etag', '"'.repeat(8000)]
const REQUESTS = 6000

/** A server of long answers, and a client that has asked for many and reads none. */
async function unread(): Promise<{ server: Socket; client: Socket; taken: () => number; closed: Promise<unknown> }> {
  let taken = 0
  let ended: () => void = () => {}
  const closed = new Promise<void>((resolve) => {
    ended = resolve
  })
  const listener = createServer((socket) => {
    const request = (stream: { sendFields(fields: readonly string[], end: boolean): void }) => {
      taken++
      stream.sendFields(answer, true)
    }
    speakOver(socket, 'server', {}, { request, goingAway() {}, closed: ended })
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const client = connect((listener.address() as AddressInfo).port, '127.0.0.1').on('error', () => {})
  const [server] = (await once(listener, 'connection')) as [Socket]
  endings.push(
    () => listener.close(),
    () => client.destroy(),
    () => server.destroy(),
  )
  const requests = Array.from({ length: REQUESTS }, (_, i) => [
    frame(FrameType.headers, Flag.endHeaders, 2 * i + 1, get),
    frame(FrameType.data, Flag.endStream, 2 * i + 1, Buffer.alloc(1000)),
  ])
  client.write(Buffer.concat([PREFACE, frame(FrameType.settings, 0, 0), ...requests.flat()]))
  return { server, client, taken: () => taken, closed }
}

test('whoever does not read is not read from either, and loses nothing', async () => {
  const { server, client, taken } = await unread()
  const most: number[] = []
  // As long as it takes what comes, there is a turn in which it takes more.
  for (let before = -1; before !== taken(); ) {
    before = taken()
    await new Promise((resolve) => setTimeout(resolve, 100))
    most.push(server.writableLength)
  }
  assert(taken() < REQUESTS, 'all of it is in the buffers of the system')
  assert(Math.max(...most) < 4_000_000, `${Math.max(...most)} octets wait`)
  let answers = 0
  const reader = new FrameReader(1 << 24, (type) => {
    if (type === FrameType.headers && ++answers === REQUESTS) client.destroy()
    return true
  })
  client.on('data', (chunk: Buffer) => reader.read(chunk))
  await once(client, 'close')
  assert.equal(answers, REQUESTS)
})

test('whoever reads nothing for long is cut off', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  const { server, closed } = await unread()
  while (!server.isPaused()) await new Promise((resolve) => setImmediate(resolve))
  mock.timers.tick(29_000)
  assert(!server.destroyed)
  mock.timers.tick(1000)
  mock.timers.reset()
  await closed
  assert(server.destroyed)
})
