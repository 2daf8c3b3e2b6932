import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
} from 'node:http2'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { create, fromBinary, type JsonObject, toBinary, toJson } from '@bufbuild/protobuf'
import { serveGrpc } from '#src/extauthz/server/transport.test.fixture.ts'
import { CheckRequestSchema, CheckResponseSchema } from '#src/proto/gen/envoy/service/auth/v3/external_auth_pb.ts'
import { authority, type Both, hosts, startBoth, type Which } from './both.ts'
import { pairs } from './envoy.ts'
import { peer } from './peers.ts'

/** What a provider is asked by real Envoy with Istio's configuration and by our proxy, field by field. */
const envoy = peer('envoy')
const skip = 'skip' in envoy ? envoy.skip : false

/** What came over gRPC, without what differs from one request to the next. */
const checks: unknown[] = []
/** What came over HTTP. */
const requests: { line: string; headers: [string, string][]; body: string }[] = []
const waiting: (() => void)[] = []
const wake = () => {
  for (const one of waiting.splice(0)) one()
}
let answer: Uint8Array = new Uint8Array()
let httpAnswer: { readonly status: number; readonly headers: string[] } = { status: 200, headers: [] }
let grpc: Awaited<ReturnType<typeof serveGrpc>>
let http: HttpServer
let grpcPort = 0
let httpPort = 0
let echo: Server
const sockets = new Set<Socket>()

before(async () => {
  grpc = await serveGrpc({
    has: () => true,
    handle({ message }) {
      checks.push(toJson(CheckRequestSchema, fromBinary(CheckRequestSchema, message)))
      wake()
      return { kind: 'message', message: answer }
    },
  })
  grpcPort = grpc.port
  http = createHttpServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('latin1')) body += chunk
    requests.push({
      line: `${request.method} ${request.url}`,
      headers: pairs(request.rawHeaders)
        // Node writes what HTTP/1.1 means anyway, and Envoy does not.
        .filter(([name]) => name !== 'connection')
        .map(([name, value]): [string, string] => (name === 'x-request-id' ? [name, 'ID'] : [name, value]))
        // What is left of the time, where Envoy tells all of it.
        .map(([name, value]): [string, string] =>
          name === 'x-envoy-expected-rq-timeout-ms' && Number(value) > 1000 && Number(value) <= 2000
            ? [name, '2000']
            : [name, value],
        )
        .sort(),
      body,
    })
    response.writeHead(httpAnswer.status, httpAnswer.headers).end()
    wake()
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  httpPort = (http.address() as AddressInfo).port
  echo = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      reached = text
      if (!/^[A-Z]+ /.test(text)) socket.write(chunk)
      else if (text.includes('\r\n\r\n'))
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    })
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
})

after(async () => {
  for (const socket of sockets) socket.destroy()
  await grpc?.close()
  http?.closeAllConnections()
  http?.close()
  echo?.close()
})

interface Setup {
  readonly provider: 'grpc' | 'http'
  readonly fields?: string
  readonly mode?: 'DISABLE' | 'STRICT'
  readonly rules?: string
  readonly more?: (port: number) => string
}

function meshText({ provider, fields = '', mode = 'DISABLE', rules = '[{}]', more }: Setup, port: number): string {
  const kind = provider === 'grpc' ? 'envoyExtAuthzGrpc' : 'envoyExtAuthzHttp'
  return `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - name: authz
      ${kind}: { service: authz.local, port: 9000, timeout: 2s${fields === '' ? '' : `, ${fields}`} }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: authz, namespace: foo }
spec:
  hosts: [authz.local]
  resolution: STATIC
  ports: [{ name: ${provider}, number: 9000, protocol: ${provider.toUpperCase()} }]
  endpoints: [{ address: 127.0.0.1, ports: { ${provider}: ${provider === 'grpc' ? grpcPort : httpPort} } }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec:
  selector: { matchLabels: { app: web } }
  template: { metadata: { labels: { app: web, version: v1 } }, spec: { serviceAccountName: web } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: foo }
spec: { mtls: { mode: ${mode} } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: foo }
spec: { action: CUSTOM, provider: { name: authz }, rules: ${rules} }
${more === undefined ? '' : `---\n${more(port)}`}`
}

