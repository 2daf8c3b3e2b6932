import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConnectionOptions, Http2Connection } from './connection.ts'
import { ErrorCode, Flag, FRAME_HEADER, FrameType, PREFACE, writeFrameHeader } from './frames.ts'
import type { StreamEvents } from './stream.ts'

function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER + payload.length)
  writeFrameHeader(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, FRAME_HEADER)
  return bytes
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const settings = frame(FrameType.settings, 0, 0)
const ping = frame(FrameType.ping, 0, 0, Buffer.alloc(8))
/** `:status 200`. */
const ok = Buffer.from([0x88])
/** `:method POST`, `:scheme http`, `:path /`. */
const post = Buffer.from([0x83, 0x86, 0x84])
const whole = Flag.endHeaders | Flag.endStream
const request = [':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'h']

/** A connection whose clock stands still, so that nothing is forgiven, and why it closed. */
function open(role: 'server' | 'client', take: ConnectionOptions['events']['request'] = () => {}) {
  const reasons: string[] = []
  const connection = new Http2Connection({
    ...{ role, now: () => 0, write: () => true },
    events: { request: take, goingAway() {}, closed: (code, reason) => reasons.push(`${code} ${reason}`) },
  })
  if (role === 'server') connection.receive(PREFACE)
  connection.receive(settings)
  return { connection, reasons }
}

function ending(ended: () => void): StreamEvents {
  return { fields: (_fields, last) => last && ended(), data() {}, trailers: ended, reset() {} }
}

test('a server that measures the way with each call, as grpc-go does, may do so for ever', () => {
  const { connection, reasons } = open('client')
  let answers = 0
  for (let id = 1; id < 20_000; id += 2) {
    const stream = connection.request(
      request,
      false,
      ending(() => answers++),
    )
    stream?.send(Buffer.alloc(100), 'end')
    const widened = frame(FrameType.windowUpdate, 0, 0, number(100))
    connection.receive(Buffer.concat([widened, ping, frame(FrameType.headers, whole, id, ok)]))
  }
  assert.deepEqual(reasons, [])
  assert.equal(answers, 10_000)
})

test('a server may give back the window of a large body piece by piece', () => {
  const { connection, reasons } = open('client')
  let answers = 0
  for (let id = 1; id < 200; id += 2) {
    const stream = connection.request(
      request,
      false,
      ending(() => answers++),
    )
    stream?.send(Buffer.alloc(1 << 20), 'end')
    for (let at = 0; at < 1 << 20; at += 8192) {
      const more = number(8192)
      const widened = [frame(FrameType.windowUpdate, 0, 0, more), frame(FrameType.windowUpdate, 0, id, more)]
      connection.receive(Buffer.concat(widened))
    }
    connection.receive(frame(FrameType.headers, whole, id, ok))
  }
  assert.deepEqual(reasons, [])
  assert.equal(answers, 100)
})

test('answers that come after their calls were given up do not end the connection', () => {
  const { connection, reasons } = open('client')
  for (let id = 1; id < 10_000; id += 2) {
    connection
      .request(
        request,
        true,
        ending(() => {}),
      )
      ?.reset(ErrorCode.cancel)
    const late = [
      frame(FrameType.headers, Flag.endHeaders, id, ok),
      frame(FrameType.data, 0, id, Buffer.alloc(9)),
      frame(FrameType.headers, whole, id, Buffer.from([0x90])),
    ]
    connection.receive(Buffer.concat(late))
  }
  assert.deepEqual(reasons, [])
})

test('a server that floods ends the connection all the same', () => {
  const { connection, reasons } = open('client')
  connection.request(
    request,
    true,
    ending(() => {}),
  )
  for (let i = 0; i < 2000; i++) connection.receive(ping)
  assert.deepEqual(reasons, ['11 too many frames that are no message'])
})

test('a client that makes the server give up its requests is one that gives them up', () => {
  const faults: readonly (readonly [string, (id: number) => Buffer])[] = [
    ['a window raised by nothing', (id) => frame(FrameType.windowUpdate, 0, id, number(0))],
    ['a window raised too far', (id) => frame(FrameType.windowUpdate, 0, id, number(0x7fff_ffff))],
    ['fields behind the end', (id) => frame(FrameType.headers, whole, id, post)],
    ['data behind the end', (id) => frame(FrameType.data, Flag.endStream, id, Buffer.alloc(1))],
  ]
  for (const [name, wrong] of faults) {
    let taken = 0
    const { connection, reasons } = open('server', (stream) => {
      taken++
      stream.events = ending(() => {})
    })
    for (let id = 1; id < 4000; id += 2) {
      connection.receive(Buffer.concat([frame(FrameType.headers, whole, id, post), wrong(id)]))
    }
    assert.deepEqual(reasons, ['11 most requests are given up by the client'], name)
    assert.equal(taken, 500, name)
  }
})
