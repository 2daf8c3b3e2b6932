import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { request as send } from 'node:http'
import { connect } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../../observe/log.ts'
import type { Authorizer, AuthorizerOptions, AuthorizerRequest } from '../index.ts'
import { allow, createAuthorizer, deny, error } from '../index.ts'

const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
const running: Authorizer[] = []
after(() => Promise.all(running.map((authorizer) => authorizer.close({ grace: 0 }))))

async function start(options: Partial<AuthorizerOptions>): Promise<number> {
  const authorizer = createAuthorizer({ check: () => deny(), logger: silent, ...options })
  running.push(authorizer)
  const { http } = await authorizer.listen({ http: '127.0.0.1:0' })
  assert(http)
  return http.port
}

interface Reply {
  readonly status: number | undefined
  /** Without the headers that Node adds. */
  readonly headers: [string, string][]
  readonly body: string
}

async function ask(
  port: number,
  method: string,
  path: string,
  headers: string[] = ['Host', 'web.foo'],
  body = '',
): Promise<Reply> {
  const message = send({ host: '127.0.0.1', port, method, path, headers, agent: false }).end(body)
  const [response] = await once(message, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('latin1')) text += chunk
  const lines: [string, string][] = []
  for (let i = 0; i < response.rawHeaders.length; i += 2)
    lines.push([response.rawHeaders[i], response.rawHeaders[i + 1]])
  const added = ['date', 'connection', 'content-length', 'keep-alive']
  return {
    status: response.statusCode,
    headers: lines.filter(([name]) => !added.includes(name.toLowerCase())),
    body: text,
  }
}

test('any method and path is asked about, with lines, host and body', async () => {
  const seen: AuthorizerRequest[] = []
  const port = await start({
    check(request) {
      seen.push(request)
      return allow({
        headers: { 'x-team': 'web' },
        removeHeaders: ['a', 'b'],
        responseHeaders: { 'set-cookie': ['c=1', 'd=2'] },
      })
    },
  })
  const headers = [
    'Host',
    'web.foo:8000',
    'X-A',
    '1',
    'x-a',
    '2',
    'x-envoy-auth-partial-body',
    'true',
    'content-length',
    '3',
  ]
  const reply = await ask(port, 'DELETE', '/check//x?y=z', headers, 'abc')
  assert.deepEqual(reply, {
    status: 200,
    headers: [
      ['x-team', 'web'],
      ['set-cookie', 'c=1'],
      ['set-cookie', 'd=2'],
      ['x-envoy-auth-headers-to-remove', 'a, b'],
    ],
    body: '',
  })
  const [request] = seen
  assert(request)
  const { method, path, pathname, host, truncated } = request
  assert.deepEqual(
    { method, path, pathname, host, truncated },
    { method: 'DELETE', path: '/check//x?y=z', pathname: '/check//x', host: 'web.foo:8000', truncated: true },
  )
  assert.equal(request.headers['x-a'], '1,2')
  assert.deepEqual(request.headerLines.slice(0, 2), [
    ['x-a', '1'],
    ['x-a', '2'],
  ])
  assert.equal(request.body.text(), 'abc')
})

test('a denial is sent as it is', async () => {
  const port = await start({
    check: () => deny({ status: 302, headers: { location: '/login', 'x-name': 'ü' }, body: 'go' }),
  })
  assert.deepEqual(await ask(port, 'GET', '/'), {
    status: 302,
    headers: [
      ['location', '/login'],
      ['x-name', Buffer.from('ü', 'utf8').toString('latin1')],
    ],
    body: 'go',
  })
})

const refusals: [string, AuthorizerOptions['check']][] = [
  ['denies with 200', () => deny({ status: 200 })],
  ['denies with 503', () => deny({ status: 503 })],
  [
    'throws',
    () => {
      throw new Error('x')
    },
  ],
  ['splits the response', () => allow({ headers: { a: 'b\r\n\r\nHTTP/1.1 200 OK' } })],
  ['hangs', () => new Promise(() => {})],
  ['sets a parameter, which HTTP cannot carry', () => allow({ query: { tenant: 'a' } })],
  ['removes a parameter', () => allow({ removeQuery: ['debug'] })],
]
for (const [what, check] of refusals) {
  test(`a check that ${what} is answered with 403`, async () => {
    const port = await start({ check, timeout: 20 })
    const reply = await ask(port, 'GET', '/')
    assert.deepEqual([reply.status, reply.headers], [403, []])
  })
}

