import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, connect, createServer } from 'node:net'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { Http2Connection } from './connection.ts'
import { Flag, FRAME_HEADER, FrameReader, FrameType, PREFACE, writeFrameHeader } from './frames.ts'
import { HpackEncoder } from './hpack/encoder.ts'
import { speakOver } from './over-socket.ts'

const endings: (() => unknown)[] = []
after(async () => {
  for (const end of endings.reverse()) await end()
})

/** One step of a client; what it makes is octets. */
type Step = (state: { next: number; encoder: HpackEncoder }) => Buffer

function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER + payload.length)
  writeFrameHeader(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, FRAME_HEADER)
  return bytes
}

function padded(payload: Uint8Array, padding: number): Buffer {
  return Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)])
}

/** A whole request, its frames cut, padded and interleaved with others as RFC 9113 allows. */
const request = fc
  .record({
    path: fc.webPath().map((path) => `/${path}`),
    fields: fc.array(fc.tuple(fc.stringMatching(/^x-[a-z]{1,8}$/), fc.stringMatching(/^[!-~]{0,40}$/)), {
      maxLength: 6,
    }),
    cuts: fc.array(fc.nat(200), { maxLength: 3 }),
    priority: fc.boolean(),
    padding: fc.option(fc.nat(20)),
    body: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }),
    trailers: fc.boolean(),
    between: fc.constantFrom('nothing', 'ping', 'unknown', 'window', 'settings', 'priority'),
  })
  .map(
    ({ path, fields, cuts, priority, padding, body, trailers, between }): Step =>
      (state) => {
        const id = state.next
        state.next += 2
        const list = [':method', 'POST', ':scheme', 'http', ':path', path, ':authority', 'h', ...fields.flat()]
        const block = Buffer.from(state.encoder.encode(list))
        const whole = body.length === 0 && !trailers
        const places = [...new Set(cuts.map((cut) => cut % (block.length + 1)))].sort((a, b) => a - b)
        const parts = [0, ...places].map((from, i) => block.subarray(from, places[i] ?? block.length))
        const frames = parts.map((part, i) => {
          const last = i === parts.length - 1 ? Flag.endHeaders : 0
          if (i > 0) return frame(FrameType.continuation, last, id, part)
          const weighted = priority ? Buffer.concat([Buffer.from([0, 0, 0, 0, 10]), part]) : part
          const flags = last | (whole ? Flag.endStream : 0) | (priority ? Flag.priority : 0)
          if (padding === null) return frame(FrameType.headers, flags, id, weighted)
          return frame(FrameType.headers, flags | Flag.padded, id, padded(weighted, padding))
        })
        if (between === 'ping') frames.push(frame(FrameType.ping, 0, 0, Buffer.alloc(8, 1)))
        if (between === 'unknown') frames.push(frame(0x42, 0xff, id, Buffer.from('what')))
        if (between === 'window') frames.push(frame(FrameType.windowUpdate, 0, 0, Buffer.from([0, 0, 1, 0])))
        if (between === 'settings') frames.push(frame(FrameType.settings, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0])))
        if (between === 'priority') frames.push(frame(FrameType.priority, 0, id, Buffer.from([0, 0, 0, 0, 3])))
        for (const [i, part] of body.entries()) {
          const flags = i === body.length - 1 && !trailers ? Flag.endStream : 0
          if (padding === null) frames.push(frame(FrameType.data, flags, id, part))
          else frames.push(frame(FrameType.data, flags | Flag.padded, id, padded(part, padding)))
        }
        if (trailers) {
          const last = Buffer.from(state.encoder.encode(['x-trailer', 'yes']))
          frames.push(frame(FrameType.headers, Flag.endHeaders | Flag.endStream, id, last))
        }
        return Buffer.concat(frames)
      },
  )

const session = fc.array(request, { minLength: 1, maxLength: 4 }).map((steps) => {
  const state = { next: 1, encoder: new HpackEncoder() }
  const start = Buffer.concat([PREFACE, frame(FrameType.settings, 0, 0)])
  return { octets: Buffer.concat([start, ...steps.map((step) => step(state))]), requests: steps.length }
})

