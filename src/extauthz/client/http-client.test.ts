import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { HeaderMap } from '../../match/header-map.ts'
import type { HttpProvider } from '../../mesh/provider.ts'
import type { CheckOutcome } from '../check.ts'
import { applyChanges } from '../header-changes.ts'
import { allow, createAuthorizer, deny } from '../index.ts'
import { createHttpClient } from './http-client.ts'
import {
  answer,
  base,
  client,
  closeAll,
  closing,
  failed,
  never,
  request,
  serve,
  silent,
} from './http-servers.test.fixture.ts'

afterEach(closeAll)

async function ask(
  settings: Partial<HttpProvider>,
  listener: RequestListener,
  lines: [string, string][] = [],
): Promise<CheckOutcome> {
  const { port } = await serve(listener)
  return client(port, settings).check(request(lines), never)
}

describe('what an HTTP provider is sent', () => {
  const fixed = [
    ['x-envoy-internal', 'true'],
    ['x-envoy-expected-rq-timeout-ms', 'what is left'],
  ]

  test('the original method, target and host; authorization, and no header that is not listed (20, 21)', async () => {
    const { port, seen } = await serve(answer(200))
    const lines: [string, string][] = [
      ['host', 'web.foo:8000'],
      ['cookie', 'a=1'],
      ['authorization', 'Bearer x'],
      ['user-agent', 'curl'],
      ['x-forwarded-for', '1.2.3.4'],
      ['content-type', 'text/plain'],
    ]
    await client(port, { pathPrefix: '/check' }).check(request(lines, '/a?b=c', null, 'DELETE'), never)
    assert.deepEqual(seen, [
      {
        line: 'DELETE /check/a?b=c',
        lines: [
          ['host', 'web.foo:8000'],
          ['authorization', 'Bearer x'],
          ...fixed,
          ['content-length', '0'],
          ['Connection', 'keep-alive'],
        ],
        body: '',
      },
    ])
  })

  test('a prefix with a slash at its end doubles it', async () => {
    const { port, seen } = await serve(answer(200))
    await client(port, { pathPrefix: '/check/' }).check(request([], '/a'), never)
    assert.equal(seen[0]?.line, 'GET /check//a')
  })

  test('listed headers by exact name, prefix and suffix, and additional ones over them', async () => {
    const { port, seen } = await serve(answer(200))
    const settings = {
      includeRequestHeaders: ['X-User-Id', 'x-b*', '*-end', 'content-*', '*'],
      includeAdditionalHeaders: [
        ['X-Mesh', 'cluster.local'],
        ['x-b1', 'ours'],
      ] as const,
    }
    const lines: [string, string][] = [
      ['x-user-id', '1'],
      ['x-user-id', '2'],
      ['x-b1', 'theirs'],
      ['x-b2', 'b'],
      ['x-the-end', 'e'],
      ['x-other', 'o'],
      ['content-type', 'text/plain'],
      ['content-length', '17'],
      ['transfer-encoding', 'chunked'],
      ['x-envoy-auth-partial-body', 'true'],
    ]
    await client(port, settings).check(request(lines), never)
    assert.deepEqual(seen[0]?.lines.slice(1, -4), [
      ['x-user-id', '1,2'],
      ['x-b1', 'ours'],
      ['x-b2', 'b'],
      ['x-the-end', 'e'],
      ['content-type', 'text/plain'],
      ['x-mesh', 'cluster.local'],
    ])
  })

  test('a body goes along as it is, with its length and whether it is whole (26)', async () => {
    const { port, seen } = await serve(answer(200))
    const bytes = Buffer.from([0x30, 0xff, 0x00])
    await client(port).check(request([], '/', { bytes, partial: true }, 'POST'), never)
    await client(port).check(request([], '/', { bytes, partial: false }), never)
    assert.deepEqual(seen[0]?.lines.slice(1, -1), [
      ['x-envoy-auth-partial-body', 'true'],
      ...fixed,
      ['content-length', '3'],
    ])
    assert.deepEqual([seen[0]?.body, seen[1]?.body], ['0\xff\0', '0\xff\0'])
    assert.deepEqual(seen[1]?.lines[1], ['x-envoy-auth-partial-body', 'false'])
  })

  test('checks keep their connection', async () => {
    const { port, seen, sockets } = await serve(answer(200))
    const asked = client(port)
    for (let i = 0; i < 5; i++) await asked.check(request(), never)
    assert.deepEqual([seen.length, sockets.size], [5, 1])
  })
})

