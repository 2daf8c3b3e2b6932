import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Gathered } from './gathered.ts'
import { frameMessage, MessageReader, readMessage } from './grpc-framing.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Octets in use. V8 gives back what buffers held on a thread of its own: the least of some looks counts. */
async function inUse(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 10; look++) {
    collect()
    await new Promise(setImmediate)
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    least = Math.min(least, heapUsed + arrayBuffers)
  }
  return least
}

async function heldAfter<T>(fill: () => T): Promise<{ readonly held: number; readonly filled: T }> {
  const before = await inUse()
  const filled = fill()
  return { held: (await inUse()) - before, filled }
}

test('a message that comes octet by octet takes no more memory than twice what it is', async () => {
  const size = 500_000
  const framed = frameMessage(Buffer.alloc(size, 'abc'))
  const { held, filled } = await heldAfter(() => {
    const reader = new MessageReader()
    for (let i = 0; i < framed.length; i++) assert(reader.push(framed.subarray(i, i + 1)))
    return reader
  })
  assert(held < 3 * size, `${held} octets are held`)
  const framing = filled.finish()
  assert.deepEqual(framing, { kind: 'message', message: framed.subarray(5) })
})

test('a small part does not hold the chunk that it came in', async () => {
  const { held, filled } = await heldAfter(() =>
    Array.from({ length: 200 }, () => {
      const gathered = new Gathered()
      gathered.add(Buffer.allocUnsafeSlow(65_536), 10, 13)
      return gathered
    }),
  )
  assert.equal(filled[0]?.octets.length, 3)
  assert(held < 2_000_000, `${held} octets are held`)
})

test('a message is read as whole, in two parts, or octet by octet', () => {
  const limit = 10
  const long = frameMessage(Buffer.alloc(limit + 1))
  const rows: readonly (readonly [Buffer, string])[] = [
    [frameMessage(Buffer.alloc(0)), 'message'],
    [frameMessage(Buffer.alloc(limit, 7)), 'message'],
    [Buffer.alloc(4), 'malformed'],
    [frameMessage(Buffer.alloc(5)).subarray(0, 9), 'malformed'],
    [Buffer.concat([frameMessage(Buffer.alloc(5)), frameMessage(Buffer.alloc(0))]), 'malformed'],
    // The most that a message may have, and one octet behind it.
    [Buffer.concat([frameMessage(Buffer.alloc(limit)), Buffer.alloc(1)]), 'malformed'],
    [long, 'tooLarge'],
    [Buffer.from([1, 0, 0, 0, 0]), 'compressed'],
    [Buffer.from([2, 0, 0, 0, 0]), 'malformed'],
  ]
  for (const [bytes, kind] of rows) {
    const whole = readMessage(bytes, 0, bytes.length, limit)
    assert.equal(whole.kind, kind, bytes.toString('hex'))
    const cuts = [[bytes.length], [3, bytes.length], Array.from(bytes, (_, i) => i + 1)]
    for (const ends of cuts) {
      const reader = new MessageReader(limit)
      let from = 0
      for (const to of ends) {
        const within = reader.push(bytes.subarray(from, to))
        assert.equal(within, to <= limit + 5)
        from = to
        if (!within) break
      }
      assert.deepEqual(reader.finish(), whole)
    }
  }
})