function start(setup: Setup, protocol: 'http' | 'tcp'): Promise<Both> {
  return startBoth('path' in envoy ? envoy.path : '', {
    mesh: (port) => meshText(setup, port),
    workload: 'foo/web',
    protocol,
    application: (echo.address() as AddressInfo).port,
  })
}

const client = authority.issue({ namespace: 'bar', serviceAccount: 'client' })

/** Sends bytes and gives all that comes back before the peer closes, or `null` once a check has come when nothing does. */
function exchange(which: Which, port: number, bytes: string | null, secure: boolean, end = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const host = hosts[which]
    const socket = secure
      ? connectTls({
          ...{ host, port, cert: client.chain, key: client.key, ca: authority.root, ALPNProtocols: ['istio'] },
          ...{ servername: 'outbound_.9000_._.Web.foo', checkServerIdentity: () => undefined },
        })
      : connect({ host, port })
    socket.setTimeout(10_000, () => socket.destroy(new Error(`${which}: no end`)))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (!text.startsWith('HTTP') || text.includes('\r\n\r\n')) socket.end()
    })
    socket.on('close', () => resolve(text))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve(text)
      else reject(error)
    })
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      if (bytes !== null) socket.write(bytes, 'latin1')
      if (end) socket.end()
    })
  })
}

type Json = { [key: string]: Json } | Json[] | string | number | boolean | null

/** The address of the listener, and what is of one request alone, made the same. */
function normal(check: unknown, which: Which): Json {
  const json = JSON.parse(JSON.stringify(check))
  const { source, destination, request } = json.attributes
  assert.ok(source.address.socketAddress.portValue > 0)
  source.address.socketAddress.portValue = 1
  assert.equal(source.address.socketAddress.address, '127.0.0.1')
  assert.equal(destination.address.socketAddress.address, hosts[which])
  destination.address.socketAddress.address = 'LISTENER'
  if (request !== undefined) {
    assert.ok(Math.abs(Date.parse(request.time) - Date.now()) < 60_000)
    request.time = 'NOW'
    assert.match(request.http.id, /^\d+$/)
    request.http.id = 'ID'
    if (request.http.headers['x-request-id']?.length === 36) request.http.headers['x-request-id'] = 'ID'
  }
  return json
}

const plain: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: web\r\n\r\n',
  'GET /a/../b//c?x=%20y&z#f HTTP/1.1\r\nHost: Web.foo:8080\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: web\r\nX-A: 1\r\nx-a: 2\r\nX-B:\r\nCookie: a=1\r\nCookie: b=2\r\nUser-Agent: curl\r\n\r\n',
  'GET /%E4%F6 HTTP/1.1\r\nHost: web\r\nx-utf8: w\xc3\xa9b\r\nx-latin: w\xe9b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: web\r\nx-envoy-auth-partial-body: true\r\nx-forwarded-proto: https\r\nAuthorization: Bearer a.b.c\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: web\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{}\r\n',
  'POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: web\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: web\r\nx-forwarded-for: 1.2.3.4\r\nx-request-id: 0123\r\nx-b3-traceid: 1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: web\r\nConnection: x-hop, keep-alive\r\nx-hop: 1\r\nKeep-Alive: 5\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: web\r\nX-Forwarded-Proto: HTTPS\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: web\r\nConnection: x-hop\r\nConnection: Upgrade\r\nx-hop: 1\r\nUpgrade: WebSocket\r\n\r\n',
]

/** Closed behind the answer, where the message does not say what becomes of the connection itself. */
function closing(message: string): string {
  return /^connection:/im.test(message) ? message : message.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')
}

/** Sends each in turn, and compares what the provider was asked, and the status. */
async function compare(both: Both, messages: readonly string[], secure = false): Promise<void> {
  for (const message of messages) {
    const seen: Record<string, unknown> = {}
    for (const which of ['envoy', 'ours'] as const) {
      checks.length = 0
      requests.length = 0
      const text = await exchange(which, both.port, closing(message), secure)
      const asked = [...checks.map((check) => normal(check, which)), ...requests]
      seen[which] = { status: text.slice(0, 12), asked: JSON.parse(JSON.stringify(asked)) }
    }
    assert.deepEqual(seen.ours, seen.envoy, message)
    asked += (seen.ours as { asked: unknown[] }).asked.length
  }
}
let asked = 0
/** The head of what came last to the application. */
let reached = ''

