import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Http2Connection } from './connection.ts'
import { Flag, FRAME_HEADER, FrameType, writeFrameHeader } from './frames.ts'

function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER + payload.length)
  writeFrameHeader(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, FRAME_HEADER)
  return bytes
}

test('a client that has used all ids of streams says so, and finishes what it has begun', async () => {
  const going: number[] = []
  const connection = new Http2Connection({
    ...{ role: 'client', limits: { lastStream: 5 }, now: () => 0, write: () => true },
    events: { request() {}, goingAway: (code) => going.push(code), closed() {} },
  })
  connection.receive(frame(FrameType.settings, 0, 0))
  let answers = 0
  const events = { fields: () => answers++, data() {}, trailers() {}, reset() {} }
  const ask = () => connection.request([':method', 'POST', ':scheme', 'http', ':path', '/'], true, events)
  assert.deepEqual([ask()?.id, ask()?.id, connection.available], [1, 3, true])
  assert.equal(ask()?.id, 5)
  assert.deepEqual([ask(), connection.available, going], [null, false, []])
  await Promise.resolve()
  assert.deepEqual(going, [0])
  for (const id of [1, 3, 5]) {
    connection.receive(frame(FrameType.headers, Flag.endHeaders | Flag.endStream, id, Buffer.from([0x88])))
  }
  assert.deepEqual([answers, connection.open, connection.closed], [3, 0, false])
})
