import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { test } from 'node:test'
import { MetricsRegistry } from '../observe/metrics.ts'
import type { Policies } from './chain.ts'
import { createProxy } from './proxy.ts'
import {
  allowed,
  ask,
  asking,
  deferred,
  inbound,
  policies,
  silent,
  startApplication,
  startProxy,
} from './support.test.fixture.ts'

const denying: Policies = policies({ decide: () => ({ kind: 'deny', phase: 'deny', policy: 'p' }) })

/** One request on a given connection. */
async function over(socket: net.Socket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  const [chunk] = await once(socket, 'data')
  return String(chunk).slice(9, 12)
}

test('a reload under load drops nothing and takes effect on open connections', async (t) => {
  const app = await startApplication(t, (_request, response) => setImmediate(() => response.end('ok')))
  const config = inbound(app.port)
  const running = await startProxy(t, { inbound: [config] })
  const port = running.port()
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 })
  t.after(() => agent.destroy())
  const statuses: number[] = []
  let stop = false
  const load = Array.from({ length: 20 }, async () => {
    while (!stop) statuses.push((await ask(port, { agent })).status)
  })
  for (let i = 0; i < 20; i++) {
    const result = await running.proxy.apply({ inbound: [{ ...config, policies: policies() }], outbound: [] })
    assert.equal(result.kind, 'applied')
    await ask(port)
  }
  stop = true
  await Promise.all(load)
  assert.ok(statuses.length >= 20)
  assert.deepEqual(new Set(statuses), new Set([200]))

  const socket = net.connect({ port, host: '127.0.0.1' })
  assert.equal(await over(socket, '/'), '200')
  await running.proxy.apply({ inbound: [{ ...config, policies: denying }], outbound: [] })
  assert.equal(await over(socket, '/'), '403')
  assert.equal(running.port(), port)
  socket.destroy()
})

test('a request keeps the policies that it began with', async (t) => {
  const app = await startApplication(t, (_request, response) => response.end('ok'))
  const asked = deferred()
  const answer = deferred()
  const config = inbound(app.port, {
    policies: asking(async () => {
      asked.resolve()
      await answer.promise
      return allowed
    }),
  })
  const running = await startProxy(t, { inbound: [config] })
  const pending = ask(running.port())
  await asked.promise
  await running.proxy.apply({ inbound: [{ ...config, policies: denying }], outbound: [] })
  answer.resolve()
  assert.equal((await pending).status, 200)
  assert.equal((await ask(running.port())).status, 403)
})

test('a listener that cannot open leaves everything as it was', async (t) => {
  const taken = net.createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const { port } = taken.address() as net.AddressInfo
  const app = await startApplication(t, (_request, response) => response.end('ok'))
  const config = inbound(app.port)
  const running = await startProxy(t, { inbound: [config] })
  const bad = { ...config, id: 'second', listen: { host: '127.0.0.1', port } }
  const result = await running.proxy.apply({ inbound: [{ ...config, policies: denying }, bad], outbound: [] })
  assert.deepEqual(result, {
    kind: 'failed',
    errors: [
      {
        ...{ kind: 'listenError', id: 'second', host: '127.0.0.1', port, code: 'EADDRINUSE' },
        message: `127.0.0.1:${port} is in use by another process`,
      },
    ],
  })
  assert.equal((await ask(running.port())).status, 200)
  assert.equal(running.proxy.ready, true)

  const alone = createProxy(
    { inbound: [bad], outbound: [] },
    { log: silent, metrics: new MetricsRegistry(), decisions: null },
  )
  assert.equal((await alone.start()).kind, 'failed')
  assert.equal(alone.ready, false)
  await alone.close(0)
})

test('a new listener opens, one that is gone finishes what it has begun and accepts nothing more', async (t) => {
  const began = deferred()
  const answer = deferred()
  const app = await startApplication(t, async (request, response) => {
    if (request.url === '/slow') {
      began.resolve()
      await answer.promise
    }
    response.end('ok')
  })
  const first = inbound(app.port, { id: 'first' })
  const running = await startProxy(t, { inbound: [first] })
  const port = running.port('first')
  const slow = ask(port, { path: '/slow', headers: { connection: 'keep-alive' } })
  await began.promise
  const result = await running.proxy.apply({ inbound: [inbound(app.port, { id: 'second' })], outbound: [] })
  assert.equal(result.kind, 'applied')
  assert.equal((await ask(running.port('second'))).status, 200)
  await assert.rejects(ask(port), { code: 'ECONNREFUSED' })
  answer.resolve()
  const finished = await slow
  assert.equal(finished.status, 200)
  assert.equal(finished.headers.connection, 'close')
})

test('close lets requests finish, and ends those that do not', async (t) => {
  const arrived = deferred()
  let waiting: http.ServerResponse | null = null
  const app = await startApplication(t, (_request, response) => {
    waiting = response
    arrived.resolve()
  })
  const running = await startProxy(t, { inbound: [inbound(app.port)] })
  const idle = net.connect({ port: running.port(), host: '127.0.0.1' })
  await once(idle, 'connect')
  const idleGone = once(idle, 'close')
  idle.on('error', () => {})
  const request = ask(running.port())
  await arrived.promise
  const closed = running.proxy.close(1000)
  const response = waiting as http.ServerResponse | null
  response?.end('done')
  assert.equal((await request).body, 'done')
  await closed
  await idleGone

  const hanging = await startProxy(t, { inbound: [inbound(app.port)] })
  const lost = assert.rejects(ask(hanging.port()))
  await new Promise((resolve) => app.server.once('request', resolve))
  await hanging.proxy.close(50)
  await lost
})
