import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { seeFirstBytes } from './first-bytes.ts'

/** Both ends of a connection. */
async function pair(t: TestContext): Promise<{ client: Socket; server: Socket }> {
  const listener = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const client = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1' })
  const [server] = (await once(listener, 'connection')) as [Socket]
  client.on('error', () => {})
  server.on('error', () => {})
  t.after(() => {
    client.destroy()
    server.destroy()
    listener.close()
  })
  return { client, server }
}

test('what is not taken is read by whoever comes next, and nothing is shown twice too early', async (t) => {
  const { client, server } = await pair(t)
  const sizes: number[] = []
  const seen = new Promise<string>((resolve) => {
    seeFirstBytes<string>(
      server,
      (bytes) => {
        sizes.push(bytes.length)
        return bytes.length < 4
          ? { kind: 'more', wanted: 4 }
          : { kind: 'seen', taken: 4, value: bytes.toString('latin1', 0, 4) }
      },
      resolve,
    )
  })
  client.setNoDelay()
  client.write('a')
  client.write('bcdefg')
  assert.equal(await seen, 'abcd')
  assert.ok(sizes.length <= 2, String(sizes))
  const rest = once(server, 'data')
  server.resume()
  assert.equal(String((await rest)[0]), 'efg')
})

test('a client that ends or says too little is closed', async (t) => {
  const ended = await pair(t)
  const closed = once(ended.server, 'close')
  seeFirstBytes(
    ended.server,
    () => ({ kind: 'more', wanted: 9 }),
    () => assert.fail('nothing was seen'),
  )
  ended.client.end('abc')
  await closed

  const silent = await pair(t)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  seeFirstBytes(
    silent.server,
    () => ({ kind: 'more', wanted: 9 }),
    () => assert.fail('nothing was seen'),
  )
  silent.client.write('abc')
  await once(silent.server, 'data')
  t.mock.timers.tick(14_999)
  assert.equal(silent.server.destroyed, false)
  t.mock.timers.tick(1)
  assert.equal(silent.server.destroyed, true)
})
