import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as net from 'node:net'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import * as tls from 'node:tls'
import type { InboundConfig, WorkloadIdentity } from './config.ts'
import { deferred, echo, inbound, policies, raw, startApplication, startProxy, TestCa } from './support.test.fixture.ts'

const BACKEND = 'spiffe://cluster.local/ns/default/sa/backend'
const FRONTEND = 'spiffe://cluster.local/ns/default/sa/frontend'

async function sidecar(t: TestContext, mode: 'PERMISSIVE' | 'STRICT', change: Partial<InboundConfig> = {}) {
  const ca = await TestCa.create()
  const backend = await ca.identity(BACKEND)
  const frontend = await ca.identity(FRONTEND)
  const app = await startApplication(t, echo)
  const config = inbound(app.port, { mtls: { mode, identity: backend }, ...change })
  const running = await startProxy(t, { inbound: [config] })
  return { ca, backend, frontend, config, running, port: running.port() }
}

interface TlsAnswer {
  readonly text: string
  readonly alpn: string | false | null
  readonly error: string | null
}

/** One request over TLS; `identity` null shows no certificate. */
function over(
  port: number,
  identity: WorkloadIdentity | null,
  options: tls.ConnectionOptions = {},
  text = 'GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n',
): Promise<TlsAnswer> {
  return new Promise((resolve) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ['istio-http/1.1', 'istio', 'http/1.1'],
      ...(identity === null ? {} : { cert: identity.certificate, key: identity.key }),
      ...options,
    })
    const chunks: Buffer[] = []
    let alpn: string | false | null = null
    let error: string | null = null
    socket.on('secureConnect', () => {
      alpn = socket.alpnProtocol
      socket.write(text)
    })
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', (failure: NodeJS.ErrnoException) => {
      error = failure.code ?? failure.message
    })
    socket.on('close', () => resolve({ text: Buffer.concat(chunks).toString(), alpn, error }))
  })
}

test('STRICT takes mTLS and closes plaintext without an answer', async (t) => {
  const { frontend, port, running } = await sidecar(t, 'STRICT')
  const answer = await over(port, frontend)
  assert.match(answer.text, /^HTTP\/1\.1 200/)
  assert.equal(answer.alpn, 'http/1.1')
  assert.equal(await raw(port, 'GET / HTTP/1.1\r\nHost: web\r\n\r\n'), '')
  const entries = await running.logged(2)
  assert.equal(entries[0]?.request.source.principal, 'cluster.local/ns/default/sa/frontend')
  assert.deepEqual(
    [entries[1]?.phase, entries[1]?.status, entries[1]?.details],
    ['peer', null, 'plaintext_under_strict_mtls'],
  )
})

test('policies and the application know the peer; a forged certificate header is appended to, not believed', async (t) => {
  let peer = ''
  const { frontend, port } = await sidecar(t, 'STRICT', {
    policies: policies({
      decide: (facts) => {
        peer = `${facts.peer} ${facts.sni} ${facts.scheme}`
        return { kind: 'allow', policy: null }
      },
    }),
  })
  const answer = await over(
    port,
    frontend,
    { servername: 'Outbound_.8000_._.Backend' },
    'GET / HTTP/1.1\r\nHost: web\r\nX-Forwarded-Client-Cert: URI=forged\r\nConnection: close\r\n\r\n',
  )
  assert.equal(peer, `${FRONTEND} outbound_.8000_._.backend https`)
  assert.ok(answer.text.includes(`"x-forwarded-client-cert","URI=forged,By=${BACKEND};URI=${FRONTEND}"`), answer.text)
})

test('no certificate, one of another CA, one that expired and one of a foreign trust domain are refused', async (t) => {
  const { ca, port, running } = await sidecar(t, 'STRICT')
  const stranger = await (await TestCa.create()).identity(FRONTEND)
  const expired = await ca.identity(FRONTEND, new Date(Date.now() - 1000))
  const foreign = await ca.identity('spiffe://other/ns/default/sa/frontend')
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const identity of [null, stranger, expired, foreign]) {
      const answer = await over(port, identity, { maxVersion })
      assert.equal(answer.text, '')
    }
  }
  const counted = [...running.metrics.render().matchAll(/^sallyport_peers_refused_total\{.*reason="(\w+)"\} (\d+)$/gm)]
  assert.deepEqual(Object.fromEntries(counted.map(([, reason, count]) => [reason, Number(count)])), {
    ...{ no_certificate: 2, expired: 2, foreign_trust_domain: 2 },
    // Both CAs have the same name, and the certificate tells no more of its issuer.
    untrusted_chain: 2,
  })
})

