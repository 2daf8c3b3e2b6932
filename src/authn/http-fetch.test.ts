import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { createHttpFetch, type HttpFetchOptions } from './http-fetch.ts'
import { buildCertificate } from './x509/certificate.ts'

const open: Server[] = []
const sockets = new Set<Socket>()
after(() => {
  for (const server of open) {
    server.close()
    server.closeAllConnections()
  }
  for (const socket of sockets) socket.destroy()
})

async function serve(listener: RequestListener, server: Server = createServer()): Promise<number> {
  server.on('request', listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(server)
  return (server.address() as AddressInfo).port
}

async function get(uri: string, options: HttpFetchOptions = {}, { timeout = 5000, maxBytes = 1 << 20 } = {}) {
  const { signal } = new AbortController()
  const fetched = await createHttpFetch(options)(uri, { timeout, maxBytes, signal })
  return fetched.kind === 'ok' ? `ok: ${fetched.body}` : fetched.reason
}

test('a body of 100 MB is cut while it arrives, told or not', async () => {
  let sent = 0
  let closed: () => void = () => {}
  const port = await serve((request, response) => {
    if (request.url === '/told') response.setHeader('content-length', 100_000_000)
    const more = () => {
      while (sent < 100_000_000 && !response.destroyed && response.write(Buffer.alloc(65536, 0x20))) sent += 65536
    }
    response.on('drain', more).on('close', () => closed())
    more()
  })
  for (const path of ['/told', '/chunked']) {
    sent = 0
    const gone = new Promise<void>((resolve) => {
      closed = resolve
    })
    assert.equal(await get(`http://127.0.0.1:${port}${path}`), 'the answer is longer than 1048576 bytes')
    await gone
    // What is on its way in buffers of the system was sent too.
    assert.ok(sent < 20_000_000, `${sent} bytes were taken`)
  }
})

test('a drip of bytes does not outlast the timeout', async () => {
  const port = await serve((_, response) => {
    const timer = setInterval(() => response.write(' '), 5)
    response.on('close', () => clearInterval(timer))
  })
  assert.equal(await get(`http://127.0.0.1:${port}/`, {}, { timeout: 100 }), 'no complete answer within 100 ms')
})

test('a loop of redirects ends, and each step of a chain counts', async () => {
  let requests = 0
  const port = await serve((_, response) => {
    requests++
    response.writeHead(302, { location: '/again' }).end()
  })
  assert.equal(await get(`http://127.0.0.1:${port}/`), 'more than 3 redirects')
  assert.equal(requests, 4)
})

test('a name that DNS leads to a metadata address is not dialled, also after a redirect', async () => {
  const elsewhere = '169.254.169.254'
  const lookup = ((name: string, _: unknown, done: (error: null, addresses: object[]) => void) => {
    if (name === 'mixed.example')
      done(null, [
        { address: elsewhere, family: 4 },
        { address: '127.0.0.1', family: 4 },
      ])
    else done(null, [{ address: elsewhere, family: 4 }])
  }) as unknown as NonNullable<HttpFetchOptions['lookup']>
  const blocked = /is a link-local or metadata address$/
  assert.match(await get('http://rebound.example/', { lookup }), blocked)
  const port = await serve((request, response) => {
    if (request.url === '/keys') response.end('keys')
    else response.writeHead(307, { location: `http://rebound.example${request.url}` }).end()
  })
  assert.match(await get(`http://127.0.0.1:${port}/`, { lookup }), blocked)
  assert.equal(
    await get(`http://mixed.example:${port}/keys`, { lookup }),
    'ok: keys',
    'of several addresses the others',
  )
})

/** A proxy that notes what it is asked for. */
async function startProxy(to: { port: number }) {
  const asked: string[] = []
  const note = (request: IncomingMessage) => {
    asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? '-'}`)
  }
  const server = createServer()
  server.on('connect', (request, client: Socket) => {
    note(request)
    sockets.add(client)
    const target = connect(to.port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      client.pipe(target).pipe(client)
    })
    sockets.add(target)
    for (const socket of [client, target]) socket.on('error', () => {})
  })
  const port = await serve((request, response) => {
    note(request)
    response.end('by proxy')
  }, server)
  return { port, asked }
}

test('a proxy is asked for http by URI and for https by tunnel, and TLS still expects the name', async () => {
  const now = Date.now()
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const [ca, leaf] = [pair(), pair()]
  const common = {
    issuer: { commonName: 'root' },
    issuerPublicKey: ca.publicKey,
    notBefore: now - 60_000,
    notAfter: now + 600_000,
  }
  const root = buildCertificate(
    { ...common, subject: common.issuer, publicKey: ca.publicKey, usage: { kind: 'authority' } },
    ca.privateKey,
  )
  const names = [{ kind: 'dns', name: 'idp.example' }] as const
  const cert = buildCertificate(
    { ...common, subject: {}, publicKey: leaf.publicKey, usage: { kind: 'workload', names } },
    ca.privateKey,
  )
  const key = leaf.privateKey.export({ type: 'pkcs8', format: 'pem' })
  const port = await serve((_, response) => response.end('tunnelled'), createTlsServer({ cert, key }))
  const proxy = await startProxy({ port })
  const uri = `http://user:pass@127.0.0.1:${proxy.port}`
  const options = { ca: [root], proxy: { https: uri, http: `127.0.0.1:${proxy.port}` } }
  assert.equal(await get('https://idp.example/keys?a=b', options), 'ok: tunnelled')
  assert.equal(await get('http://idp.example/keys?a=b', options), 'ok: by proxy')
  assert.match(await get('https://other.example/keys', options), /other\.example/)
  assert.match(
    await get('https://idp.example/keys', { proxy: options.proxy }),
    /unable to verify|unable to get|self-signed/,
  )
  const basic = `Basic ${Buffer.from('user:pass').toString('base64')}`
  assert.deepEqual(proxy.asked, [
    `CONNECT idp.example:443 ${basic}`,
    'GET http://idp.example/keys?a=b -',
    `CONNECT other.example:443 ${basic}`,
    `CONNECT idp.example:443 ${basic}`,
  ])
})