/** Sends octets in pieces, and gives the streams that were answered and the code of a GOAWAY. */
async function answersOf(port: number, octets: Buffer, pieces: readonly number[], expected: number) {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  const ended = new Set<number>()
  let goAway: number | null = null
  const reader = new FrameReader(1 << 24, (type, flags, stream, bytes, from) => {
    if (type === FrameType.goAway) goAway = bytes.readUInt32BE(from + 4)
    const ends = type === FrameType.data || type === FrameType.headers
    if (ends && (flags & Flag.endStream) !== 0) ended.add(stream)
    if (ended.size >= expected) socket.end()
    return true
  })
  socket.on('data', (chunk: Buffer) => reader.read(chunk))
  socket.on('error', () => {})
  await once(socket, 'connect')
  const timer = setTimeout(() => socket.destroy(), 3000)
  let from = 0
  for (const piece of pieces) {
    const to = Math.min(octets.length, from + 1 + (piece % 60))
    socket.write(octets.subarray(from, to))
    from = to
    await new Promise((resolve) => setImmediate(resolve))
  }
  socket.write(octets.subarray(from))
  if (!socket.closed) await once(socket, 'close')
  clearTimeout(timer)
  return { ended: [...ended].sort((a, b) => a - b), goAway }
}

async function ours(): Promise<{ readonly port: number; readonly bodies: string[] }> {
  const bodies: string[] = []
  const server = createServer((socket) => {
    speakOver(
      socket,
      'server',
      {},
      {
        request(stream, fields, whole) {
          let size = 0
          const answer = () => {
            bodies.push(`${fields[fields.indexOf(':path') + 1]} ${size}`)
            stream.sendFields([':status', '200'])
            stream.send(Buffer.from('ok'), 'end')
          }
          stream.events = {
            fields() {},
            data(_bytes, from, to, last) {
              size += to - from
              if (last) answer()
            },
            trailers: answer,
            reset() {},
          }
          if (whole) answer()
        },
        goingAway() {},
        closed() {},
      },
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(() => server.close())
  return { port: (server.address() as AddressInfo).port, bodies }
}

async function nodes(): Promise<{ readonly port: number; readonly bodies: string[] }> {
  const bodies: string[] = []
  const server = createHttp2Server().listen(0, '127.0.0.1')
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => {
    let size = 0
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length
    })
    stream.on('end', () => {
      bodies.push(`${headers[':path']} ${size}`)
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
  })
  await once(server, 'listening')
  endings.push(() => server.close())
  return { port: (server.address() as AddressInfo).port, bodies }
}

test('whatever RFC 9113 allows is read as nghttp2 in Node reads it', async () => {
  const [mine, theirs] = [await ours(), await nodes()]
  const pieces = fc.array(fc.nat(), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(session, pieces, async ({ octets, requests }, cuts) => {
      mine.bodies.length = 0
      theirs.bodies.length = 0
      const [one, other] = await Promise.all([
        answersOf(mine.port, octets, cuts, requests),
        answersOf(theirs.port, octets, cuts, requests),
      ])
      assert.deepEqual(one.ended, other.ended)
      assert.equal(one.ended.length, requests)
      assert.deepEqual(mine.bodies.sort(), theirs.bodies.sort())
    }),
    { numRuns: 150, endOnFailure: true },
  )
})

test('damaged octets never do more than end the connection, and cost no more than they are', () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
  let ended = 0
  fc.assert(
    fc.property(session, damage, fc.array(fc.nat(), { maxLength: 6 }), ({ octets }, changes, cuts) => {
      const odd = Buffer.from(octets)
      for (const [at, value] of changes) odd[PREFACE.length + (at % (odd.length - PREFACE.length))] = value
      let written = 0
      let closed = 0
      const connection: Http2Connection = new Http2Connection({
        role: 'server',
        now: () => 0,
        write: (bytes) => {
          written += bytes.length
          return true
        },
        events: {
          request(stream, _fields, whole) {
            const answer = () => stream.sendFields([':status', '200'], true)
            stream.events = {
              fields() {},
              data: (_bytes, _from, _to, last) => last && answer(),
              trailers: answer,
              reset() {},
            }
            if (whole) answer()
          },
          goingAway() {},
          closed() {
            closed++
          },
        },
      })
      let from = 0
      for (const cut of cuts) {
        const to = Math.min(odd.length, from + (cut % 200))
        connection.receive(odd.subarray(from, to))
        from = to
      }
      connection.receive(odd.subarray(from))
      if (connection.closed) ended++
      connection.end('the test is over')
      connection.flush()
      assert.equal(closed, 1)
      assert.equal(connection.open, 0)
      assert.ok(written < 200 + 4 * odd.length, `${written} for ${odd.length}`)
    }),
    { numRuns: 3000, endOnFailure: true },
  )
  assert.ok(ended > 0)
})
