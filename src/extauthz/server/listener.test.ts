import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { request as requestHttps } from 'node:https'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import grpc from '@grpc/grpc-js'
import { type CertificateAuthority, createDevelopmentCa } from '../../authn/certificate-authority.ts'
import { type Authorizer, type AuthorizerOptions, allow, createAuthorizer, type ListenOptions } from '../index.ts'
import { check, get, recording, silent } from './grpc-peers.test.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-listener-'))
const running: (() => unknown)[] = []
after(async () => {
  await Promise.all(running.map((end) => end()))
  rmSync(folder, { recursive: true, force: true })
})

const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
const otherCa = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })

/** A file that appears whole. */
function write(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
  return path
}

function identity(account: string, issuer: CertificateAuthority = ca, namespace = 'istio-system') {
  return issuer.issue({ namespace, serviceAccount: account })
}

async function start(listen: ListenOptions, options: Partial<AuthorizerOptions> = {}): Promise<Authorizer> {
  const authorizer = createAuthorizer({ check: () => allow(), logger: silent, ...options })
  running.push(() => authorizer.close({ grace: 0 }))
  await authorizer.listen(listen)
  return authorizer
}

describe('TLS', () => {
  const server = ca.issue({ namespace: 'default', serviceAccount: 'authz' })
  let files: { certificate: string; key: string; clientCa: string }
  before(() => {
    files = {
      certificate: write('tls.crt', server.chain),
      key: write('tls.key', server.key),
      clientCa: write('ca.crt', ca.roots),
    }
  })

  async function secured(tls: object, options: Partial<AuthorizerOptions> = {}) {
    const authorizer = createAuthorizer({ check: () => allow(), logger: silent, ...options })
    running.push(() => authorizer.close({ grace: 0 }))
    const listener = { listen: '127.0.0.1:0', tls: { certificate: files.certificate, key: files.key, ...tls } }
    const { grpc: first, http: second } = await authorizer.listen({ grpc: listener, http: listener })
    assert(first && second)
    return { authorizer, grpcPort: first.port, httpPort: second.port }
  }

  /** Asks once over gRPC; the gRPC status of a call that fails. */
  async function askGrpc(port: number, own?: { chain: string; key: string }): Promise<string> {
    const { credentials } = grpc
    const secure = credentials.createSsl(
      Buffer.from(ca.roots),
      own && Buffer.from(own.key),
      own && Buffer.from(own.chain),
      { checkServerIdentity: () => undefined },
    )
    const client = new grpc.Client(`127.0.0.1:${port}`, secure)
    try {
      const response = await check(client, get('/'), { deadline: Date.now() + 5000 })
      return response.status?.code === 0 ? 'allowed' : 'denied'
    } catch (error) {
      return grpc.status[(error as grpc.ServiceError).code] as string
    } finally {
      client.close()
    }
  }

  async function askHttp(port: number, own?: { chain: string; key: string }): Promise<number | string> {
    const secret = own === undefined ? {} : { cert: own.chain, key: own.key }
    const options = {
      host: '127.0.0.1',
      port,
      ca: ca.roots,
      checkServerIdentity: () => undefined,
      agent: false,
      ...secret,
    }
    try {
      const [response] = await once(requestHttps(options).end(), 'response')
      response.resume()
      return response.statusCode
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'error'
    }
  }

  test('both forms are served behind it, and not in cleartext', async () => {
    const { grpcPort, httpPort } = await secured({})
    assert.equal(await askGrpc(grpcPort), 'allowed')
    assert.equal(await askHttp(httpPort), 200)
    const plain = new grpc.Client(`127.0.0.1:${grpcPort}`, grpc.credentials.createInsecure())
    await assert.rejects(check(plain, get('/'), { deadline: Date.now() + 5000 }))
    plain.close()
  })

  test('with roots for clients, only their certificates are let in', async () => {
    const { grpcPort, httpPort } = await secured({ clientCa: files.clientCa })
    const known = identity('gateway')
    const stranger = identity('gateway', otherCa)
    assert.equal(await askGrpc(grpcPort, known), 'allowed')
    assert.equal(await askHttp(httpPort, known), 200)
    for (const own of [undefined, stranger]) {
      assert.equal(await askGrpc(grpcPort, own), 'UNAVAILABLE')
      assert.notEqual(await askHttp(httpPort, own), 200)
    }
  })

  test('of those only whom the list names, before anything is judged', async () => {
    let judged = 0
    const { logger, lines } = recording()
    const { authorizer, grpcPort, httpPort } = await secured(
      {
        clientCa: files.clientCa,
        allow: ['spiffe://cluster.local/ns/istio-system/sa/*', 'spiffe://cluster.local/ns/a/sa/b'],
      },
      {
        logger,
        check() {
          judged++
          return allow()
        },
      },
    )
    assert.equal(await askGrpc(grpcPort, identity('gateway')), 'allowed')
    assert.equal(await askGrpc(grpcPort, identity('b', ca, 'a')), 'allowed')
    assert.equal(judged, 2)
    assert.equal(await askGrpc(grpcPort, identity('bb', ca, 'a')), 'UNAVAILABLE')
    assert.equal(await askHttp(httpPort, identity('x', ca, 'istio-system-2')), 'ECONNRESET')
    assert.equal(judged, 2)
    const [message, fields] = lines[0] as [string, Record<string, unknown>]
    assert.equal(message, 'a connection was refused')
    assert.deepEqual([fields.why, fields.reason], ['peer', 'spiffe://cluster.local/ns/a/sa/bb is not allowed'])
    assert.match(authorizer.metrics(), /refused_total\{authorizer="authorizer",listener="grpc",reason="peer"\} [1-9]/)
  })

  test('a client that speaks of no HTTP/2 is not served gRPC', async () => {
    const { grpcPort } = await secured({})
    const options = { host: '127.0.0.1', port: grpcPort, ca: ca.roots, checkServerIdentity: () => undefined }
    const socket: TLSSocket = connectTls(options)
    socket.on('error', () => {})
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    const bytes: Buffer[] = []
    socket.on('data', (chunk) => bytes.push(chunk))
    await once(socket, 'close')
    assert.equal(Buffer.concat(bytes).length, 0)
    const other = connectTls({ ...options, ALPNProtocols: ['http/1.1'] })
    const [error] = await once(other, 'error')
    assert.match(error.code, /ALPN|NO_APPLICATION_PROTOCOL/)
  })

  test('replaced files are used from the next connection on, and those that there are go on', async () => {
    const { grpcPort } = await secured({})
    const session = connectHttp2(`https://127.0.0.1:${grpcPort}`, {
      ca: ca.roots,
      checkServerIdentity: () => undefined,
    })
    const ask = async () => {
      const stream = session.request({
        ':path': '/no.such/Method',
        ':method': 'POST',
        'content-type': 'application/grpc',
      })
      const [fields] = await once(stream.end(), 'response')
      return fields['grpc-status']
    }
    assert.equal(await ask(), '12')
    const next = otherCa.issue({ namespace: 'default', serviceAccount: 'authz' })
    // One after the other, as a tool would: between the two nothing fits together.
    write('tls.crt', next.chain)
    write('tls.key', next.key)
    const issuerSeen = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls({
          host: '127.0.0.1',
          port: grpcPort,
          rejectUnauthorized: false,
          ALPNProtocols: ['h2'],
        })
        socket.once('error', reject)
        socket.once('secureConnect', () => {
          const serial = socket.getPeerX509Certificate()?.serialNumber ?? ''
          socket.destroy()
          resolve(serial)
        })
      })
    const before = await issuerSeen()
    let now = before
    for (let tries = 0; tries < 200 && now === before; tries++) {
      // Nobody tells when the files have been read again.
      await new Promise((resolve) => setTimeout(resolve, 25))
      now = await issuerSeen()
    }
    assert.notEqual(now, before)
    assert.equal(await ask(), '12')
    session.close()
    write('tls.crt', server.chain)
    write('tls.key', server.key)
  })

  test('files that cannot be used are refused before anything listens', async () => {
    const authorizer = createAuthorizer({ check: () => allow(), logger: silent })
    const key = write('other.key', identity('x').key)
    const tls = { certificate: files.certificate, key }
    await assert.rejects(
      authorizer.listen({ grpc: { listen: '127.0.0.1:0', tls } }),
      /the key is not the certificate's/,
    )
    const listenWith = (tls: object) =>
      createAuthorizer({ check: () => allow(), logger: silent }).listen({
        http: { listen: '127.0.0.1:0', tls: { certificate: files.certificate, key: files.key, ...tls } },
      })
    await assert.rejects(listenWith({ allow: ['spiffe://a/b'] }), /tls.allow needs tls.clientCa/)
    await assert.rejects(listenWith({ allow: [], clientCa: files.clientCa }), /lets nobody in/)
    await assert.rejects(listenWith({ allow: ['spiffe://*'], clientCa: files.clientCa }), /no whole trust domain/)
    await assert.rejects(listenWith({ clientCa: join(folder, 'none') }), /ENOENT/)
  })

  test('a handshake that never ends is no obstacle to a close', async () => {
    const { authorizer, grpcPort } = await secured({})
    const socket = connect(grpcPort, '127.0.0.1')
    await once(socket, 'connect')
    socket.on('error', () => {})
    socket.write(Buffer.from([0x16, 0x03, 0x01]))
    const closed = once(socket, 'close')
    assert.equal(await askGrpc(grpcPort), 'allowed')
    await authorizer.close({ grace: 100 })
    await closed
  })
})