const post = (body: string, lines = ''): string =>
  `POST /p HTTP/1.1\r\nHost: web\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`
const chunked = (body: string): string =>
  `POST /p HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const bodies: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: web\r\n\r\n',
  post(''),
  post('0123'),
  post('01234567'),
  post('012345678'),
  post('w\xc3\xa9\xe9'),
  post('0123', 'x-envoy-auth-partial-body: true\r\n'),
  chunked('0123'),
  chunked('0123456789'),
]

const gateway = (port: number) => `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: foo }
spec:
  selector: { app: web }
  servers: [{ port: { number: ${port}, name: http, protocol: HTTP }, hosts: ["*"] }]
`

const lists =
  'pathPrefix: /check, includeRequestHeadersInCheck: [cookie, X-A, "x-pre-*", "*-id", ":path"], ' +
  'includeAdditionalHeadersInCheck: { x-mesh: cluster.local, X-A: replaced, x-empty: "", x-text: "100%%" }'

/** START_TIME and ports differ from one request to the next. */
const variables = `includeAdditionalHeadersInCheck: { ${[
  ...[
    'REQ(x-a)',
    'REQ(user-agent)',
    'REQ(:path)',
    'REQ(Host)',
    'REQ(X-MISSING?USER-AGENT):2',
    'REQUEST_HEADER(cookie)',
  ],
  ...['PROTOCOL', 'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', 'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT'],
  ...['DOWNSTREAM_LOCAL_PORT', 'DOWNSTREAM_LOCAL_URI_SAN', 'DOWNSTREAM_PEER_URI_SAN'],
]
  .map((one, i) => `x-${i}: "<%${one}%>"`)
  .join(', ')} }`

const setups: readonly [what: string, setup: Setup, messages: readonly string[]][] = [
  ['plaintext requests', { provider: 'grpc' }, plain],
  ['requests over mutual TLS', { provider: 'grpc', mode: 'STRICT' }, plain],
  ['requests at a gateway', { provider: 'grpc', more: gateway }, plain],
  [
    'bodies in part',
    { provider: 'grpc', fields: 'includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: true }' },
    bodies,
  ],
  [
    'bodies as bytes',
    { provider: 'grpc', fields: 'includeRequestBodyInCheck: { maxRequestBytes: 8, packAsBytes: true }' },
    bodies,
  ],
  [
    'conditions',
    {
      provider: 'grpc',
      rules: '[{ to: [{ operation: { paths: ["/a*"] } }], when: [{ key: "request.headers[x-a]", values: ["1*"] }] }]',
    },
    plain,
  ],
  ['requests to an HTTP provider', { provider: 'http' }, plain],
  ['requests to an HTTP provider over mutual TLS', { provider: 'http', mode: 'STRICT' }, plain],
  [
    'what an HTTP provider lists',
    { provider: 'http', fields: lists },
    [...plain, 'GET /b HTTP/1.1\r\nHost: web\r\nx-pre-a: 1\r\nX-PRE-: 2\r\nmy-id: 3\r\ncookie: c=1\r\n\r\n'],
  ],
  ['variables of additional headers', { provider: 'http', mode: 'STRICT', fields: variables }, plain],
  ['variables of additional headers at a gateway', { provider: 'http', more: gateway, fields: variables }, plain],
  [
    'bodies to an HTTP provider',
    { provider: 'http', fields: 'includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: true }' },
    bodies,
  ],
]

for (const [what, setup, messages] of setups) {
  test(`our proxy and Envoy ask the same about ${what}`, { skip }, async (t) => {
    const both = await start(setup, 'http')
    t.after(() => both.stop())
    asked = 0
    await compare(both, messages, setup.mode === 'STRICT')
    assert.ok(asked > 0)
  })
}

const tcpCases: readonly [what: string, setup: Setup, secure: boolean][] = [
  ['a TCP connection', { provider: 'grpc' }, false],
  ['a TCP connection over mutual TLS', { provider: 'grpc', mode: 'STRICT' }, true],
  [
    'a TCP connection, whatever HTTP conditions say',
    { provider: 'grpc', rules: '[{ to: [{ operation: { methods: [GET] } }] }]' },
    false,
  ],
]

for (const [what, setup, secure] of tcpCases) {
  test(`our proxy and Envoy ask the same about ${what}`, { skip }, async (t) => {
    const both = await start(setup, 'tcp')
    t.after(() => both.stop())
    // Closed, without a byte, where the provider says no.
    const no = { status: { code: 7 } }
    for (const [reply, echoed] of [
      [{}, 'hi'],
      [no, ''],
    ] as const) {
      answer = toBinary(CheckResponseSchema, create(CheckResponseSchema, reply))
      const asked: Json[] = []
      for (const which of ['envoy', 'ours'] as const) {
        checks.length = 0
        assert.equal(await exchange(which, both.port, 'hi', secure), echoed, which)
        assert.equal(checks.length, 1, which)
        asked.push(normal(checks[0], which))
      }
      assert.deepEqual(asked[1], asked[0])
      assert.equal((asked[0] as { attributes: { request?: unknown } }).attributes.request, undefined)
    }
    answer = new Uint8Array()
    const { decision, phase, details, status, provider } = both.entries.at(-1) ?? assert.fail()
    assert.deepEqual(
      { decision, phase, details, status, provider },
      { decision: 'deny', phase: 'custom', details: 'ext_authz_denied', status: null, provider: 'authz' },
    )
  })
}

test('an HTTP provider is never asked about a TCP connection, by neither', { skip }, async (t) => {
  const both = await start({ provider: 'http' }, 'tcp')
  t.after(() => both.stop())
  for (const which of ['envoy', 'ours'] as const) {
    requests.length = 0
    assert.equal(await exchange(which, both.port, 'hi', false), 'hi', which)
    assert.equal(requests.length, 0, which)
  }
})

const rule = (name: string, action: string, key: string, values: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: foo }
spec: { action: ${action}, rules: [{ when: [{ key: "experimental.envoy.filters.${key}", values: ${values} }] }] }
`
const later = (filter: string) => () =>
  [
    rule('deny', 'DENY', `${filter}[tier]`, '["banned", "low*"]'),
    rule('list', 'DENY', `${filter}[groups]`, '["[root]"]'),
    rule('allow', 'ALLOW', `${filter}[tier]`, '["*"]'),
  ].join('---\n')

