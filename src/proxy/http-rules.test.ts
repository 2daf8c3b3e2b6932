import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as net from 'node:net'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import type { Facts } from '../policy/facts.ts'
import { ask, echo, inbound, policies, raw, startApplication, startProxy } from './support.test.fixture.ts'

const HOST = 'Host: web\r\n'

/** Sends a request whose connection ends with the answer; returns the status line's code. */
async function status(port: number, text: string): Promise<number> {
  const answer = await raw(port, text)
  const match = /^HTTP\/1\.1 (\d{3})/.exec(answer)
  return match === null ? 0 : Number(match[1])
}

async function sidecar(t: TestContext) {
  const app = await startApplication(t, echo)
  return await startProxy(t, { inbound: [inbound(app.port)] })
}

test('requests that Envoy refuses are refused with its status', async (t) => {
  const port = (await sidecar(t)).port()
  const many = Array.from({ length: 100 }, (_, i) => `x-${i}: 1\r\n`).join('')
  const table: readonly (readonly [string, number, string])[] = [
    ['Host missing', 400, 'GET / HTTP/1.1\r\n\r\n'],
    ['Host twice', 400, `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
    ['Host with a list', 400, 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n'],
    ['Host with a slash', 400, 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
    ['Host with user information', 400, 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n'],
    ['Host with half a bracket', 400, 'GET / HTTP/1.1\r\nHost: [::1\r\n\r\n'],
    ['a port beyond 65535 in the target', 400, `GET http://a:65536/ HTTP/1.1\r\n${HOST}\r\n`],
    ['no port in the target', 400, `GET http://a:/ HTTP/1.1\r\n${HOST}\r\n`],
    ['two hosts in the target', 400, `GET http://a,b/ HTTP/1.1\r\n${HOST}\r\n`],
    ['an escape in the target\u2019s host', 400, `GET http://a%2fb/ HTTP/1.1\r\n${HOST}\r\n`],
    ['user information twice', 400, `GET http://a@b@c/ HTTP/1.1\r\n${HOST}\r\n`],
    ['user information alone', 400, `GET http://a@/ HTTP/1.1\r\n${HOST}\r\n`],
    ['another scheme', 400, `GET ftp://a/ HTTP/1.1\r\n${HOST}\r\n`],
    ['OPTIONS *', 404, `OPTIONS * HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`],
    ['GET *', 400, `GET * HTTP/1.1\r\n${HOST}\r\n`],
    ['a target without a path', 200, `GET http://a HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`],
    ['a target with a query only', 404, `GET http://a?x HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`],
    ['a target with a fragment only', 400, `GET http://a#x HTTP/1.1\r\n${HOST}\r\n`],
    ['a method that Envoy does not know', 400, `M-SEARCH / HTTP/1.1\r\n${HOST}\r\n`],
    ['a method in lower case', 400, `get / HTTP/1.1\r\n${HOST}\r\n`],
    ['a method of WebDAV', 200, `PROPFIND / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`],
    ['CONNECT', 404, `CONNECT a:1 HTTP/1.1\r\n${HOST}\r\n`],
    ['CL and TE', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['TE and CL', 400, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n`],
    ['two CL', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\na`],
    ['CL as a list', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 1, 1\r\n\r\na`],
    ['CL with a sign', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: +1\r\n\r\na`],
    ['empty CL', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: \r\n\r\n`],
    ['TE gzip, chunked', 501, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['TE twice', 400, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
    ['HTTP/1.0', 426, `GET / HTTP/1.0\r\n${HOST}\r\n`],
    ['HTTP/1.0 with a target that is none', 400, `GET * HTTP/1.0\r\n${HOST}\r\n`],
    ['HTTP/1.2', 400, `GET / HTTP/1.2\r\n${HOST}\r\n`],
    ['obs-fold', 400, `GET / HTTP/1.1\r\n${HOST}a: b\r\n c\r\n\r\n`],
    ['bare CR in a value', 400, `GET / HTTP/1.1\r\n${HOST}a: b\rc: d\r\n\r\n`],
    ['bare CR as line end', 400, `GET / HTTP/1.1\r${HOST}\r\n`],
    ['bare LF', 400, `GET / HTTP/1.1\n${HOST}\n`],
    ['space before the colon', 400, `GET / HTTP/1.1\r\n${HOST}a : b\r\n\r\n`],
    ['NUL in a value', 400, `GET / HTTP/1.1\r\n${HOST}a: b\0c\r\n\r\n`],
    ['a head of 17 KB', 200, `GET / HTTP/1.1\r\n${HOST}a: ${'b'.repeat(17_000)}\r\nConnection: close\r\n\r\n`],
    ['a head of 62 KB', 431, `GET / HTTP/1.1\r\n${HOST}a: ${'b'.repeat(62_000)}\r\n\r\n`],
    ['100 fields', 200, `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n${many.slice(0, many.lastIndexOf('x-98'))}\r\n`],
    ['101 fields', 431, `GET / HTTP/1.1\r\n${HOST}${many}\r\n`],
    ['unknown upgrade', 403, `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: foo\r\n\r\n`],
    ['Connection names Host', 400, `GET / HTTP/1.1\r\n${HOST}Connection: host\r\n\r\n`],
    ['Connection names XFF', 400, `GET / HTTP/1.1\r\n${HOST}Connection: x-forwarded-for\r\n\r\n`],
    ['Connection names nine', 200, `GET / HTTP/1.1\r\n${HOST}Connection: close, a,b,c,d,e,f,g,,,h\r\n\r\n`],
    ['Connection names ten', 400, `GET / HTTP/1.1\r\n${HOST}Connection: close, a,b,c,d,e,f,g,h,i\r\n\r\n`],
    ['a length beyond counting', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 9007199254740993\r\n\r\n`],
    ['an unknown expectation', 200, `GET / HTTP/1.1\r\n${HOST}Connection: close\r\nExpect: foo\r\n\r\n`],
    ['NUL in the path', 400, `GET /a%00b HTTP/1.1\r\n${HOST}\r\n`],
    ['space in the path', 400, `GET /a b HTTP/1.1\r\n${HOST}\r\n`],
    ['a byte over 7F in the path', 400, `GET /\u00e4 HTTP/1.1\r\n${HOST}\r\n`],
    ['bad chunk size', 400, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n`],
    ['garbage', 400, 'garbage\r\n\r\n'],
  ]
  for (const [name, expected, text] of table) assert.equal(await status(port, text), expected, name)
})

test('a refused framing is never a second request for the application', async (t) => {
  const seen: string[] = []
  const app = await startApplication(t, (request, response) => {
    seen.push(request.url ?? '')
    request.resume().on('end', () => response.end())
  })
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n'
  const attempts = [
    `POST /1 HTTP/1.1\r\n${HOST}Content-Length: ${smuggled.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `POST /2 HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${smuggled}`,
    `POST /3 HTTP/1.1\r\n${HOST}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    `POST /4 HTTP/1.1\r\n${HOST}Transfer-Encoding:\u000bchunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `POST /5 HTTP/1.1\r\n${HOST}X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `GET /6 HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: foo\r\n\r\n${smuggled}`,
    `GET /7 HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\n${smuggled}`,
    `CONNECT web:80 HTTP/1.1\r\n${HOST}\r\n${smuggled}`,
  ]
  for (const attempt of attempts) await raw(port, attempt)
  assert.deepEqual(seen, [])
})

test('policies see the target, host and headers that the application gets', async (t) => {
  const app = await startApplication(t, echo)
  const facts: Facts[] = []
  const running = await startProxy(t, {
    inbound: [
      inbound(app.port, {
        policies: policies({
          decide: (seen) => {
            facts.push(seen)
            return { kind: 'allow', policy: null }
          },
        }),
      }),
    ],
  })
  const answer = await raw(
    running.port(),
    'GET http://Other:8000/x/../y?q#f HTTP/1.1\r\nHost: web\r\nConnection: close, authorization\r\nAuthorization: Bearer x\r\n' +
      'TE: gzip, trailers\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nX-Forwarded-For: 9.9.9.9, 1.2.3.4\r\n' +
      'X-Forwarded-Client-Cert: URI=spiffe://forged\r\nx-envoy-retry-on: 5xx\r\nx-envoy-other: kept\r\n\r\n',
  )
  const seen = facts[0] as Facts
  assert.equal(seen.path, '/y?q')
  assert.equal(seen.urlPath, '/y')
  assert.equal(seen.host, 'Other:8000')
  assert.equal(seen.scheme, 'http')
  assert.equal(seen.destinationPort, 8000)
  assert.deepEqual(seen.remoteIp, { v6: false, a: 0x01020304, b: 0, c: 0, d: 0 })
  assert.deepEqual(seen.sourceIp, { v6: false, a: 0x7f000001, b: 0, c: 0, d: 0 })
  const names = [...(seen.headers ?? [])].map(([name]) => name)
  assert.deepEqual(names, ['te', 'x-forwarded-for', 'x-envoy-other', 'x-forwarded-proto', 'x-request-id'])
  assert.equal(seen.headers?.get('te'), 'trailers')
  const got = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1))
  assert.equal(got.url, '/y?q')
  const fields = new Map<string, string>()
  for (let i = 0; i < got.rawHeaders.length; i += 2) fields.set(got.rawHeaders[i], got.rawHeaders[i + 1])
  assert.equal(fields.get('host'), 'Other:8000')
  assert.equal(fields.get('x-forwarded-proto'), 'http')
  assert.match(fields.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/)
  assert.ok(!fields.has('authorization') && !fields.has('x-forwarded-client-cert') && !fields.has('x-envoy-retry-on'))
})

test('headers of which Envoy keeps one value are judged and forwarded as one', async (t) => {
  const app = await startApplication(t, echo)
  const facts: Facts[] = []
  const decide = (seen: Facts) => {
    facts.push(seen)
    return { kind: 'allow', policy: null } as const
  }
  const port = (await startProxy(t, { inbound: [inbound(app.port, { policies: policies({ decide }) })] })).port()
  const answer = await raw(
    port,
    `GET / HTTP/1.1\r\n${HOST}Connection: close\r\nAuthorization: Bearer a\r\nX-User: a\r\nUser-Agent:\r\nX-Forwarded-For: 6.6.6.6\r\n` +
      'AUTHORIZATION: Bearer b\r\nX-User: b\r\nUser-Agent: bad\r\nX-Forwarded-For:\r\nUser-Agent:\r\n\r\n',
  )
  const { rawHeaders } = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as {
    rawHeaders: string[]
  }
  const lines = (name: string) => rawHeaders.flatMap((text, i) => (rawHeaders[i - 1] === name && i % 2 ? [text] : []))
  for (const [name, expected] of [
    ['authorization', ['Bearer a,Bearer b']],
    ['x-user', ['a', 'b']],
    ['user-agent', ['bad']],
    ['x-forwarded-for', ['6.6.6.6']],
  ] as const) {
    assert.deepEqual(facts[0]?.headers?.all(name), expected)
    assert.deepEqual(lines(name), expected)
  }
  assert.deepEqual(facts[0]?.remoteIp, { v6: false, a: 0x06060606, b: 0, c: 0, d: 0 })
})

test('the host of an absolute target is judged without its user information', async (t) => {
  const app = await startApplication(t, echo)
  const hosts: string[] = []
  const decide = ({ host }: Facts) => {
    hosts.push(host)
    return { kind: 'allow', policy: null } as const
  }
  const port = (await startProxy(t, { inbound: [inbound(app.port, { policies: policies({ decide }) })] })).port()
  for (const [target, host] of [
    ['http://a@denied.example/', 'denied.example'],
    ['http://a:b@denied.example:8000/?x@y', 'denied.example:8000'],
    ['HTTP://@Denied.example/?x', 'Denied.example'],
    ['http://[::1]:80/', '[::1]:80'],
    ['http://denied.example/a@b', 'denied.example'],
  ] as const) {
    const answer = await raw(port, `GET ${target} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)
    assert.equal(hosts.at(-1), host, target)
    assert.ok(answer.includes(`"host","${host}"`), target)
  }
})

test('the scheme is that of an absolute target, whatever the connection and X-Forwarded-Proto say', async (t) => {
  const app = await startApplication(t, echo)
  const schemes: string[] = []
  const decide = ({ scheme }: Facts) => {
    schemes.push(scheme)
    return { kind: 'allow', policy: null } as const
  }
  const port = (await startProxy(t, { inbound: [inbound(app.port, { policies: policies({ decide }) })] })).port()
  for (const target of ['/a', 'http://x/a', 'HTTPS://x/a']) {
    const answer = await raw(
      port,
      `GET ${target} HTTP/1.1\r\n${HOST}X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n`,
    )
    assert.match(answer, /^HTTP\/1\.1 200/)
  }
  assert.deepEqual(schemes, ['https', 'http', 'https'])
})

test('an offer of HTTP/2 is ignored and the request served', async (t) => {
  const port = (await sidecar(t)).port()
  const answer = await raw(
    port,
    `POST /h2c HTTP/1.1\r\n${HOST}Connection: close, Upgrade, HTTP2-Settings, x-secret\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nX-Secret: 1\r\nContent-Length: 2\r\n\r\nhi`,
  )
  assert.match(answer, /^HTTP\/1\.1 200/)
  assert.match(answer, /"url":"\/h2c"/)
  assert.match(answer, /"body":"hi"/)
  assert.doesNotMatch(answer, /settings|x-secret/i)
})

test('a client that never closes its side of a refused connection does not hold it', async (t) => {
  const app = await startApplication(t, (_request, response) => response.writeHead(418).end())
  const deny = ({ urlPath }: Facts) =>
    urlPath === '/denied'
      ? ({ kind: 'deny', phase: 'deny', policy: 'ns[foo]-policy[p]-rule[0]' } as const)
      : ({ kind: 'allow', policy: null } as const)
  const port = (await startProxy(t, { inbound: [inbound(app.port, { policies: policies({ decide: deny }) })] })).port()
  const upgrade = (path: string, to: string) =>
    `GET ${path} HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: ${to}\r\n\r\n`
  const attempts = [
    ['403', upgrade('/', 'foo')],
    ['403', upgrade('/denied', 'websocket')],
    ['418', upgrade('/', 'websocket')],
    ['404', `CONNECT a:1 HTTP/1.1\r\n${HOST}\r\n`],
    ['400', 'garbage\r\n\r\n'],
    ['426', `GET / HTTP/1.0\r\n${HOST}\r\n`],
  ] as const
  await Promise.all(
    attempts.map(async ([code, text]) => {
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      t.after(() => socket.destroy())
      let answer = ''
      socket.on('data', (chunk) => {
        answer += chunk
      })
      socket.write(text)
      await once(socket, 'end')
      assert.equal(answer.slice(9, 12), code)
      // Whether the other side is gone shows in what becomes of further bytes.
      const more = setInterval(() => socket.write('x'), 100)
      const late = setTimeout(() => socket.destroy(new Error(`${code} keeps its connection`)), 5_000)
      let failure: NodeJS.ErrnoException | null = null
      socket.on('error', (error) => {
        failure = error
      })
      await new Promise((resolve) => socket.once('close', resolve))
      clearInterval(more)
      clearTimeout(late)
      assert.match(String(failure), /EPIPE|ECONNRESET/)
    }),
  )
})

test('pipelined requests are answered in order', async (t) => {
  const running = await sidecar(t)
  const one = (path: string, last = false) =>
    `GET ${path} HTTP/1.1\r\n${HOST}${last ? 'Connection: close\r\n' : ''}\r\n`
  const answer = await raw(running.port(), one('/1') + one('/2') + one('/3', true))
  assert.deepEqual(answer.match(/"url":"[^"]*"/g), ['"url":"/1"', '"url":"/2"', '"url":"/3"'])
})

test('what is sent behind a request that takes its time is not read ahead', async (t) => {
  let release = () => {}
  const app = await startApplication(t, (request, response) => {
    if (request.url === '/0') release = () => response.end()
    else request.resume().on('end', () => response.end(request.url))
  })
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  const socket = net.connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  let answers = ''
  const done = new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk) => {
      answers += chunk
      if (answers.includes('/last')) resolve()
    })
    socket.on('close', () => reject(new Error('cut off')))
  })
  // Far more than may wait: they fill the connection instead of the proxy's memory.
  const count = 300
  socket.write(`GET /0 HTTP/1.1\r\n${HOST}\r\n`)
  for (let i = 1; i < count; i++) {
    const length = i > 200 && i % 20 === 0 ? 100_000 : 0
    const head = `POST /${i} HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\nX: ${'x'.repeat(30_000)}\r\n\r\n`
    socket.write(head + 'b'.repeat(length))
  }
  socket.write(`GET /last HTTP/1.1\r\n${HOST}\r\n`)
  for (let i = 0; i < 20; i++) await ask(port, { path: '/other' })
  release()
  await done
  const order = [...answers.matchAll(/\r\n\r\n\/(\d+)/g)].map(([, n]) => Number(n))
  assert.deepEqual(
    order,
    Array.from({ length: count - 1 }, (_, i) => i + 1),
  )
})

