import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import * as https from 'node:https'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import type { OriginatedTls } from '../mesh/endpoint-tls.ts'
import type { OutboundConfig, Route, WorkloadIdentity } from './config.ts'
import { ask, echo, inbound, policies, raw, startApplication, startProxy, TestCa } from './support.test.fixture.ts'

const BACKEND = 'spiffe://cluster.local/ns/default/sa/backend'
const FRONTEND = 'spiffe://cluster.local/ns/default/sa/frontend'

function outbound(change: Partial<OutboundConfig> & Pick<OutboundConfig, 'route'>): OutboundConfig {
  return {
    id: 'outbound',
    workload: 'default/frontend',
    listen: { host: '127.0.0.1', port: 0 },
    protocol: 'http',
    port: 80,
    pathMode: 'BASE',
    identity: null,
    ...change,
  }
}

/** A backend behind a STRICT sidecar that tells who called. */
async function backend(t: TestContext, ca: TestCa, protocol: 'http' | 'tcp' = 'http') {
  const identity = await ca.identity(BACKEND)
  const peers: string[] = []
  const app = await startApplication(t, echo)
  const running = await startProxy(t, {
    inbound: [
      inbound(app.port, {
        protocol,
        mtls: { mode: 'STRICT', identity },
        policies: policies({
          decide: (facts) => {
            peers.push(`${facts.peer} ${facts.sni}`)
            return { kind: 'allow', policy: null }
          },
        }),
      }),
    ],
  })
  return { identity, peers, port: running.port(), app }
}

function route(port: number, expectedIds: string[] = [BACKEND]): Route {
  const serverName = 'outbound_.80_._.backend.default.svc.cluster.local'
  return {
    endpoints: [
      { address: '127.0.0.1', port, tls: { kind: 'istioMutual', serverName, expectedIds, subjectAltNames: [] } },
    ],
  }
}

test('an application reaches another workload by mutual TLS and is known there', async (t) => {
  const ca = await TestCa.create()
  const { peers, port } = await backend(t, ca)
  const asked: [string, number][] = []
  const running = await startProxy(t, {
    outbound: [
      outbound({
        identity: await ca.identity(FRONTEND),
        route: (host, to) => {
          asked.push([host, to])
          return route(port)
        },
      }),
    ],
  })
  for (const host of ['Backend', 'backend:8080']) {
    const answer = await ask(running.port('outbound'), {
      method: 'POST',
      path: '/a',
      headers: { host, 'x-forwarded-client-cert': 'URI=forged', 'keep-alive': '1' },
      body: 'hi',
    })
    assert.equal(answer.status, 200)
    const seen = JSON.parse(answer.body)
    assert.equal(seen.body, 'hi')
    assert.ok(seen.rawHeaders.includes(host))
    assert.ok(!answer.body.includes('forged'))
    assert.ok(answer.body.includes(`URI=${FRONTEND}`))
  }
  assert.deepEqual(asked, [
    ['backend', 80],
    ['backend', 8080],
  ])
  assert.equal(peers[0], `${FRONTEND} outbound_.80_._.backend.default.svc.cluster.local`)
})

test('no request reaches a server whose root has gone, also on a connection that is open', async (t) => {
  const ca = await TestCa.create()
  const other = await TestCa.create()
  const { peers, port } = await backend(t, ca)
  const identity = await ca.identity(FRONTEND)
  const config = outbound({ identity, route: () => route(port) })
  const running = await startProxy(t, { outbound: [config] })
  const status = async () => (await ask(running.port('outbound'), { headers: { host: 'backend' } })).status
  const trust = (roots: string[]) =>
    running.proxy.apply({ inbound: [], outbound: [{ ...config, identity: { ...identity, ca: roots } }] })
  assert.equal(await status(), 200)
  await trust([`${ca.pem}\n${other.pem}`])
  assert.equal(await status(), 200)
  await trust([other.pem])
  assert.equal(await status(), 503)
  assert.equal(peers.length, 2)
})

