import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { test } from 'node:test'
import {
  allowed,
  ask,
  asking,
  deferred,
  echo,
  inbound,
  policies,
  raw,
  startApplication,
  startProxy,
} from './support.test.fixture.ts'
import { UndiciUpstream } from './undici-upstream.ts'

test('order, repeats and case of answer headers come through, without connection fields', async (t) => {
  const app = await startApplication(t, (_request, response) => {
    response.writeHead(201, 'Made', [
      ...['X-B', '1', 'Set-Cookie', 'a=1', 'X-A', '2', 'Set-Cookie', 'b=2', 'Server', 'app'],
      ...['Connection', 'x-hop', 'X-Hop', '1', 'Content-Length', '2'],
    ])
    response.end('ok')
  })
  const running = await startProxy(t, { inbound: [inbound(app.port)] })
  const answer = await ask(running.port())
  assert.equal(answer.status, 201)
  assert.deepEqual(answer.rawHeaders.slice(0, 10), [
    ...['x-b', '1', 'set-cookie', 'a=1', 'x-a', '2', 'set-cookie', 'b=2', 'server', 'app'],
  ])
  assert.ok(!answer.rawHeaders.includes('x-hop'))
  assert.equal(answer.body, 'ok')
})

test('HEAD, 204 and 304 have no body, and trailers of the answer arrive', async (t) => {
  const app = await startApplication(t, (request, response) => {
    if (request.url === '/head') response.writeHead(200, { 'content-length': 5 }).end()
    else if (request.url === '/204') response.writeHead(204).end()
    else if (request.url === '/304') response.writeHead(304, { etag: '"a"' }).end()
    else {
      response.writeHead(200, { trailer: 'x-sum' })
      response.write('body')
      response.addTrailers({ 'x-sum': '1' })
      response.end()
    }
  })
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  const head = await ask(port, { method: 'HEAD', path: '/head' })
  assert.equal(head.headers['content-length'], '5')
  assert.equal((await ask(port, { path: '/204' })).status, 204)
  const notModified = await ask(port, { path: '/304' })
  assert.equal(notModified.status, 304)
  assert.equal(notModified.headers.etag, '"a"')
  const trailed = await ask(port)
  assert.equal(trailed.body, 'body')
  assert.deepEqual({ ...trailed.trailers }, { 'x-sum': '1' })
})

test('20 MB stream through both ways unchanged', async (t) => {
  const size = 20 * 1024 * 1024
  const app = await startApplication(t, (request, response) => {
    response.writeHead(200, { 'content-length': request.headers['content-length'] ?? '0' })
    request.pipe(response)
  })
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  const piece = randomBytes(64 * 1024)
  const expected = createHash('sha256')
  const got = createHash('sha256')
  const headers = { 'content-length': size }
  const request = http.request({ port, host: '127.0.0.1', agent: false, method: 'POST', headers })
  const answered = once(request, 'response')
  const send = (async () => {
    for (let sent = 0; sent < size; sent += piece.length) {
      expected.update(piece)
      if (!request.write(piece)) await once(request, 'drain')
    }
    request.end()
  })()
  const [response] = (await answered) as [http.IncomingMessage]
  for await (const chunk of response) got.update(chunk)
  await send
  assert.equal(got.digest('hex'), expected.digest('hex'))
})

/** What two connections' socket buffers may hold, generously; a proxy that buffers takes all that it is given. */
const IN_TRANSIT = 32 * 1024 * 1024