describe('unix sockets', () => {
  const path = join(folder, 'a.sock')
  const listen = (mode?: number) => ({ grpc: { listen: `unix:${path}`, ...(mode === undefined ? {} : { mode }) } })

  test('gRPC is served there with the permissions that were asked for, and the file goes with the server', async () => {
    const authorizer = await start(listen(0o660))
    assert.equal(statSync(path).mode & 0o777, 0o660)
    const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure())
    assert.equal((await check(client, get('/'))).status?.code, 0)
    client.close()
    await authorizer.close()
    assert.equal(existsSync(path), false)
    assert.deepEqual(
      readdirSync(folder).filter((name) => /^\.[0-9a-f]{8}$/.test(name)),
      [],
      'nothing else is left',
    )
  })

  test('HTTP is served there', async () => {
    await start({ http: `unix:${join(folder, 'h.sock')}` })
    const socket = connect({ path: join(folder, 'h.sock') })
    socket.end('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
    let text = ''
    for await (const chunk of socket.setEncoding('utf8')) text += chunk
    assert.match(text, /^HTTP\/1\.1 200 /)
  })

  test('a socket that nobody listens on is replaced, one that is listened on is not', async () => {
    // A process that is killed leaves its file behind: so does this one, whose file gets another name meanwhile.
    const left = createServer()
    left.listen(join(folder, 'left.sock'))
    await once(left, 'listening')
    renameSync(join(folder, 'left.sock'), path)
    left.close()
    assert.equal(existsSync(path), true)
    const authorizer = await start(listen())
    await assert.rejects(start(listen()), { code: 'EADDRINUSE', message: /another process listens there/ })
    assert.equal(existsSync(path), true)
    const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure())
    assert.equal((await check(client, get('/'))).status?.code, 0)
    client.close()
    await authorizer.close()
  })

  test('what is no socket is left alone', async () => {
    writeFileSync(path, 'precious')
    await assert.rejects(start(listen()), { code: 'EADDRINUSE', message: /no socket/ })
    rmSync(path)
    symlinkSync(join(folder, 'nowhere'), path)
    await assert.rejects(start(listen()), { code: 'EADDRINUSE', message: /no socket/ })
    rmSync(path)
    await assert.rejects(start({ grpc: `unix:${join(folder, 'no', 'a.sock')}` }), { code: /ENOENT|EACCES/ })
    await assert.rejects(start({ grpc: 'unix:a.sock' }), /whole path/)
  })

  test('a file that somebody else has put there since is not removed', async () => {
    const authorizer = await start(listen())
    rmSync(path)
    writeFileSync(path, 'precious')
    await authorizer.close()
    assert.equal(existsSync(path), true)
    rmSync(path)
  })
})

test('connections beyond the limit are closed, and counted', async () => {
  const authorizer = createAuthorizer({ check: () => allow(), logger: silent })
  const { http } = await authorizer.listen({ http: '127.0.0.1:0' })
  assert(http)
  running.push(() => authorizer.close({ grace: 0 }))
  const sockets: Socket[] = []
  running.push(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (let i = 0; i < 1000; i++) {
    const socket = connect(http.port, '127.0.0.1')
    socket.on('error', () => {})
    sockets.push(socket)
    if (i % 100 === 99) await once(socket, 'connect')
  }
  const late = connect(http.port, '127.0.0.1')
  late.on('error', () => {})
  await once(late, 'close')
  assert.match(authorizer.metrics(), /connections\{authorizer="authorizer",listener="http"\} 1000/)
  assert.match(authorizer.metrics(), /refused_total\{authorizer="authorizer",listener="http",reason="connections"\} 1/)
  // Those that have been let in are served.
  sockets[500]?.end('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  const [answer] = await once(sockets[500] as Socket, 'data')
  assert.match(String(answer), /^HTTP\/1\.1 200 /)
})