test('a server that is somebody else gets no request', async (t) => {
  const ca = await TestCa.create()
  const { peers, port } = await backend(t, ca)
  const other = await TestCa.create()
  const cases: [WorkloadIdentity | null, Route, RegExp][] = [
    [await ca.identity(FRONTEND), route(port, ['spiffe://cluster.local/ns/default/sa/other']), /the server is spiffe:/],
    [{ ...(await ca.identity(FRONTEND)), ca: [other.pem] }, route(port), /reset reason: remote connection failure/],
    [null, route(port), /no certificate to show/],
  ]
  for (const [identity, to, expected] of cases) {
    const running = await startProxy(t, { outbound: [outbound({ identity, route: () => to })] })
    const answer = await ask(running.port('outbound'), { headers: { host: 'backend' } })
    assert.equal(answer.status, 503)
    assert.match(answer.body, expected)
  }
  assert.deepEqual(peers, [])
})

test('an unknown destination is 502 and says so; endpoints take turns', async (t) => {
  const apps = await Promise.all(
    ['a', 'b'].map((name) => startApplication(t, (_request, response) => response.end(name))),
  )
  const endpoints = apps.map(({ port }) => ({ address: '127.0.0.1', port, tls: null }))
  const running = await startProxy(t, {
    outbound: [outbound({ route: (host) => (host === 'known' ? { endpoints } : null) })],
  })
  const unknown = await ask(running.port('outbound'), { headers: { host: 'nowhere:81' } })
  assert.equal(unknown.status, 502)
  assert.match(unknown.body, /no destination is known for nowhere:81/)
  const bodies: string[] = []
  for (let i = 0; i < 4; i++) bodies.push((await ask(running.port('outbound'), { headers: { host: 'known' } })).body)
  assert.deepEqual(bodies.sort(), ['a', 'a', 'b', 'b'])
  assert.match(running.metrics.render(), /egress_requests_total\{workload="default\/frontend",outcome="unknown"\} 1/)
})

test('a TCP listener has one destination, by mutual TLS too', async (t) => {
  const ca = await TestCa.create()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as net.AddressInfo
  const identity = await ca.identity(BACKEND)
  const peer = await startProxy(t, {
    inbound: [inbound(port, { protocol: 'tcp', mtls: { mode: 'STRICT', identity } })],
  })
  const plain: Route = { endpoints: [{ address: '127.0.0.1', port, tls: null }] }
  const running = await startProxy(t, {
    outbound: [
      outbound({ id: 'plain', protocol: 'tcp', route: () => plain }),
      outbound({ id: 'mtls', protocol: 'tcp', identity: await ca.identity(FRONTEND), route: () => route(peer.port()) }),
      outbound({
        id: 'wrong',
        protocol: 'tcp',
        identity: await ca.identity(FRONTEND),
        route: () => route(peer.port(), ['x']),
      }),
      outbound({ id: 'none', protocol: 'tcp', route: () => null }),
    ],
  })
  assert.equal(await raw(running.port('plain'), 'abc', true), 'abc')
  assert.equal(await raw(running.port('mtls'), 'abc', true), 'abc')
  assert.equal(await raw(running.port('wrong'), 'abc', true), '')
  assert.equal(await raw(running.port('none'), 'abc', true), '')
  const [entry] = await peer.logged(1)
  assert.equal(entry?.request.source.principal, 'cluster.local/ns/default/sa/frontend')
})

test('a DestinationRule has an application reach a server outside of the mesh with TLS', async (t) => {
  const ca = await TestCa.create()
  const { certificate, key } = await ca.server(['api.example'])
  const server = https.createServer({ cert: certificate, key }, echo)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const caCertificates = join(folder, 'ca.pem')
  writeFileSync(caCertificates, ca.pem)
  const { port } = server.address() as net.AddressInfo
  const tls: OriginatedTls = {
    ...{ kind: 'originated', serverName: 'api.example', subjectAltNames: ['api.example'], caCertificates, caCrl: '' },
    ...{ client: null, insecureSkipVerify: false },
  }
  const to = (change: Partial<OriginatedTls>): Route => ({
    endpoints: [{ address: '127.0.0.1', port, tls: { ...tls, ...change } }],
  })
  for (const [change, status] of [
    [{}, 200],
    [{ subjectAltNames: ['other.example'] }, 503],
    [{ caCertificates: join(folder, 'none.pem') }, 503],
  ] as const) {
    const running = await startProxy(t, { outbound: [outbound({ route: () => to(change) })] })
    const answer = await ask(running.port('outbound'), { headers: { host: 'api.example' } })
    assert.equal(answer.status, status, answer.body)
    if (status === 503) assert.match(answer.body, /transport failure reason/)
  }
})
