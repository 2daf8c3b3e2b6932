import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { connect, type ServerHttp2Stream } from 'node:http2'
import { test } from 'node:test'
import grpc from '@grpc/grpc-js'
import { frameMessage } from '../grpc-framing.ts'
import { running, start, watchHealth } from './grpc-peers.test.fixture.ts'
import { defaultLimits } from './grpc-transport.ts'

const SERVING = 1
const NOT_SERVING = 2
const SERVICE_UNKNOWN = 3

test('a watcher is told each change, that it drains, and that it is over', async () => {
  const { authorizer, client } = await start({ serving: false })
  const watching = watchHealth(client)
  assert.deepEqual(await watching.told(1), [NOT_SERVING])
  assert.equal(authorizer.ready, false)
  authorizer.setServing(true)
  assert.deepEqual(await watching.told(2), [NOT_SERVING, SERVING])
  authorizer.setServing(true)
  assert.equal(authorizer.ready, true)
  const closed = authorizer.close()
  assert.equal(authorizer.ready, false)
  assert.equal(await watching.ended, grpc.status.UNAVAILABLE)
  assert.deepEqual(watching.states, [NOT_SERVING, SERVING, NOT_SERVING])
  await closed
})

test('during the delay of a close it says NOT_SERVING and still takes connections', async () => {
  const { authorizer, client, port } = await start()
  const watching = watchHealth(client)
  await watching.told(1)
  const closed = authorizer.close({ delay: 60_000, grace: 1000 })
  assert.deepEqual(await watching.told(2), [SERVING, NOT_SERVING])
  const late = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
  running.push(() => late.close())
  const other = watchHealth(late, 'envoy.service.auth.v3.Authorization')
  assert.deepEqual(await other.told(1), [NOT_SERVING])
  // Whoever is in a hurry need not wait for the delay.
  await authorizer.close({ delay: 0 })
  await closed
  assert.equal(await other.ended, grpc.status.UNAVAILABLE)
})

test('a service that is unknown is told so, and may come to be', async () => {
  const { client } = await start()
  const watching = watchHealth(client, 'other')
  assert.deepEqual(await watching.told(1), [SERVICE_UNKNOWN])
  watching.cancel()
  assert.equal(await watching.ended, grpc.status.CANCELLED)
})

/** Opens watches on one connection; gives their streams and the gRPC status of those that were refused. */
async function flood(port: number, count: number): Promise<{ refused: number; end: () => void }> {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  const statuses = await Promise.all(
    Array.from({ length: count }, async () => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Watch',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      stream.on('error', () => {})
      stream.write(frameMessage(Buffer.alloc(0)))
      const [fields] = await new Promise<[Record<string, unknown>, ServerHttp2Stream]>((resolve) =>
        stream.once('response', (...seen) => resolve(seen as never)),
      )
      return fields['grpc-status']
    }),
  )
  return { refused: statuses.filter((one) => one === '8').length, end: () => session.destroy() }
}

test('watchers are bounded, and those that leave make room', async () => {
  const { client, port } = await start()
  const most = defaultLimits.maxStreamingCalls
  const first = await flood(port, most / 2)
  const second = await flood(port, most / 2 + 10)
  assert.deepEqual([first.refused, second.refused], [0, 10])
  const refused = watchHealth(client)
  assert.equal(await refused.ended, grpc.status.RESOURCE_EXHAUSTED)
  first.end()
  let states: number[] = []
  // When the server has noticed that they are gone cannot be seen from here.
  for (let tries = 0; tries < 50 && states.length === 0; tries++) {
    const again = watchHealth(client)
    states = await Promise.race([again.told(1), again.ended.then(() => [])])
  }
  assert.deepEqual(states, [SERVING])
  second.end()
})

test('a watch of nothing, or of two things, is refused', async () => {
  const { port } = await start()
  const statusOf = async (...messages: Buffer[]) => {
    const session = connect(`http://127.0.0.1:${port}`)
    try {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Watch',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      const seen: Record<string, unknown> = {}
      stream.on('response', (fields) => Object.assign(seen, fields))
      stream.on('trailers', (fields) => Object.assign(seen, fields))
      stream.resume()
      stream.end(Buffer.concat(messages))
      await new Promise((resolve) => stream.once('close', resolve))
      return seen['grpc-status']
    } finally {
      session.destroy()
    }
  }
  const empty = frameMessage(Buffer.alloc(0))
  assert.equal(await statusOf(), '3')
  assert.equal(await statusOf(empty, empty), '3')
  assert.equal(await statusOf(frameMessage(Buffer.from([0x0a, 0x05]))), '3')
  assert.equal(await statusOf(empty.subarray(0, 3)), '13')
  // gRPC's rules for compression: INTERNAL where no encoding was named.
  assert.equal(await statusOf(Buffer.concat([Buffer.from([1]), empty.subarray(1)])), '13')
  assert.equal(await statusOf(Buffer.from([0, 0xff, 0, 0, 0])), '8')
})