const metadata: readonly Record<string, unknown>[] = [
  {},
  { tier: 'gold' },
  { tier: 'banned' },
  { tier: 'lowest' },
  { tier: '' },
  { tier: 5 },
  { tier: ['gold'] },
  { tier: { a: 'gold' } },
  { tier: 'gold', groups: ['a', 'root'] },
  { tier: 'gold', groups: 'root' },
  { tier: 'gold', groups: ['wheel'] },
  { other: 'gold', __proto__: null },
]

for (const protocol of ['http', 'tcp'] as const) {
  test(`what later policies make of dynamic metadata, ${protocol}`, { skip }, async (t) => {
    const filter = protocol === 'http' ? 'http.ext_authz' : 'network.ext_authz'
    const both = await start({ provider: 'grpc', more: later(filter) }, protocol)
    t.after(() => both.stop())
    const bytes = protocol === 'http' ? closing(plain[0] as string) : 'hi'
    const outcomes: string[] = []
    for (const dynamicMetadata of metadata as readonly JsonObject[]) {
      for (const arm of [
        {},
        // The older field wins.
        { httpResponse: { case: 'okResponse', value: { dynamicMetadata: { tier: 'gold' } } } },
      ] as const) {
        const message = create(CheckResponseSchema, { dynamicMetadata, ...arm })
        answer = toBinary(CheckResponseSchema, message)
        const byEnvoy = await exchange('envoy', both.port, bytes, false)
        const byUs = await exchange('ours', both.port, bytes, false)
        assert.equal(
          byUs.slice(0, 12),
          byEnvoy.slice(0, 12),
          `${JSON.stringify(dynamicMetadata)} ${'httpResponse' in arm}`,
        )
        outcomes.push(byUs.slice(0, 12))
      }
    }
    answer = new Uint8Array()
    assert.equal(new Set(outcomes).size, 2, 'some pass and some do not')
  })
}