describe('what an HTTP provider answers', () => {
  test('200 allows; a repeated header keeps its last value on the request and all on the response (25)', async () => {
    const headers = [
      'x-dup',
      's1',
      'etag',
      'a',
      'x-dup',
      's2',
      'etag',
      'b',
      'x-other',
      'o',
      'x-envoy-auth-headers-to-remove',
      'X-Old, host, , a',
    ]
    const settings = {
      headersToUpstreamOnAllow: ['x-dup', 'etag', 'x-envoy-*'],
      headersToDownstreamOnAllow: ['x-d*', 'x-envoy-*'],
    }
    const outcome = await ask(settings, answer(200, headers, 'ignored'))
    assert.equal(outcome.kind, 'allow')
    const request = HeaderMap.from([
      ['x-dup', 'client'],
      ['x-old', '1'],
    ])
    applyChanges(request, outcome.changes)
    assert.deepEqual(
      [...request],
      [
        ['x-dup', 's2'],
        ['etag', 'a,b'],
      ],
    )
    const response = HeaderMap.from([['x-dup', 'app']])
    applyChanges(response, outcome.responseChanges)
    assert.deepEqual(
      [...response],
      [
        ['x-dup', 'app'],
        ['x-dup', 's1'],
        ['x-dup', 's2'],
      ],
    )
  })

  test('framing headers never reach the request, and host becomes its authority', async () => {
    const settings = { headersToUpstreamOnAllow: ['content-*', 'connection', 'host', 'transfer-encoding'] }
    const headers = ['content-length', '2', 'content-type', 'a/b', 'host', 'b.foo']
    assert.deepEqual(await ask(settings, answer(200, headers, 'no')), {
      kind: 'allow',
      changes: [{ kind: 'set', name: 'content-type', value: 'a/b' }],
      responseChanges: [],
      rewrite: { authority: 'b.foo' },
    })
  })

  for (const status of [201, 204, 206, 302, 400, 401, 403, 404, 429, 499]) {
    test(`${status} denies with ${status} (22)`, async () => {
      const outcome = await ask({}, answer(status))
      assert.deepEqual([outcome.kind, outcome.kind === 'deny' && outcome.status], ['deny', status])
    })
  }

  test('a status that is no final one denies with 403', async () => {
    const outcome = await ask({}, answer(799))
    assert.deepEqual([outcome.kind, outcome.kind === 'deny' && outcome.status], ['deny', 403])
  })

  for (const status of [500, 503, 599]) {
    test(`${status} is a failure (23)`, async () =>
      failed(await ask({}, answer(status)), 'unavailable', new RegExp(`${status}`)))
  }

  const reply = [
    'Set-Cookie',
    'a=1',
    'set-cookie',
    'b=2',
    'Location',
    '/in',
    'WWW-Authenticate',
    'Basic',
    'content-type',
    'application/json',
    'x-a',
    '1',
    'x-b',
    '2',
  ]

  test('an empty list relays all lines of a denial', async () => {
    const outcome = await ask({}, answer(401, ['host', 'evil', ...reply], '{}'))
    assert.deepEqual(outcome, {
      kind: 'deny',
      status: 401,
      headers: [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['location', '/in'],
        ['www-authenticate', 'Basic'],
        ['content-type', 'application/json'],
        ['x-a', '1'],
        ['x-b', '2'],
      ],
      body: Buffer.from('{}'),
    })
  })

  test('a list relays what it names, location and www-authenticate, and no content-type unless named (24)', async () => {
    const outcome = await ask({ headersToDownstreamOnDeny: ['X-A'] }, answer(401, reply, '{}'))
    assert.deepEqual(outcome.kind === 'deny' && outcome.headers, [
      ['location', '/in'],
      ['www-authenticate', 'Basic'],
      ['x-a', '1'],
    ])
  })

  test('our own authorizer allows and denies', async () => {
    const check = ({ path }: { path: string }) =>
      path === '/' ? allow({ headers: { 'x-user': 'ann' } }) : deny({ status: 404 })
    const authorizer = createAuthorizer({ check, logger: silent })
    closing.push(() => authorizer.close({ grace: 0 }))
    const { http } = await authorizer.listen({ http: '127.0.0.1:0' })
    const asked = client(http?.port ?? 0, { headersToUpstreamOnAllow: ['x-user'] })
    assert.deepEqual(await asked.check(request(), never), {
      kind: 'allow',
      changes: [{ kind: 'set', name: 'x-user', value: 'ann' }],
      responseChanges: [],
    })
    const denied = await asked.check(request([], '/no'), never)
    assert.deepEqual([denied.kind, denied.kind === 'deny' && denied.status], ['deny', 404])
  })
})