/** Resolves when the count has stood still for a while. */
async function settled(count: () => number): Promise<number> {
  let last = -1
  while (last !== count()) {
    last = count()
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  return last
}

test('an application that reads nothing holds the client back', async (t) => {
  const app = await startApplication(t, (request) => request.pause())
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  const client = net.connect({ port, host: '127.0.0.1' })
  client.on('error', () => {})
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n')
  let written = 0
  const chunk = Buffer.alloc(64 * 1024)
  const more = () => {
    while (!client.destroyed && client.write(chunk)) written += chunk.length
    client.once('drain', more)
  }
  more()
  const bytes = await settled(() => written)
  client.destroy()
  assert.ok(bytes < IN_TRANSIT, `${bytes} bytes were taken from the client`)
})

test('a client that reads nothing holds the application back', async (t) => {
  let written = 0
  const app = await startApplication(t, (_request, response) => {
    const chunk = Buffer.alloc(64 * 1024)
    const more = () => {
      while (!response.destroyed && response.write(chunk)) written += chunk.length
      response.once('drain', more)
    }
    more()
  })
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  const client = net.connect({ port, host: '127.0.0.1' })
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(client, 'readable')
  const bytes = await settled(() => written)
  client.destroy()
  assert.ok(bytes < IN_TRANSIT, `${bytes} bytes were taken from the application`)
})

test('a client that goes away takes its upstream request with it', async (t) => {
  const gone = deferred()
  const arrived = deferred()
  const app = await startApplication(t, (request) => {
    arrived.resolve()
    request.socket.once('close', gone.resolve)
  })
  const running = await startProxy(t, { inbound: [inbound(app.port)] })
  const client = http.get({ port: running.port(), host: '127.0.0.1', agent: false })
  client.on('error', () => {})
  await arrived.promise
  client.destroy()
  await gone.promise
  const [entry] = await running.logged(1)
  assert.equal(entry?.responseStatus, null)
})

test('a client that goes away while a provider thinks cancels the check and never reaches the application', async (t) => {
  let reached = 0
  const app = await startApplication(t, (_request, response) => {
    reached++
    response.end()
  })
  const asked = deferred()
  const cancelled = deferred()
  const running = await startProxy(t, {
    inbound: [
      inbound(app.port, {
        policies: asking(
          (_request, signal) =>
            new Promise((resolve) => {
              asked.resolve()
              signal.addEventListener('abort', () => {
                cancelled.resolve()
                resolve({ kind: 'error', reason: 'cancelled', message: 'cancelled' })
              })
            }),
          { failOpen: true },
        ),
      }),
    ],
  })
  const client = http.get({ port: running.port(), host: '127.0.0.1', agent: false })
  client.on('error', () => {})
  await asked.promise
  client.destroy()
  await cancelled.promise
  const [entry] = await running.logged(1)
  assert.equal(entry?.details, 'ext_authz_error')
  assert.equal(reached, 0)
})

test('an application that cannot be reached is 503 in the words of Envoy', async (t) => {
  const closed = net.createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as net.AddressInfo
  await new Promise((resolve) => closed.close(resolve))
  const running = await startProxy(t, { inbound: [inbound(port)] })
  const answer = await ask(running.port(), { method: 'POST', body: 'x'.repeat(100_000) })
  assert.equal(answer.status, 503)
  assert.match(
    answer.body,
    /^upstream connect error or disconnect\/reset before headers\. reset reason: remote connection failure/,
  )
  const [entry] = await running.logged(1)
  assert.equal(entry?.decision, 'allow')
  assert.equal(entry?.responseStatus, 503)
  const grpc = await ask(running.port(), { method: 'POST', headers: { 'content-type': 'application/grpc' }, body: 'x' })
  assert.deepEqual([grpc.status, grpc.headers['grpc-status'], grpc.body], [200, '14', ''])
  assert.match(String(grpc.headers['grpc-message']), /^upstream connect error/)
})

test('an application that hangs up gives 503 before its answer and an aborted answer within it', async (t) => {
  const app = await startApplication(t, (request, response) => {
    if (request.url === '/before') request.socket.destroy()
    else {
      response.writeHead(200, { 'content-length': '10' })
      response.write('half', () => response.socket?.destroy())
    }
  })
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  const before = await ask(port, { path: '/before' })
  assert.equal(before.status, 503)
  assert.match(before.body, /connection termination$/)
  await assert.rejects(ask(port, { path: '/within' }), { code: 'ECONNRESET' })
})

test('an application that answers before the body has come is heard, and the connection goes on', async (t) => {
  const app = await startApplication(t, (request, response) => {
    if (request.method === 'POST') response.writeHead(413).end('too much')
    else echo(request, response)
  })
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  for (let i = 0; i < 3; i++) {
    const early = await ask(port, { agent, method: 'POST', body: Buffer.alloc(5_000_000) })
    assert.equal(early.status, 413)
    assert.equal(early.body, 'too much')
    assert.equal((await ask(port, { agent })).status, 200)
  }
})

test('Expect is answered here, after the permit', async (t) => {
  const app = await startApplication(t, echo)
  const running = await startProxy(t, {
    inbound: [
      inbound(app.port, {
        policies: policies({
          decide: (facts) =>
            facts.path === '/no' ? { kind: 'deny', phase: 'allow', policy: 'none' } : { kind: 'allow', policy: null },
        }),
      }),
    ],
  })
  const head = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n`
  assert.match(await raw(running.port(), head('/no')), /^HTTP\/1\.1 403/)
  const client = net.connect({ port: running.port(), host: '127.0.0.1' })
  client.write(head('/yes'))
  const [first] = await once(client, 'data')
  assert.match(String(first), /^HTTP\/1\.1 100 Continue\r\n\r\n$/)
  client.write('hi')
  const [second] = await once(client, 'data')
  assert.match(String(second), /^HTTP\/1\.1 200[\s\S]*"body":"hi"/)
})

test('200 requests at once are all answered', async (t) => {
  const app = await startApplication(t, (request, response) => setImmediate(() => response.end(request.url)))
  const running = await startProxy(t, { inbound: [inbound(app.port)] })
  const port = running.port()
  const agent = new http.Agent({ keepAlive: true, maxSockets: 200 })
  t.after(() => agent.destroy())
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(port, { agent, path: `/${i}` })))
  assert.deepEqual(
    answers.map(({ status, body }) => `${status} ${body}`),
    answers.map((_, i) => `200 /${i}`),
  )
  assert.equal((await running.logged(200)).length, 200)
})

test('an endpoint takes so many requests and no more', async (t) => {
  const app = await startApplication(t, () => {})
  const upstream = new UndiciUpstream({
    endpoint: { kind: 'tcp', host: '127.0.0.1', port: app.port },
    tls: null,
    maxRequests: 1,
  })
  t.after(() => upstream.close(0))
  const failures: string[] = []
  const request = { method: 'GET', path: '/', host: 'a', headers: [], body: null, contentLength: 0 }
  const sink = {
    onHead() {},
    onData: () => true,
    onEnd() {},
    onFailure: ({ reason }: { reason: string }) => void failures.push(reason),
  }
  const first = upstream.send(request, sink)
  upstream.send(request, sink)
  assert.deepEqual(failures, ['overflow'])
  first.cancel()
  upstream.send(request, sink).cancel()
  assert.deepEqual(failures, ['overflow'])
})

test('a WebSocket is joined once both agree, with what either side had sent already', async (t) => {
  const app = await startApplication(t, echo)
  app.server.on('upgrade', (request, socket: net.Socket, head: Buffer) => {
    if (request.url === '/no') {
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno')
      return
    }
    assert.equal(request.headers.upgrade, 'websocket')
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\nhello ',
    )
    assert.equal(head.length, 0)
    socket.once('data', (chunk) => socket.end(chunk))
  })
  const running = await startProxy(t, {
    inbound: [
      inbound(app.port, {
        policies: policies({
          decide: (facts) =>
            facts.path === '/denied' ? { kind: 'deny', phase: 'deny', policy: 'p' } : { kind: 'allow', policy: null },
        }),
      }),
    ],
  })
  const upgrade = (path: string, method = 'GET') =>
    `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\nping`
  const joined = await raw(running.port(), upgrade('/ws'))
  assert.match(joined, /^HTTP\/1\.1 101 [\s\S]*x-a: 1\r\n[\s\S]*\r\n\r\nhello ping$/)
  assert.match(await raw(running.port(), upgrade('/denied')), /^HTTP\/1\.1 403 [\s\S]*RBAC: access denied$/)
  assert.match(await raw(running.port(), upgrade('/no')), /^HTTP\/1\.1 400 [\s\S]*\r\n\r\nno$/)
  // Nothing of the proxy's own comes before the first bytes of the client.
  assert.match(await raw(running.port(), upgrade('/ws', 'POST')), /^HTTP\/1\.1 101 [\s\S]*\r\n\r\nhello ping$/)
  const statuses = (await running.logged(4)).map(({ responseStatus }) => responseStatus)
  assert.deepEqual(statuses, [101, 403, 400, 101])
})

test('a client that goes away before its upgrade is answered takes everything with it', async (t) => {
  const app = await startApplication(t, echo)
  const began = deferred()
  const ended = deferred()
  app.server.on('upgrade', (_request, socket: net.Socket) => {
    began.resolve()
    socket.on('error', () => {}).on('close', () => ended.resolve())
    socket.resume().on('end', () => socket.destroy())
  })
  const waiting = deferred()
  const cancelled = deferred()
  const thinking = asking((request, signal) => {
    if (request.http?.path !== '/asks') return allowed
    waiting.resolve()
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        cancelled.resolve()
        resolve({ kind: 'error', reason: 'cancelled', message: '' })
      })
    })
  })
  const running = await startProxy(t, { inbound: [inbound(app.port, { policies: thinking })] })
  const leave = async (path: string, until: Promise<void>) => {
    const client = net.connect(running.port(), '127.0.0.1')
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly`)
    await until
    client.end()
    await once(client.resume(), 'close')
  }
  await leave('/asks', waiting.promise)
  await cancelled.promise
  await leave('/hangs', began.promise)
  await ended.promise

  const greedy = net.connect(running.port(), '127.0.0.1')
  greedy.on('error', () => {})
  greedy.write('GET /hangs HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  greedy.write(Buffer.alloc(200_000))
  await new Promise((resolve) => greedy.once('close', resolve))
})

test('a connection that the application closed while idle costs no request', async (t) => {
  const sockets: net.Socket[] = []
  const app = await startApplication(t, (request, response) => {
    sockets.push(request.socket)
    response.end('ok')
  })
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  for (let i = 0; i < 5; i++) {
    assert.equal((await ask(port)).status, 200)
    sockets.at(-1)?.destroy()
  }
})

test('an application on a UNIX socket is reached', async (t) => {
  const { mkdtemp, rm } = await import('node:fs/promises')
  const { tmpdir } = await import('node:os')
  const folder = await mkdtemp(`${tmpdir()}/sallyport-`)
  t.after(() => rm(folder, { recursive: true }))
  const path = `${folder}/app.sock`
  const server = http.createServer(echo).listen(path)
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const running = await startProxy(t, { inbound: [inbound(0, { application: { kind: 'unix', path } })] })
  const answer = await ask(running.port(), { path: '/u', headers: { host: 'web' } })
  assert.equal(JSON.parse(answer.body).rawHeaders[1], 'web')
})
