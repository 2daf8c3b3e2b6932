import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as net from 'node:net'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import * as tls from 'node:tls'
import type { CheckOutcome, CheckRequest } from '../extauthz/check.ts'
import type { InboundConfig } from './config.ts'
import { allowed, asking, inbound, policies, raw, startProxy, TestCa } from './support.test.fixture.ts'

/** Greets, then answers each byte it gets in capitals, and ends when the client does. */
async function startServer(t: TestContext, connected: () => void = () => {}): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    connected()
    socket.on('error', () => {})
    socket.write('hello ')
    socket.on('data', (chunk) => socket.write(String(chunk).toUpperCase()))
    socket.on('end', () => socket.end(' bye'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as net.AddressInfo).port
}

async function sidecar(t: TestContext, change: Partial<InboundConfig>, connected?: () => void) {
  const port = await startServer(t, connected)
  return await startProxy(t, { inbound: [inbound(port, { protocol: 'tcp', port: 3306, ...change })] })
}

test('a permitted connection is forwarded both ways, with its half-close', async (t) => {
  const running = await sidecar(t, {})
  assert.equal(await raw(running.port(), 'abc', true), 'hello ABC bye')
  const [entry] = await running.logged(1)
  assert.deepEqual(
    [entry?.decision, entry?.status, entry?.responseStatus, entry?.request.method],
    ['allow', null, null, undefined],
  )
  assert.equal(entry?.request.destination.port, 3306)
})

test('a refused connection closes without a byte, and the application never hears of it', async (t) => {
  let connected = 0
  const running = await sidecar(
    t,
    {
      policies: policies({ decide: (facts) => ({ kind: 'deny', phase: 'allow', policy: facts.http ? 'x' : 'none' }) }),
    },
    () => connected++,
  )
  assert.equal(await raw(running.port(), 'abc'), '')
  assert.equal(await raw(running.port(), ''), '')
  const [entry] = await running.logged(2)
  assert.deepEqual(
    [entry?.decision, entry?.phase, entry?.policy, entry?.details],
    ['deny', 'allow', 'none', 'rbac_access_denied_matched_policy[none]'],
  )
  assert.equal(connected, 0)
})

test('a gRPC provider is asked about connections, an HTTP provider is not', async (t) => {
  const seen: CheckRequest[] = []
  const outcomes: [CheckOutcome, Parameters<typeof asking>[1], string][] = [
    [allowed, {}, 'hello A bye'],
    [{ kind: 'deny', status: 403, headers: [], body: new Uint8Array() }, {}, ''],
    [{ kind: 'error', reason: 'timeout', message: '' }, {}, ''],
    [{ kind: 'error', reason: 'timeout', message: '' }, { failOpen: true }, 'hello A bye'],
  ]
  for (const [outcome, change, expected] of outcomes) {
    const check = (request: CheckRequest) => {
      seen.push(request)
      return outcome
    }
    const running = await sidecar(t, { policies: asking(check, change) })
    assert.equal(await raw(running.port(), 'a', true), expected)
  }
  assert.equal(seen.length, 4)
  assert.ok(seen.every(({ http, destination }) => http === null && destination.port === 3306))
  const http = await sidecar(t, {
    policies: asking(() => assert.fail('asked'), { kind: 'http' } as never),
  })
  assert.equal(await raw(http.port(), 'a', true), 'hello A bye')
})

test('a sidecar connects by mTLS; the own TLS of an application passes a PERMISSIVE port untouched', async (t) => {
  const ca = await TestCa.create()
  const identity = await ca.identity('spiffe://cluster.local/ns/default/sa/backend')
  const frontend = await ca.identity('spiffe://cluster.local/ns/default/sa/frontend')
  const peers: string[] = []
  const watching = policies({
    decide: (facts) => {
      peers.push(`${facts.peer}|${facts.sni}`)
      return { kind: 'allow', policy: null }
    },
  })
  const mtls = { mode: 'PERMISSIVE', identity } as const
  const running = await sidecar(t, { mtls, policies: watching })
  const socket = tls.connect({
    ...{ host: '127.0.0.1', port: running.port(), cert: frontend.certificate, key: frontend.key },
    ...{ rejectUnauthorized: false, ALPNProtocols: ['istio-peer-exchange', 'istio'] },
  })
  await once(socket, 'secureConnect')
  socket.end('abc')
  let text = ''
  for await (const chunk of socket) text += chunk
  assert.equal(text, 'hello ABC bye')
  assert.equal(await raw(running.port(), 'abc', true), 'hello ABC bye')

  const secure = tls.createServer({ cert: identity.certificate, key: identity.key }, (client) => client.end('own TLS'))
  secure.listen(0, '127.0.0.1')
  await once(secure, 'listening')
  t.after(() => secure.close())
  const { port } = secure.address() as net.AddressInfo
  const passing = await startProxy(t, { inbound: [inbound(port, { protocol: 'tcp', mtls, policies: watching })] })
  const own = tls.connect({
    host: '127.0.0.1',
    port: passing.port(),
    servername: 'db.example',
    rejectUnauthorized: false,
  })
  text = ''
  for await (const chunk of own) text += chunk
  assert.equal(text, 'own TLS')
  assert.deepEqual(peers, [`${frontend.id}|`, '|', '|db.example'])
})

test('an application that cannot be reached closes the connection', async (t) => {
  const closed = net.createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as net.AddressInfo
  await new Promise((resolve) => closed.close(resolve))
  const running = await startProxy(t, { inbound: [inbound(port, { protocol: 'tcp' })] })
  assert.equal(await raw(running.port(), 'abc'), '')
})