/** Where Envoy leaves what a client sent as it is, so do we: `up --provider-header` is how to have it removed. */
test('whose headers reach the application, where the provider sets them or not', { skip }, async (t) => {
  const upstream = 'headersToUpstreamOnAllow: [x-user, "x-auth-*"], failOpen: true'
  const both = await start(
    { provider: 'http', fields: upstream, rules: '[{ to: [{ operation: { notPaths: ["/ip"] } }] }]' },
    'http',
  )
  t.after(() => both.stop())
  const forged = 'Host: web\r\nx-user: forged\r\nX-User: twice\r\nx-auth-mail: forged\r\nConnection: close\r\n\r\n'
  const seen: Record<string, string[][]> = { envoy: [], ours: [] }
  for (const which of ['envoy', 'ours'] as const) {
    for (const [path, status, headers] of [
      ['/', 200, ['x-user', 'alice', 'X-Auth-Mail', 'a@b']],
      ['/', 200, ['x-user', 'alice', 'x-user', 'bob']],
      ['/', 200, ['x-user', '']],
      ['/', 200, ['x-envoy-auth-headers-to-remove', 'x-user, x-auth-mail']],
      ['/', 200, []],
      ['/', 503, ['x-user', 'alice']],
      ['/ip', 200, ['x-user', 'alice']],
    ] as const) {
      httpAnswer = { status, headers: [...headers] }
      reached = ''
      await exchange(which, both.port, `GET ${path} HTTP/1.1\r\n${forged}`, false)
      const lines = reached.split('\r\n').filter((line) => /^x-(user|auth)/i.test(line))
      seen[which]?.push(lines.map((line) => line.toLowerCase()).sort())
    }
  }
  httpAnswer = { status: 200, headers: [] }
  const client = ['x-auth-mail: forged', 'x-user: forged', 'x-user: twice']
  assert.deepEqual(seen.envoy, [
    ['x-auth-mail: a@b', 'x-user: alice'],
    ['x-auth-mail: forged', 'x-user: bob'],
    ['x-auth-mail: forged', 'x-user: '],
    [],
    client,
    client,
    client,
  ])
  assert.deepEqual(seen.ours, seen.envoy)
})

const overTls = () => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: authz, namespace: foo }
spec: { host: authz.local, trafficPolicy: { tls: { mode: SIMPLE, insecureSkipVerify: true } } }
`

for (const secure of [false, true]) {
  test(`the call is made with the same metadata${secure ? ', over TLS too' : ''}`, { skip }, async (t) => {
    const calls: IncomingHttpHeaders[] = []
    const answer = (request: Http2ServerRequest, response: Http2ServerResponse) => {
      calls.push({ ...request.headers })
      response.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': '7' }).end()
    }
    const { key, chain: cert } = authority.issue({ namespace: 'foo', serviceAccount: 'authz' })
    const server = secure ? createSecureServer({ key, cert }, answer) : createHttp2Server(answer)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const before = grpcPort
    grpcPort = (server.address() as AddressInfo).port
    const setup: Setup = { provider: 'grpc', ...(secure ? { more: overTls, mode: 'STRICT' } : {}) }
    const both = await start(setup, 'http').finally(() => {
      grpcPort = before
    })
    t.after(() => both.stop())
    for (const which of ['envoy', 'ours'] as const)
      await exchange(which, both.port, closing(plain[0] as string), secure)
    const [theirs, mine] = calls.map(({ 'grpc-timeout': timeout, ...rest }) => {
      assert.match(String(timeout), /^(2000m|1[0-9]{3}m|2000000u|1[0-9]{6}u|2S)$/)
      // Ours is what is left of the time, after the connection was made.
      const expected = Number(rest['x-envoy-expected-rq-timeout-ms'])
      assert.ok(expected > 1000 && expected <= 2000, String(expected))
      delete rest['x-envoy-expected-rq-timeout-ms']
      return { ...rest, 'x-forwarded-for': rest['x-forwarded-for'] !== undefined }
    })
    assert.deepEqual(mine, theirs)
    // Whatever the connections are, to either side.
    assert.equal(theirs?.[':scheme'], 'http')
  })
}
