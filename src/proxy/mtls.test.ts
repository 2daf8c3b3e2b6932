import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as net from 'node:net'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import * as tls from 'node:tls'
import type { InboundConfig, WorkloadIdentity } from './config.ts'
import { echo, inbound, policies, raw, startApplication, startProxy, TestCa } from './support.test.fixture.ts'

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
  const { ca, port } = await sidecar(t, 'STRICT')
  const stranger = await (await TestCa.create()).identity(FRONTEND)
  const expired = await ca.identity(FRONTEND, new Date(Date.now() - 1000))
  const foreign = await ca.identity('spiffe://other/ns/default/sa/frontend')
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const identity of [null, stranger, expired, foreign]) {
      const answer = await over(port, identity, { maxVersion })
      assert.equal(answer.text, '')
    }
  }
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

test('a connection ends when the certificate of its peer expires', async (t) => {
  const { ca, port, running } = await sidecar(t, 'STRICT')
  const brief = await ca.identity(FRONTEND, new Date(Date.now() + 1500))
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    cert: brief.certificate,
    key: brief.key,
    rejectUnauthorized: false,
  })
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  await once(socket, 'secureConnect')
  socket.write(request)
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200/)
  await new Promise((resolve) => setTimeout(resolve, 2500))
  socket.on('error', () => {})
  socket.write(request)
  await once(socket, 'close')
  assert.equal((await running.logged(2))[1]?.details, 'peer_certificate_expired')
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

test('what a reload no longer accepts ends open connections at their next request', async (t) => {
  const { ca, config, frontend, port, running } = await sidecar(t, 'PERMISSIVE')
  if (config.mtls.mode === 'DISABLE') assert.fail()
  const { identity } = config.mtls
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  const served = async (socket: net.Socket) => {
    socket.write(request)
    assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200/)
  }
  const ends = async (socket: net.Socket, details: string) => {
    const before = running.entries.length
    let answer = ''
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        answer += chunk
      })
    socket.write(request)
    await once(socket, 'close')
    assert.equal(answer, '')
    assert.equal((await running.logged(before + 1)).at(-1)?.details, details)
  }
  const apply = (mtls: InboundConfig['mtls']) => running.proxy.apply({ inbound: [{ ...config, mtls }], outbound: [] })
  const secure = async () => {
    const { certificate: cert, key } = frontend
    const ALPNProtocols = ['istio']
    const socket = tls.connect({ host: '127.0.0.1', port, cert, key, ALPNProtocols, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    return socket
  }
  const plain = net.connect(port, '127.0.0.1')
  const peers = [await secure(), await secure()] as const
  for (const socket of [plain, ...peers]) await served(socket)

  await apply({ mode: 'STRICT', identity: await ca.identity(BACKEND) })
  await ends(plain, 'plaintext_under_strict_mtls')
  for (const socket of peers) await served(socket)

  const bundle = `${(await TestCa.create()).pem}\n${ca.pem}`
  await apply({ mode: 'STRICT', identity: { ...identity, ca: [bundle] } })
  for (const socket of peers) await served(socket)

  // The bundle's other root goes again: whose it was cannot be told from the leaf.
  await apply({ mode: 'STRICT', identity })
  await ends(peers[0], 'peer_identity_refused')
  const fresh = await secure()
  await served(fresh)

  const stranger = { ...identity, identifyPeer: () => ({ kind: 'refused', reason: 'foreign trust domain' }) as const }
  await apply({ mode: 'STRICT', identity: stranger })
  await ends(fresh, 'peer_identity_refused')
  await ends(peers[1], 'peer_identity_refused')
})