test('PERMISSIVE takes plaintext and sidecars, and resets other TLS', async (t) => {
  const { frontend, port } = await sidecar(t, 'PERMISSIVE')
  assert.match(await raw(port, 'GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 200/)
  for (const ALPNProtocols of [
    ['istio'],
    ['istio-peer-exchange', 'istio'],
    ['istio-http/1.0'],
    ['istio', 'http/1.1'],
  ]) {
    assert.match((await over(port, frontend, { ALPNProtocols })).text, /^HTTP\/1\.1 200/, ALPNProtocols.join())
  }
  for (const ALPNProtocols of [[], ['http/1.1'], ['h2', 'http/1.1'], ['istio-h2', 'istio', 'h2']]) {
    const answer = await over(port, frontend, { ALPNProtocols })
    assert.deepEqual([answer.text, answer.alpn], ['', null], ALPNProtocols.join())
  }
})

test('STRICT takes any ALPN but another version of HTTP', async (t) => {
  const { frontend, port } = await sidecar(t, 'STRICT')
  for (const ALPNProtocols of [[], ['http/1.1'], ['h2', 'http/1.1'], ['custom']]) {
    assert.match((await over(port, frontend, { ALPNProtocols })).text, /^HTTP\/1\.1 200/, ALPNProtocols.join())
  }
  for (const ALPNProtocols of [['h2'], ['istio-h2', 'istio', 'h2']]) {
    assert.equal((await over(port, frontend, { ALPNProtocols })).text, '', ALPNProtocols.join())
  }
})

test('a ClientHello that comes in pieces is read, one that never ends is not', async (t) => {
  const { frontend, port } = await sidecar(t, 'PERMISSIVE')
  const relay = net.createServer((client) => {
    const upstream = net.connect({ port, host: '127.0.0.1', noDelay: true })
    client.on('error', () => {})
    upstream.on('error', () => {})
    client.once('data', async (hello) => {
      client.pause()
      for (let i = 0; i < hello.length; i += 100) {
        upstream.write(hello.subarray(i, i + 100))
        await new Promise((resolve) => setImmediate(resolve))
      }
      client.pipe(upstream)
    })
    upstream.pipe(client)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.after(() => relay.close())
  assert.match((await over((relay.address() as net.AddressInfo).port, frontend)).text, /^HTTP\/1\.1 200/)
  assert.equal(await raw(port, Buffer.concat([Buffer.from([0x16, 3, 1, 0x40, 1]), Buffer.alloc(20_000)])), '')
  assert.equal(await raw(port, Buffer.from([0x16, 0, 0, 0, 1, 1])), '')
})

test('sessions are not resumed', async (t) => {
  const { frontend, port } = await sidecar(t, 'STRICT')
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = {
      host: '127.0.0.1',
      port,
      cert: frontend.certificate,
      key: frontend.key,
      rejectUnauthorized: false,
      maxVersion,
    }
    const first = tls.connect(options)
    await once(first, 'secureConnect')
    const sessions: Buffer[] = []
    first.on('session', (session) => sessions.push(session))
    first.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await once(first, 'data')
    const session = sessions.at(-1) ?? first.getSession()
    first.destroy()
    const second = tls.connect({ ...options, ...(session === undefined ? {} : { session }) })
    await once(second, 'secureConnect')
    assert.equal(second.isSessionReused(), false)
    second.destroy()
  }
})

/** A connection of a sidecar; it goes when the test ends. */
async function secure(t: TestContext, port: number, { certificate: cert, key }: WorkloadIdentity) {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    cert,
    key,
    ALPNProtocols: ['istio'],
    rejectUnauthorized: false,
  })
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

async function served(socket: net.Socket): Promise<void> {
  socket.write(request)
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200/)
}

test('an idle connection ends when the certificate of its peer expires, and others stay', async (t) => {
  const { ca, frontend, port, running } = await sidecar(t, 'STRICT')
  const brief = await secure(t, port, await ca.identity(FRONTEND, new Date(Date.now() + 1500)))
  const lasting = await secure(t, port, frontend)
  for (const socket of [brief, lasting]) await served(socket)
  await once(brief, 'close')
  await served(lasting)
  assert.match(running.metrics.render(), /sallyport_peers_refused_total\{workload="foo\/httpbin",reason="expired"\} 1/)
})

test('a request under way ends before its connection does, whose peer has expired', async (t) => {
  const ca = await TestCa.create()
  const finish = deferred()
  const app = await startApplication(t, async (_, response) => {
    response.write('begun ')
    await finish.promise
    response.end('and ended')
  })
  const identity = await ca.identity(BACKEND)
  const running = await startProxy(t, { inbound: [inbound(app.port, { mtls: { mode: 'STRICT', identity } })] })
  const socket = await secure(t, running.port(), await ca.identity(FRONTEND, new Date(Date.now() + 1500)))
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.write(request)
  while (!running.metrics.render().includes('reason="expired"} 1')) await delay(50)
  assert.match(text, /begun/)
  finish.resolve()
  await once(socket, 'close')
  assert.match(text, /and ended/)
})

test('a WebSocket ends when the certificate of its peer expires', async (t) => {
  const ca = await TestCa.create()
  const app = await startApplication(t, echo)
  app.server.on('upgrade', (_, socket: net.Socket) => {
    t.after(() => socket.destroy())
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  const identity = await ca.identity(BACKEND)
  const running = await startProxy(t, { inbound: [inbound(app.port, { mtls: { mode: 'STRICT', identity } })] })
  const socket = await secure(t, running.port(), await ca.identity(FRONTEND, new Date(Date.now() + 1500)))
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n')
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 101/)
  socket.on('error', () => {}).resume()
  await once(socket, 'close')
})

test('a TCP connection ends when the certificate of its peer expires', async (t) => {
  const { ca, port } = await sidecar(t, 'STRICT', { protocol: 'tcp' })
  const socket = await secure(t, port, await ca.identity(FRONTEND, new Date(Date.now() + 1500)))
  socket.on('error', () => {}).resume()
  await served(socket)
  await once(socket, 'close')
})

test('certificate and root are rotated under load without a dropped connection or request', async (t) => {
  const { ca, backend, config, frontend, port, running } = await sidecar(t, 'STRICT')
  const next = await TestCa.create()
  const both = [`${next.pem}\n${ca.pem}`]
  const sockets = await Promise.all([frontend, frontend, frontend].map((one) => secure(t, port, one)))
  const ended: unknown[] = []
  for (const socket of sockets) socket.on('close', () => ended.push('close')).on('error', (error) => ended.push(error))
  let stop = false
  let count = 0
  const load = sockets.map(async (socket) => {
    for (; !stop; count++) await served(socket)
  })
  const apply = async (identity: WorkloadIdentity) => {
    await running.proxy.apply({ inbound: [{ ...config, mtls: { mode: 'STRICT', identity } }], outbound: [] })
    const before = count
    while (count < before + 20) await delay(5)
  }
  await apply({ ...backend, ca: both })
  await apply({ ...(await next.identity(BACKEND)), ca: both })
  const renewed = await secure(t, port, await next.identity(FRONTEND))
  await served(renewed)
  stop = true
  await Promise.all(load)
  assert.deepEqual(ended, [])
  // The old root goes: its peers' connections end though they are idle, those of the new root stay.
  const closed = Promise.all(sockets.map((socket) => once(socket, 'close')))
  await running.proxy.apply({
    inbound: [{ ...config, mtls: { mode: 'STRICT', identity: { ...(await next.identity(BACKEND)), ca: [next.pem] } } }],
    outbound: [],
  })
  await served(renewed)
  await closed
  await served(renewed)
  assert.match(running.metrics.render(), /reason="root_removed"\} 3/)
})

test('a root that goes while a handshake is under way lets nobody in', async (t) => {
  const { config, frontend, port, running } = await sidecar(t, 'STRICT')
  if (config.mtls.mode === 'DISABLE') assert.fail()
  const { identity } = config.mtls
  const held: Buffer[] = []
  let release = () => {}
  let holding = () => {}
  const certificateHeld = new Promise<void>((resolve) => {
    holding = resolve
  })
  // Hands on the ClientHello, and keeps the client's certificate until it is told to.
  const relay = net.createServer((client) => {
    const server = net.connect(port, '127.0.0.1')
    let passing = true
    client.on('data', (chunk) => {
      if (passing) server.write(chunk)
      else {
        held.push(chunk)
        holding()
      }
      passing = false
    })
    release = () => {
      for (const chunk of held) server.write(chunk)
    }
    server.on('data', (chunk) => client.write(chunk)).on('close', () => client.destroy())
    client.on('error', () => {}).on('close', () => server.destroy())
    server.on('error', () => {})
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.after(() => relay.close())
  const socket = tls.connect({
    ...{ host: '127.0.0.1', port: (relay.address() as net.AddressInfo).port, rejectUnauthorized: false },
    ...{ cert: frontend.certificate, key: frontend.key },
  })
  t.after(() => socket.destroy())
  let answer = ''
  socket
    .on('error', () => {})
    .on('data', (chunk) => {
      answer += chunk
    })
  const closed = once(socket, 'close')
  socket.write('GET / HTTP/1.1\r\nHost: web\r\n\r\n')
  await certificateHeld
  const ca = [(await TestCa.create()).pem]
  await running.proxy.apply({
    inbound: [{ ...config, mtls: { mode: 'STRICT', identity: { ...identity, ca } } }],
    outbound: [],
  })
  release()
  await closed
  assert.equal(answer, '')
  assert.match(running.metrics.render(), /reason="root_removed"\} 1/)
})

test('a reload swaps mode and certificate without a new socket', async (t) => {
  const { ca, config, frontend, port, running } = await sidecar(t, 'STRICT')
  const rotated = await ca.identity(BACKEND)
  const serial = async () => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      cert: frontend.certificate,
      key: frontend.key,
      rejectUnauthorized: false,
    })
    await once(socket, 'secureConnect')
    const found = socket.getPeerX509Certificate()?.serialNumber
    socket.destroy()
    return found
  }
  const before = await serial()
  await running.proxy.apply({ inbound: [{ ...config, mtls: { mode: 'STRICT', identity: rotated } }], outbound: [] })
  assert.notEqual(await serial(), before)
  await running.proxy.apply({ inbound: [{ ...config, mtls: { mode: 'DISABLE' } }], outbound: [] })
  assert.match(await raw(port, 'GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 200/)
})

test('what a reload no longer accepts ends open connections', async (t) => {
  const { ca, config, frontend, port, running } = await sidecar(t, 'PERMISSIVE')
  if (config.mtls.mode === 'DISABLE') assert.fail()
  const { identity } = config.mtls
  const ends = async (socket: net.Socket) => {
    let answer = ''
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        answer += chunk
      })
    socket.write(request)
    await once(socket, 'close')
    assert.equal(answer, '')
  }
  const apply = (mtls: InboundConfig['mtls']) => running.proxy.apply({ inbound: [{ ...config, mtls }], outbound: [] })
  const plain = net.connect(port, '127.0.0.1')
  const peers = [await secure(t, port, frontend), await secure(t, port, frontend)] as const
  for (const socket of [plain, ...peers]) await served(socket)

  await apply({ mode: 'STRICT', identity: await ca.identity(BACKEND) })
  const before = running.entries.length
  await ends(plain)
  assert.equal((await running.logged(before + 1)).at(-1)?.details, 'plaintext_under_strict_mtls')
  for (const socket of peers) await served(socket)

  const bundle = `${(await TestCa.create()).pem}\n${ca.pem}`
  await apply({ mode: 'STRICT', identity: { ...identity, ca: [bundle] } })
  for (const socket of peers) await served(socket)

  // The bundle's other root goes again, which was not theirs.
  await apply({ mode: 'STRICT', identity })
  for (const socket of peers) await served(socket)

  await apply({ mode: 'STRICT', identity: { ...identity, ca: [(await TestCa.create()).pem] } })
  await Promise.all(peers.map(ends))
  await apply({ mode: 'STRICT', identity })
  const fresh = await secure(t, port, frontend)
  await served(fresh)

  const refuse = () => ({ kind: 'refused', cause: 'foreign_trust_domain', reason: 'foreign' }) as const
  await apply({ mode: 'STRICT', identity: { ...identity, identifyPeer: refuse } })
  await ends(fresh)
})

test('a client that leaves before its handshake is over keeps nothing open', async (t) => {
  const { frontend, port, running } = await sidecar(t, 'STRICT')
  const socket = tls.connect({
    ...{ host: '127.0.0.1', port, cert: frontend.certificate, key: frontend.key, ca: frontend.ca[0] },
    // It has seen the server's certificate and ends without a word.
    checkServerIdentity: () => new Error('somebody else'),
  })
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('close', resolve))
  const began = performance.now()
  await running.proxy.close(10_000)
  assert.ok(performance.now() - began < 5000, 'the end of the connection was not seen')
})
