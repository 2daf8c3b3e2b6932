import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import * as http from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import * as tls from 'node:tls'
import type { CheckClient, CheckOutcome } from '../extauthz/check.ts'
import { createGrpcClient } from '../extauthz/client/grpc-client.ts'
import { createHttpClient } from '../extauthz/client/http-client.ts'
import { serveGrpc } from '../extauthz/server/transport.test.fixture.ts'
import { HeaderMap } from '../match/header-map.ts'
import type { EndpointTls, MutualTls, OriginatedTls } from '../mesh/endpoint-tls.ts'
import type { HttpProvider } from '../mesh/provider.ts'
import type { WorkloadIdentity } from './config.ts'
import { connectProvider } from './provider-connect.ts'
import { allowed, inbound, provider, startProxy, TestCa } from './support.test.fixture.ts'

const WEB = 'spiffe://cluster.local/ns/default/sa/web'
const AUTHZ = 'spiffe://cluster.local/ns/default/sa/authz'

const grpcProvider = { ...provider, kind: 'grpc', timeout: 5000 } as const
const httpProvider: HttpProvider = {
  ...grpcProvider,
  kind: 'http',
  pathPrefix: '',
  includeRequestHeaders: [],
  includeAdditionalHeaders: [],
  headersToUpstreamOnAllow: [],
  headersToDownstreamOnAllow: [],
  headersToDownstreamOnDeny: [],
}

const mutual: MutualTls = {
  kind: 'istioMutual',
  serverName: 'outbound_.9191_._.authz.default.svc.cluster.local',
  expectedIds: [AUTHZ],
  subjectAltNames: [],
}

async function startGrpc(t: TestContext): Promise<number> {
  const served = await serveGrpc({
    has: () => true,
    // An empty answer allows.
    handle: () => ({ kind: 'message', message: new Uint8Array() }),
  })
  t.after(() => served.close())
  return served.port
}

function client(
  t: TestContext,
  kind: 'grpc' | 'http',
  port: number,
  how: EndpointTls,
  identity: () => WorkloadIdentity | null,
): CheckClient {
  const endpoints = () => [{ address: '127.0.0.1', port }]
  const connect = connectProvider(kind, () => how, identity)
  const made =
    kind === 'grpc'
      ? createGrpcClient(grpcProvider, endpoints, { connect })
      : createHttpClient(httpProvider, endpoints, { connect })
  t.after(() => made.close())
  return made
}

function check(asked: CheckClient): Promise<CheckOutcome> {
  const peer = { ip: '127.0.0.1', port: 1, principal: '' }
  const line = { id: '1', method: 'GET', path: '/', host: 'web', scheme: 'http', protocol: 'HTTP/1.1', body: null }
  const request = { source: peer, destination: peer, time: 0, http: { ...line, headers: HeaderMap.from([]) } }
  return asked.check(request, new AbortController().signal)
}

/** A provider behind a sidecar of its own that demands mutual TLS. */
async function behindSidecar(t: TestContext, kind: 'grpc' | 'http', id = AUTHZ) {
  const ca = await TestCa.create()
  const server = await ca.identity(id)
  const web = await ca.identity(WEB)
  let application: number
  if (kind === 'grpc') application = await startGrpc(t)
  else {
    const plain = http.createServer((_, response) => response.end())
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
    t.after(() => plain.close())
    application = (plain.address() as AddressInfo).port
  }
  // This version's listeners speak no HTTP/2: gRPC passes as a connection.
  const protocol = kind === 'grpc' ? 'tcp' : 'http'
  const config = inbound(application, { mtls: { mode: 'STRICT', identity: server }, protocol })
  const running = await startProxy(t, { inbound: [config] })
  return { ca, web, running, port: running.port() }
}

for (const kind of ['grpc', 'http'] as const) {
  test(`a provider behind a sidecar that is STRICT is asked with the workload's certificate, over ${kind}`, async (t) => {
    const { web, running, port } = await behindSidecar(t, kind)
    const asked = client(t, kind, port, mutual, () => web)
    assert.deepEqual(await check(asked), allowed)
    assert.deepEqual(await check(asked), allowed)
    await asked.close()
    const [entry] = await running.logged(1)
    assert.equal(entry?.request.source.principal, WEB.slice('spiffe://'.length))
    assert.equal(entry?.request.destination.sni, mutual.serverName)
  })

  test(`that sidecar refuses who comes without a certificate, over ${kind}`, async (t) => {
    const { port, running } = await behindSidecar(t, kind)
    const plain = await check(client(t, kind, port, { kind: 'plaintext' }, () => null))
    assert.equal(plain.kind === 'error' && plain.reason, 'unavailable')
    const [entry] = await running.logged(1)
    assert.equal(entry?.details, 'plaintext_under_strict_mtls')
    const nobody = await check(client(t, kind, port, mutual, () => null))
    assert.equal(nobody.kind === 'error' && nobody.reason, 'unavailable')
  })

  test(`an imposter is never asked, over ${kind}`, async (t) => {
    const other = 'spiffe://cluster.local/ns/default/sa/other'
    for (const [id, message] of [
      [other, `the server is ${other}, not ${AUTHZ}`],
      ['spiffe://foreign/ns/default/sa/authz', 'foreign trust domain'],
    ] as const) {
      const { web, port } = await behindSidecar(t, kind, id)
      const outcome = await check(client(t, kind, port, mutual, () => web))
      assert.ok(outcome.kind === 'error' && outcome.reason === 'unavailable', id)
      assert.ok(outcome.message.endsWith(message), outcome.message)
    }
    const { port } = await behindSidecar(t, kind)
    const stranger = await (await TestCa.create()).identity(WEB)
    const outcome = await check(client(t, kind, port, mutual, () => stranger))
    assert.equal(outcome.kind === 'error' && outcome.reason, 'unavailable', 'a CA that the client does not trust')
  })
}