test('one who pipelines without end is cut off', async (t) => {
  const app = await startApplication(t, () => {})
  const port = (await startProxy(t, { inbound: [inbound(app.port)] })).port()
  assert.equal(await raw(port, `GET / HTTP/1.1\r\n${HOST}\r\n`.repeat(200)), '')
})

test('a request id and a forwarded protocol of the client are kept', async (t) => {
  const port = (await sidecar(t)).port()
  const answer = await ask(port, { headers: { 'x-request-id': 'mine', 'x-forwarded-proto': 'https' } })
  const { rawHeaders } = JSON.parse(answer.body)
  assert.equal(rawHeaders[rawHeaders.indexOf('x-request-id') + 1], 'mine')
  assert.equal(rawHeaders[rawHeaders.indexOf('x-forwarded-proto') + 1], 'https')
})

test('refusals by HTTP rules are in the decision log and the metrics', async (t) => {
  const running = await sidecar(t)
  await raw(running.port(), 'GET /a%00 HTTP/1.1\r\nHost: web\r\n\r\n')
  await raw(running.port(), 'garbage\r\n\r\n')
  const [first, second] = await running.logged(2)
  assert.equal(first?.phase, 'http')
  assert.equal(first?.status, 400)
  assert.equal(first?.details, 'path_normalization_failed')
  assert.equal(second?.details, 'http1.codec_error')
  assert.match(
    running.metrics.render(),
    /sallyport_requests_total\{workload="foo\/httpbin",decision="deny",phase="http"\} 2/,
  )
})

test('a slow head is answered with 408', async (t) => {
  const { HttpServer } = await import('./http-server.ts')
  const refused: string[] = []
  const server = new HttpServer<object>(
    {
      request() {},
      upgrade() {},
      closing: () => false,
      refused: (_context, _status, details) => refused.push(details),
    },
    { head: 50, check: 10 },
  )
  t.after(() => server.close())
  const listener = net.createServer((socket) => server.serve(socket, {}))
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  t.after(() => listener.close())
  const answer = await raw((listener.address() as net.AddressInfo).port, 'GET / HTTP/1.1\r\nHost: a\r\nslow: ')
  assert.match(answer, /^HTTP\/1\.1 408/)
  assert.deepEqual(refused, ['request_header_timeout'])
})