describe('an HTTP provider that fails', () => {
  /** Answers every connection with raw bytes once something came, and says what to do then. */
  async function raw(bytes: string, end: boolean): Promise<number> {
    const sockets = new Set<Socket>()
    const server = createTcpServer((socket) => {
      sockets.add(socket.on('error', () => {}))
      socket.once('data', () => (end ? socket.end(bytes, 'latin1') : socket.write(bytes, 'latin1')))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closing.push(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    return (server.address() as AddressInfo).port
  }

  test('is not there', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    failed(await client(port).check(request(), never), 'unavailable', /ECONNREFUSED/)
    failed(await createHttpClient(base, () => []).check(request(), never), 'unavailable', /no endpoint/)
  })

  test('hangs', async () => {
    const { port } = await serve(() => {})
    const started = performance.now()
    failed(await client(port, { timeout: 80 }).check(request(), never), 'timeout')
    const took = performance.now() - started
    assert(took >= 75 && took < 600, `took ${took} ms`)
  })

  test('hangs in the middle of its answer', async () => {
    const port = await raw('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab', false)
    failed(await client(port, { timeout: 80 }).check(request(), never), 'timeout')
  })

  const answers: [string, string][] = [
    ['says nothing and closes', ''],
    ['sends garbage', 'garbage\r\n\r\n'],
    ['sends half its headers', 'HTTP/1.1 200 OK\r\nx-a: '],
    ['sends half its body', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab'],
    ['sends a chunk that never ends', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab'],
    ['switches protocols', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
    ['sends informational answers and no other', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(50)],
    ['sends a status of four digits', 'HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n'],
    ['sends two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 1\r\n\r\nx'],
    [
      'sends a length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['sends a coding that nobody asked for', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n'],
    ['sends chunks of a coding', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['sends NUL in a header', 'HTTP/1.1 200 OK\r\nx-a: a\0b\r\ncontent-length: 0\r\n\r\n'],
    ['sends too large a body', `HTTP/1.1 403 No\r\ncontent-length: 4194305\r\n\r\n${'x'.repeat(4_194_305)}`],
  ]
  for (const [what, bytes] of answers) {
    test(what, async () => failed(await client(await raw(bytes, true)).check(request(), never), 'unavailable'))
  }

  test('redirects without saying where to: a denial all the same', async () => {
    const outcome = await ask({}, answer(302))
    assert.deepEqual([outcome.kind, outcome.kind === 'deny' && outcome.status], ['deny', 302])
  })

  test('answers with a status that there is not, and is taken at its first one', async () => {
    const outcome = await client(
      await raw('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 700 What\r\ncontent-length: 0\r\n\r\n', false),
    ).check(request(), never)
    assert.deepEqual([outcome.kind, outcome.kind === 'deny' && outcome.status], ['deny', 403])
  })

  test('closed the connection that was kept', async () => {
    const { port, seen, sockets } = await serve(answer(200))
    const asked = client(port)
    assert.equal((await asked.check(request(), never)).kind, 'allow')
    for (const socket of sockets) socket.resetAndDestroy()
    assert.equal((await asked.check(request(), never)).kind, 'allow')
    assert.equal(seen.length, 2)
  })

  test('is no longer waited for', async () => {
    const abort = new AbortController()
    const { port, sockets } = await serve(() => abort.abort())
    failed(await client(port).check(request(), abort.signal), 'cancelled')
    await Promise.all([...sockets].map((socket) => socket.destroyed || once(socket, 'close')))
  })

  test('is asked what cannot be written: nothing is sent, and nothing is left behind', async () => {
    const { port, seen } = await serve(answer(200))
    const asked = createHttpClient(base, () => [{ address: '127.0.0.1', port }], { maxConnections: 1 })
    closing.push(() => asked.close())
    for (let i = 0; i < 3; i++) failed(await asked.check(request([], '/a b'), never), 'invalid', /could not be written/)
    assert.equal((await asked.check(request(), never)).kind, 'allow')
    assert.equal(seen.length, 1)
  })

  test('is asked about a connection', async () => {
    failed(await client(1).check({ ...request(), http: null }, never), 'unavailable', /connection/)
  })
})
