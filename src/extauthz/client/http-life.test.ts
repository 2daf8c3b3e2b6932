import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { type ClientEvents, noEvents } from './client-events.ts'
import { createHttpClient } from './http-client.ts'
import { answer, base, client, closeAll, closing, failed, never, request, serve } from './http-servers.test.fixture.ts'

afterEach(closeAll)

describe('the connections and endpoints of an HTTP provider', () => {
  const second = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'
  for (const [when, write] of [
    ['at once', (socket: Socket) => socket.write(`HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno${second}`)],
    [
      'later',
      (socket: Socket) => {
        socket.write('HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno')
        setTimeout(() => socket.write(second), 30)
      },
    ],
  ] as const) {
    test(`sends more than it promised, ${when}: it is no answer to the next check`, async () => {
      let connections = 0
      const server = createTcpServer((socket) => {
        connections++
        socket.on('error', () => {}).on('data', () => write(socket))
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      closing.push(() => server.close())
      const asked = client((server.address() as AddressInfo).port)
      for (let i = 0; i < 3; i++) {
        const outcome = await asked.check(request(), never)
        assert.deepEqual([outcome.kind, outcome.kind === 'deny' && outcome.status], ['deny', 403])
        await new Promise((resolve) => setTimeout(resolve, 80))
      }
      assert.equal(connections, 3)
      await asked.close()
    })
  }

  test('closed a kept connection behind a check: made again only if its method may be repeated', async () => {
    // Serves one request a connection, then reads the next and closes without a byte.
    const methods: string[] = []
    const server = createTcpServer((socket) => {
      let answered = 0
      socket
        .on('error', () => {})
        .on('data', (bytes) => {
          methods.push(String(bytes).split(' ', 1)[0] as string)
          if (answered++ === 0) socket.write(second)
          else socket.destroy()
        })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closing.push(() => server.close())
    const asked = client((server.address() as AddressInfo).port)
    assert.equal((await asked.check(request(), never)).kind, 'allow')
    assert.equal((await asked.check(request([], '/', null, 'DELETE'), never)).kind, 'allow')
    assert.equal((await asked.check(request(), never)).kind, 'allow')
    failed(await asked.check(request([], '/', null, 'POST'), never), 'unavailable', /exchange failed/)
    assert.deepEqual(methods, ['GET', 'DELETE', 'DELETE', 'GET', 'POST'])
    await asked.close()
  })

  test('is one of several: the others are asked, and it is again when it is back', async () => {
    const gone = createTcpServer().listen(0, '127.0.0.1')
    await once(gone, 'listening')
    const { port } = gone.address() as AddressInfo
    await new Promise((resolve) => gone.close(resolve))
    const good = await serve(answer(200))
    const asked = createHttpClient(base, () => [
      { address: '127.0.0.1', port },
      { address: '127.0.0.1', port: good.port },
    ])
    closing.push(() => asked.close())
    for (let i = 0; i < 20; i++) assert.equal((await asked.check(request(), never)).kind, 'allow')
    assert.equal(good.seen.length, 20)
    let back = 0
    const server = createServer((_message, response) => {
      back++
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    closing.push(() => {
      server.closeAllConnections()
      server.close()
    })
    const late = performance.now() + 5000
    while (back === 0 && performance.now() < late) assert.equal((await asked.check(request(), never)).kind, 'allow')
    assert(back > 0)
  })

  test('is lost while nothing is asked: that is known before the next check', async () => {
    const server = createServer((_message, response) => response.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    let lost: () => void = () => {}
    const known = new Promise<void>((resolve, reject) => {
      // The client itself keeps no process running.
      const timer = setTimeout(() => reject(new Error('it was not told')), 15_000)
      lost = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    const events: ClientEvents = { ...noEvents, providerChanged: (reachable) => reachable || lost() }
    const asked = createHttpClient(base, () => [{ address: '127.0.0.1', port }], { events })
    closing.push(() => asked.close())
    assert.equal((await asked.check(request(), never)).kind, 'allow')
    assert.equal(asked.status().reachable, true)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await known
    assert.equal(asked.status().reachable, false)
  })

  test('is watched: what fails its health checks is passed over', async () => {
    let healthy = true
    const calls: string[] = []
    const serveWatched = (name: string) =>
      serve((message, response) => {
        if (message.url === '/healthz') response.statusCode = name === 'ill' && !healthy ? 503 : 200
        else calls.push(name)
        response.end()
      })
    const [ill, well] = [await serveWatched('ill'), await serveWatched('well')]
    const asked = createHttpClient(base, () => [ill, well].map(({ port }) => ({ address: '127.0.0.1', port })), {
      health: { interval: 20, path: '/healthz' },
    })
    closing.push(() => asked.close())
    healthy = false
    const unhealthy = () => asked.status().endpoints.some(({ state }) => state === 'unhealthy')
    const late = performance.now() + 5000
    while (!unhealthy() && performance.now() < late) await new Promise((resolve) => setTimeout(resolve, 10))
    calls.length = 0
    for (let i = 0; i < 20; i++) assert.equal((await asked.check(request(), never)).kind, 'allow')
    assert.deepEqual([...new Set(calls)], ['well'])
  })

  test('is asked with what is left of the time when a check is made again', async () => {
    const told: number[] = []
    const { port } = await serve((message, response) => {
      told.push(Number(message.headers['x-envoy-expected-rq-timeout-ms']))
      if (told.length === 2) setTimeout(() => response.destroy(), 60)
      else response.end()
    })
    const asked = client(port)
    assert.equal((await asked.check(request(), never)).kind, 'allow')
    assert.equal((await asked.check(request(), never)).kind, 'allow')
    const [, before = 0, again = 0] = told
    assert.equal(before, 2000)
    assert(again <= 1945 && again > 1000, String(told))
  })
})