test('what is appended is sent joined, where the proxy shows what there is', async () => {
  const port = await start({
    check: () =>
      allow({
        headers: { 'x-set': '1' },
        appendHeaders: { 'X-Set': '2', 'x-roles': 'b', cookie: 'c=1', 'x-empty': 'e', 'x-absent': 'no' },
      }),
  })
  const headers = ['Host', 'a', 'X-Roles', 'a', 'x-roles', 'A', 'cookie', 'b=1', 'x-empty', '', 'x-set', 'old']
  const reply = await ask(port, 'GET', '/', headers)
  assert.deepEqual(reply.headers, [
    ['X-Set', '1,2'],
    ['x-roles', 'a,A,b'],
    ['cookie', 'b=1; c=1'],
    ['x-empty', 'e'],
  ])
})

test('without an answer the status is a failure, which the proxy decides about', async () => {
  const port = await start({ check: ({ path }) => error(path === '/' ? {} : { status: 500 }) })
  assert.equal((await ask(port, 'GET', '/')).status, 503)
  assert.equal((await ask(port, 'GET', '/a')).status, 500)
})

test('a check sees every line of a head, and one host', async () => {
  const seen: AuthorizerRequest[] = []
  const port = await start({
    check(request) {
      seen.push(request)
      return request.headers['x-blocked'] === undefined ? allow() : deny()
    },
  })
  const many = Array.from({ length: 2500 }, () => ['a', '1']).flat()
  assert.equal((await ask(port, 'GET', '/', ['Host', 'web', ...many, 'X-Blocked', '1'])).status, 403)
  assert.equal((await ask(port, 'GET', '/', ['Host', 'web', 'host', 'other'])).status, 400)
  assert.equal(seen.length, 1)
})

test('a body above the limit is refused before it is read', async () => {
  const port = await start({ check: () => allow() })
  const socket = connect(port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n')
  socket.write('x'.repeat(4_999_999))
  const [answer] = await once(socket.setEncoding('latin1'), 'data')
  assert.match(answer, /^HTTP\/1\.1 413 /)
  socket.destroy()
})

test('a refusal reaches a client that is still sending', async () => {
  const port = await start({ check: () => allow() })
  const client = connect(port, '127.0.0.1')
  let failure: NodeJS.ErrnoException | null = null
  client.on('error', (error) => {
    failure = error
  })
  client.pause()
  const length = 4 * 1024 * 1024 + 1000
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`)
  await new Promise((written) => client.write(Buffer.alloc(length - 20), written))
  // Were the connection closed behind the refusal, the first of these would be answered with a reset.
  for (let i = 0; i < 10; i++) {
    client.write('xx')
    await delay(20)
  }
  let answer = ''
  client.setEncoding('latin1').on('data', (text) => {
    answer += text
  })
  client.resume()
  if (!client.closed) await once(client, 'close')
  assert.equal(failure, null)
  assert.match(answer, /^HTTP\/1\.1 413 /)
})

test('close ends idle connections and waits for the check under way', async () => {
  let release: (() => void) | undefined
  const entered = new Promise<void>((resolve) => {
    running[running.length] = createAuthorizer({
      logger: silent,
      check: () => {
        resolve()
        return new Promise((answer) => {
          release = () => answer(allow())
        })
      },
    })
  })
  const authorizer = running.at(-1) as Authorizer
  const { http } = await authorizer.listen({ http: '127.0.0.1:0' })
  assert(http)
  const reply = ask(http.port, 'GET', '/')
  await entered
  const closed = authorizer.close()
  release?.()
  assert.equal((await reply).status, 200)
  await closed
})