test('a replaced certificate is shown at the next connection', async (t) => {
  const { ca, web, port, running } = await behindSidecar(t, 'grpc')
  let current = web
  const asked = client(t, 'grpc', port, mutual, () => current)
  assert.deepEqual(await check(asked), allowed)
  current = await ca.identity('spiffe://cluster.local/ns/default/sa/renewed')
  assert.deepEqual(await check(asked), allowed, 'the connection that stands goes on')
  const again = client(t, 'grpc', port, mutual, () => current)
  assert.deepEqual(await check(again), allowed)
  await Promise.all([asked.close(), again.close()])
  const principals = (await running.logged(2)).map((entry) => entry.request.source.principal)
  assert.deepEqual(principals.sort(), ['cluster.local/ns/default/sa/renewed', 'cluster.local/ns/default/sa/web'])
})

/** A TLS server of its own that speaks gRPC, whose certificate is `names`. */
async function tlsServer(t: TestContext, names: readonly string[], demand: boolean) {
  const ca = await TestCa.create()
  const server = await ca.server(names)
  const grpc = await startGrpc(t)
  const seen: { alpn: string | false | null; sni: string | false | undefined; peer: string }[] = []
  const listener = tls.createServer(
    {
      ...{ cert: server.certificate, key: server.key, ALPNProtocols: ['h2'] },
      ...(demand ? { requestCert: true, ca: ca.pem } : {}),
    },
    (socket) => {
      const { alpnProtocol: alpn, servername: sni } = socket as tls.TLSSocket & { servername?: string | false }
      seen.push({ alpn, sni, peer: socket.getPeerX509Certificate()?.subjectAltName ?? '' })
      const upstream = connect({ host: '127.0.0.1', port: grpc })
      socket.pipe(upstream).pipe(socket)
      for (const one of [socket, upstream]) one.on('error', () => {})
      socket.on('close', () => upstream.destroy())
    },
  )
  listener.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  t.after(() => listener.close())
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  return { ca, seen, file, port: (listener.address() as AddressInfo).port }
}

test('SIMPLE: h2 by ALPN, the name that was asked for, and the roots of the file', async (t) => {
  const { ca, seen, file, port } = await tlsServer(t, ['authz.example', '*.wild.example'], false)
  const how: OriginatedTls = {
    kind: 'originated',
    serverName: 'authz.example',
    subjectAltNames: ['authz.example'],
    caCertificates: file('ca.pem', ca.pem),
    caCrl: '',
    client: null,
    insecureSkipVerify: false,
  }
  const outcome = async (change: Partial<OriginatedTls>) => {
    const { kind } = await check(client(t, 'grpc', port, { ...how, ...change }, () => null))
    return kind
  }
  assert.equal(await outcome({}), 'allow')
  assert.deepEqual(seen, [{ alpn: 'h2', sni: 'authz.example', peer: '' }])
  assert.equal(await outcome({ subjectAltNames: ['other.example', 'a.wild.example'] }), 'allow')
  assert.equal(await outcome({ subjectAltNames: ['other.example'] }), 'error')
  assert.equal(await outcome({ subjectAltNames: ['other.example'], serverName: 'other.example' }), 'error')
  assert.equal(await outcome({ caCertificates: '' }), 'error', 'the root is none of the platform')
  assert.equal(await outcome({ caCertificates: file('bad.pem', 'no certificate') }), 'error')
  assert.equal(await outcome({ caCertificates: join(tmpdir(), 'there-is-no-such-file') }), 'error')
  assert.equal(await outcome({ caCertificates: '', subjectAltNames: [], insecureSkipVerify: true }), 'allow')
})

test('MUTUAL: the certificate of the files, read anew at each connection', async (t) => {
  const { ca, seen, file, port } = await tlsServer(t, ['authz.example'], true)
  const write = async (id: string) => {
    const { certificate, key } = await ca.identity(id)
    return { certificate: file('cert.pem', certificate), key: file('key.pem', key) }
  }
  const how: OriginatedTls = {
    kind: 'originated',
    serverName: 'authz.example',
    subjectAltNames: ['authz.example'],
    caCertificates: file('ca.pem', ca.pem),
    caCrl: '',
    client: await write('spiffe://cluster.local/ns/a/sa/first'),
    insecureSkipVerify: false,
  }
  assert.equal((await check(client(t, 'grpc', port, how, () => null))).kind, 'allow')
  await write('spiffe://cluster.local/ns/a/sa/second')
  assert.equal((await check(client(t, 'grpc', port, how, () => null))).kind, 'allow')
  assert.equal((await check(client(t, 'grpc', port, { ...how, client: null }, () => null))).kind, 'error')
  assert.deepEqual(
    seen.map(({ peer }) => peer),
    ['URI:spiffe://cluster.local/ns/a/sa/first', 'URI:spiffe://cluster.local/ns/a/sa/second'],
  )
})

test('what must not be called is a failure that names its reason', async (t) => {
  const how: EndpointTls = { kind: 'unusable', reason: 'its DestinationRule names a credential' }
  for (const kind of ['grpc', 'http'] as const) {
    const outcome = await check(client(t, kind, 1, how, () => null))
    assert.ok(outcome.kind === 'error' && outcome.reason === 'unavailable')
    assert.ok(outcome.message.endsWith(how.reason), outcome.message)
  }
})