test('what NO_PROXY names, what is on this machine and what the mesh knows is asked directly', async () => {
  const proxy = await startProxy({ port: 1 })
  const port = await serve((_, response) => response.end('direct'))
  const lookup = ((_: string, __: unknown, done: (error: null, addresses: object[]) => void) =>
    done(null, [{ address: '127.0.0.1', family: 4 }])) as unknown as NonNullable<HttpFetchOptions['lookup']>
  const no = ` one.example, .two.example,*.three.example,four.example:${port} ,,10.0.0.0/8,[::1]:80`
  const options = { lookup, proxy: { http: `http://127.0.0.1:${proxy.port}`, no } }
  const way = async (host: string, more: HttpFetchOptions = {}) =>
    (await get(`http://${host}:${port}/`, { ...options, ...more })).replace('ok: ', '')
  for (const host of [
    'one.example',
    'ONE.example.',
    'a.one.example',
    'a.two.example',
    'a.b.three.example',
    'four.example',
  ])
    assert.equal(await way(host), 'direct', host)
  for (const host of ['127.0.0.1', 'localhost']) assert.equal(await way(host), 'direct', host)
  for (const host of ['xone.example', 'two.example', 'three.example', '11.0.0.1'])
    assert.equal(await way(host), 'by proxy', host)
  assert.equal(await way('known.example', { resolve: () => ({ address: '127.0.0.1', port }) }), 'direct')
  assert.equal(await way('x.example', { proxy: { ...options.proxy, no: '*' } }), 'direct')
})

test('a proxy is no way around a metadata address, and one that cannot be used is a reason', async () => {
  const proxy = await startProxy({ port: 1 })
  const http = `http://127.0.0.1:${proxy.port}`
  assert.match(await get('http://169.254.169.254/latest', { proxy: { http } }), /link-local or metadata address/)
  assert.match(await get('http://[fd00:ec2::254]/latest', { proxy: { http } }), /link-local or metadata address/)
  assert.deepEqual(proxy.asked, [])
  assert.equal(
    await get('http://a.example/', { proxy: { http: 'socks5://u:secret@h' } }),
    'a proxy by socks5: is not supported',
  )
  assert.equal(
    await get('http://a.example/', { proxy: { http: 'http://u:secret@' } }),
    'the proxy of the environment is no URI',
  )
  const refusing = createServer().on('connect', (_, socket: Socket) => socket.end('HTTP/1.1 403 No\r\n\r\n'))
  const port = await serve(() => {}, refusing)
  const reason = await get('https://a.example/', { proxy: { https: `http://u:secret@127.0.0.1:${port}` } })
  assert.match(reason, /Proxy response \(403\)/)
})
