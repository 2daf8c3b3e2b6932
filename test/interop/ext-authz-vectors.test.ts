import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import type { TestContext } from 'node:test'
import { after, before, test } from 'node:test'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { createOfflineKeySource } from '#src/authn/key-source.ts'
import type { CheckClient } from '#src/extauthz/check.ts'
import { createGrpcClient } from '#src/extauthz/client/grpc-client.ts'
import { createHttpClient } from '#src/extauthz/client/http-client.ts'
import type { GrpcHandler, GrpcReply } from '#src/extauthz/server/grpc-transport.ts'
import { serveGrpc } from '#src/extauthz/server/transport.test.fixture.ts'
import { loadMesh } from '#src/mesh/load.ts'
import type { CheckRequest } from '#src/proto/gen/envoy/service/auth/v3/external_auth_pb.ts'
import { CheckRequestSchema, CheckResponseSchema } from '#src/proto/gen/envoy/service/auth/v3/external_auth_pb.ts'
import type { WorkloadIdentity } from '#src/proxy/config.ts'
import { configure, type LocalServers } from '#src/proxy/configure.ts'
import { type Answer, ask, raw, startProxy } from '#src/proxy/support.test.fixture.ts'
import { parseSource } from '#src/source/parse.ts'

/**
 * The protocol's behaviours one by one, on real sockets: a client, the proxy as the files configure it, a provider that
 * speaks gRPC or HTTP, an application. The numbers are those of the table below; what Envoy does with options that
 * Istio never sets has no number here.
 */

type Message = MessageInitShape<typeof CheckResponseSchema>
type Option = { key: string; value: string; append?: boolean; action?: number }

/** What the provider answers; undefined: nothing, ever. */
let grpcAnswer: Message | GrpcReply | undefined = {}
let checks: CheckRequest[] = []
let httpAnswer: http.RequestListener = (_, response) => response.end()
let asked: { readonly line: string; readonly headers: http.IncomingHttpHeaders; readonly body: string }[] = []
/** What the application got. */
let received: { readonly url: string; readonly lines: readonly string[]; readonly body: string }[] = []

const judge: GrpcHandler = {
  has: () => true,
  handle({ message }) {
    checks.push(fromBinary(CheckRequestSchema, message))
    if (grpcAnswer === undefined) return new Promise(() => {})
    if ('kind' in grpcAnswer) return grpcAnswer as GrpcReply
    return {
      kind: 'message',
      message: toBinary(CheckResponseSchema, create(CheckResponseSchema, grpcAnswer as Message)),
    }
  },
}
let grpc: Awaited<ReturnType<typeof serveGrpc>>
const http1 = http.createServer(async (request, response) => {
  asked.push({
    line: `${request.method} ${request.url}`,
    headers: request.headers,
    body: Buffer.concat(await request.toArray()).toString('latin1'),
  })
  httpAnswer(request, response)
})
const application = http.createServer(async (request, response) => {
  const lines: string[] = []
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    lines.push(`${request.rawHeaders[i]?.toLowerCase()}: ${request.rawHeaders[i + 1]}`)
  }
  received.push({ url: request.url ?? '', lines, body: Buffer.concat(await request.toArray()).toString('latin1') })
  response.writeHead(200, ['x-up', '1'])
  response.end('app')
})
const ports = { grpc: 0, http: 0, application: 0 }

before(async () => {
  grpc = await serveGrpc(judge)
  ports.grpc = grpc.port
  for (const [name, server] of [
    ['http', http1],
    ['application', application],
  ] as const) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ports[name] = (server.address() as net.AddressInfo).port
  }
})
after(async () => {
  await grpc.close()
  for (const server of [http1, application]) {
    server.closeAllConnections()
    server.close()
  }
})

interface Setup {
  readonly kind?: 'grpc' | 'http'
  /** Fields of the provider. */
  readonly fields?: string
  /** Of the policy. */
  readonly spec?: string
  readonly annotations?: string
  readonly timeout?: string
  readonly providerHeaders?: readonly string[]
  /** What a gateway's server serves, and what it wants in TLS. */
  readonly servers?: LocalServers
  readonly protocol?: 'http' | 'tcp'
  readonly more?: string
  readonly application?: number
}

const always = 'action: CUSTOM, provider: { name: authz }, rules: [{}]'

async function sidecar(t: TestContext, setup: Setup = {}) {
  const {
    kind = 'grpc',
    fields = '',
    spec = always,
    annotations = '{}',
    protocol = 'http',
    timeout = '5s',
    more = '',
  } = setup
  checks = []
  asked = []
  received = []
  const field = kind === 'grpc' ? 'envoyExtAuthzGrpc' : 'envoyExtAuthzHttp'
  const text = `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - name: authz
      ${field}: { service: authz.local, port: 9000, timeout: ${timeout}, ${fields} }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: authz, namespace: foo }
spec:
  hosts: [authz.local]
  resolution: STATIC
  ports: [{ name: grpc, number: 9000 }]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${ports[kind]} } }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } } } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: foo }
spec: { mtls: { mode: DISABLE } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: foo, annotations: ${annotations} }
spec: { ${spec} }
---
${more}`
  const { mesh, diagnostics } = loadMesh(parseSource('mesh.yaml', text).documents)
  assert.deepEqual(diagnostics, [])
  const workload = mesh.workloads.get('foo/web') ?? assert.fail()
  const clients: CheckClient[] = []
  const config = configure({
    mesh,
    local: [
      {
        workload,
        outbound: [],
        inbound: [
          {
            ...{ origin: null, port: 8080, protocol, listen: { host: '127.0.0.1', port: 0 } },
            application: { kind: 'tcp', host: '127.0.0.1', port: setup.application ?? ports.application },
            ...(setup.servers === undefined ? {} : { servers: setup.servers }),
          },
        ],
      },
    ],
    identity: () => ({}) as WorkloadIdentity,
    keys: createOfflineKeySource(),
    providerHeaders: setup.providerHeaders ?? [],
    client(provider) {
      const endpoints = () => [{ address: '127.0.0.1', port: ports[kind] }]
      const client =
        provider.kind === 'grpc' ? createGrpcClient(provider, endpoints) : createHttpClient(provider, endpoints)
      clients.push(client)
      return client
    },
  })
  t.after(() => Promise.all(clients.map((client) => client.close())))
  const running = await startProxy(t, config)
  return {
    running,
    port: running.port('inbound foo/web:8080'),
    ask: (options: Parameters<typeof ask>[1] = {}) => ask(running.port('inbound foo/web:8080'), options),
    details: async () => (await running.logged(1))[0]?.details,
  }
}

const options = (list: readonly Option[]) =>
  list.map(({ key, value, append, action }) => ({
    header: { key, value },
    ...(append === undefined ? {} : { append }),
    ...(action === undefined ? {} : { appendAction: action }),
  }))

function ok(value: {
  set?: Option[]
  remove?: string[]
  response?: Option[]
  query?: [string, string][]
  unquery?: string[]
}) {
  const { set = [], remove = [], response = [], query = [], unquery = [] } = value
  const arm = {
    headers: options(set),
    headersToRemove: remove,
    responseHeadersToAdd: options(response),
    queryParametersToSet: query.map(([key, value]) => ({ key, value })),
    queryParametersToRemove: unquery,
  }
  return { status: { code: 0 }, httpResponse: { case: 'okResponse', value: arm } } as const satisfies Message
}

function no(code: number, arm: 'deniedResponse' | 'errorResponse', status: number, body = '', headers: Option[] = []) {
  const value = { status: { code: status as number }, body, headers: options(headers) }
  return { status: { code }, httpResponse: { case: arm, value } } as Message
}

const linesOf = (name: string) =>
  received[0]?.lines.filter((line) => line.startsWith(`${name}: `)) ?? assert.fail('not reached')
const shown = ({ status, body }: Answer) => [status, body]
const raws = ({ rawHeaders }: Answer, name: string) =>
  rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name)

test('1, 2: a missing status allows, whatever the other arm says', async (t) => {
  const { ask } = await sidecar(t)
  for (const answer of [{}, { httpResponse: { case: 'deniedResponse', value: { status: { code: 401 as number } } } }]) {
    grpcAnswer = answer as Message
    assert.deepEqual(shown(await ask()), [200, 'app'])
  }
  assert.equal(checks.length, 2)
})

test('3: a code alone denies with 403 and nothing else', async (t) => {
  grpcAnswer = { status: { code: 7 } }
  const { ask, details } = await sidecar(t)
  assert.deepEqual(shown(await ask()), [403, ''])
  assert.equal(await details(), 'ext_authz_denied')
  assert.equal(received.length, 0)
})

test('4, 5: a denial has its own status, lines and body, even 200', async (t) => {
  const { ask } = await sidecar(t)
  const cookies = ['a', 'b'].map((value) => ({ key: 'set-cookie', value }))
  grpcAnswer = no(16, 'deniedResponse', 401, '', cookies)
  const answer = await ask()
  assert.deepEqual([answer.status, answer.headers['set-cookie']], [401, ['a', 'b']])
  grpcAnswer = no(7, 'deniedResponse', 200, 'hi')
  assert.deepEqual(shown(await ask()), [200, 'hi'])
  assert.equal(received.length, 0)
})

test('6, 7: an RPC that fails is an error: statusOnError, or a pass with failOpen', async (t) => {
  grpcAnswer = { kind: 'status', status: 14, text: '' }
  const closed = await sidecar(t, { fields: 'statusOnError: "503"' })
  assert.deepEqual(shown(await closed.ask()), [503, ''])
  assert.equal(await closed.details(), 'ext_authz_error')
  grpcAnswer = { kind: 'status', status: 7, text: 'no' }
  const open = await sidecar(t, { fields: 'failOpen: true' })
  assert.equal((await open.ask()).status, 200)
  // Istio sets no marker: what a client sends as one is its own.
  assert.deepEqual(linesOf('x-envoy-auth-failure-mode-allowed'), [])
})

test('8: nothing within the timeout is an error', async (t) => {
  grpcAnswer = undefined
  const { ask, details } = await sidecar(t, { timeout: '0.5s' })
  const began = performance.now()
  assert.equal((await ask()).status, 403)
  const took = performance.now() - began
  assert.ok(took >= 490 && took < 4000, `${took} ms`)
  assert.equal(await details(), 'ext_authz_error')
})

test('9 to 12: headers are set, appended where they are, the last of one name, and removed at the end', async (t) => {
  const table: [Message, expected: string[], gone: string][] = [
    [ok({ set: [{ key: 'x-e', value: 'new' }] }), ['x-e: new'], 'x-n'],
    [ok({ set: ['x-e', 'x-n'].map((key) => ({ key, value: 'new', append: true })) }), ['x-e: orig,new'], 'x-n'],
    [ok({ set: ['1', '2'].map((value) => ({ key: 'x-n', value })) }), ['x-n: 2', 'x-e: orig'], 'x-'],
    [ok({ set: [{ key: 'x-e', value: 'new' }], remove: ['x-e'] }), [], 'x-e'],
  ]
  for (const [answer, expected, gone] of table) {
    grpcAnswer = answer
    const { ask } = await sidecar(t)
    assert.equal((await ask({ headers: { 'x-e': 'orig' } })).status, 200)
    for (const line of expected) assert.ok(received[0]?.lines.includes(line), `${line} in ${received[0]?.lines}`)
    assert.ok(!received[0]?.lines.some((line) => line.startsWith(`${gone}: `)))
  }
})

test('13, 14: a changed query is written anew, sorted; nothing is decoded to find what goes', async (t) => {
  const { ask } = await sidecar(t)
  grpcAnswer = ok({ query: [['k', 'v']] })
  await ask({ path: '/p?x=%20a+b&flag&e=' })
  grpcAnswer = ok({ unquery: ['a b'] })
  await ask({ path: '/p?a%20b=1' })
  assert.deepEqual(
    received.map(({ url }) => url),
    ['/p?e=&flag=&k=v&x=%20a+b', '/p?a%20b=1'],
  )
})

test('15, 16: headers of the answer, by append and by action', async (t) => {
  const { ask } = await sidecar(t)
  const table: [Option, string[]][] = [
    [{ key: 'x-up', value: 'z' }, ['1', 'z']],
    [{ key: 'x-up', value: 'z', action: 1 }, ['1']],
    [{ key: 'x-up', value: 'z', action: 2 }, ['z']],
    [{ key: 'x-up', value: 'z', action: 3 }, ['z']],
  ]
  for (const [option, lines] of table) {
    grpcAnswer = ok({ response: [option] })
    assert.deepEqual(raws(await ask(), 'x-up'), lines, JSON.stringify(option))
  }
})

test('17: a line break in a header is an invalid answer, whatever failOpen says', async (t) => {
  const { ask, details } = await sidecar(t, { fields: 'failOpen: true' })
  grpcAnswer = ok({ response: [{ key: 'x-a', value: 'a\r\nx-inj: 1' }] })
  const answer = await ask()
  assert.deepEqual([answer.status, answer.headers['x-inj']], [500, undefined])
  assert.equal(await details(), 'ext_authz_invalid')
})

test('18: a gRPC client is denied in its own terms', async (t) => {
  grpcAnswer = no(16, 'deniedResponse', 401, 'nope')
  const { ask } = await sidecar(t)
  const answer = await ask({ method: 'POST', headers: { 'content-type': 'application/grpc' } })
  const { 'grpc-status': status, 'grpc-message': message } = answer.headers
  assert.deepEqual([answer.status, status, message], [200, '16', 'nope'])
})

test("19: an authorizer's own error has its status and body, and is a pass with failOpen", async (t) => {
  grpcAnswer = no(13, 'errorResponse', 500, 'down')
  const closed = await sidecar(t)
  assert.deepEqual(shown(await closed.ask()), [500, 'down'])
  const open = await sidecar(t, { fields: 'failOpen: true' })
  assert.deepEqual(shown(await open.ask()), [200, 'app'])
})

test('20, 21: an HTTP provider sees authorization but no cookie, below its prefix', async (t) => {
  httpAnswer = (_, response) => response.end()
  const { ask } = await sidecar(t, { kind: 'http', fields: 'pathPrefix: /check' })
  assert.equal((await ask({ path: '/a?b=c', headers: { cookie: 'a=1', authorization: 'Basic eA==' } })).status, 200)
  assert.deepEqual(
    asked.map(({ line, headers }) => [line, headers.authorization, headers.cookie]),
    [['GET /check/a?b=c', 'Basic eA==', undefined]],
  )
})

test('22, 23: 200 alone allows; 204 denies as 204, 503 is an error', async (t) => {
  httpAnswer = (_, response) => response.writeHead(204).end()
  const denied = await sidecar(t, { kind: 'http' })
  assert.equal((await denied.ask()).status, 204)
  httpAnswer = (_, response) => response.writeHead(503).end('down')
  const failed = await sidecar(t, { kind: 'http' })
  assert.deepEqual(shown(await failed.ask()), [403, ''])
  assert.equal(await failed.details(), 'ext_authz_error')
  assert.equal(received.length, 0)
})

test('24: a list for denials lets through what it names, and the type only with it', async (t) => {
  httpAnswer = (_, response) =>
    response.writeHead(401, { 'content-type': 'application/json', 'x-a': '1', 'x-b': '2' }).end('{}')
  const { ask } = await sidecar(t, { kind: 'http', fields: 'headersToDownstreamOnDeny: [x-a]' })
  const { status, headers, body } = await ask()
  assert.deepEqual(
    [status, headers['x-a'], headers['x-b'], headers['content-type'], body],
    [401, '1', undefined, 'text/plain', '{}'],
  )
})

test('25: of a repeated header the last value reaches the application', async (t) => {
  httpAnswer = (_, response) => response.writeHead(200, ['x-dup', 's1', 'x-dup', 's2']).end()
  const { ask } = await sidecar(t, { kind: 'http', fields: 'headersToUpstreamOnAllow: [x-dup]' })
  await ask({ headers: { 'x-dup': 'client' } })
  assert.deepEqual(linesOf('x-dup'), ['x-dup: s2'])
})

test('26: a body beyond the limit is 413 without a check, or goes in part', async (t) => {
  const body = '0123456789a'
  const limit = (more: string) => `includeRequestBodyInCheck: { maxRequestBytes: 10 ${more} }`
  grpcAnswer = {}
  const strict = await sidecar(t, { fields: `failOpen: true, ${limit('')}` })
  assert.deepEqual(shown(await strict.ask({ method: 'POST', body })), [413, 'Payload Too Large'])
  assert.equal(checks.length, 0)
  assert.equal(await strict.details(), 'request_payload_too_large')
  const partial = await sidecar(t, { fields: limit(', allowPartialMessage: true') })
  assert.equal((await partial.ask({ method: 'POST', body })).status, 200)
  const seen = checks[0]?.attributes?.request?.http
  assert.deepEqual([seen?.body, seen?.headers['x-envoy-auth-partial-body']], ['0123456789', 'true'])
  assert.equal(received[0]?.body, body)
})

test('27: a provider that is not declared refuses what its rules match, and nothing else', async (t) => {
  const spec = 'action: CUSTOM, provider: { name: nobody }, rules: [{ to: [{ operation: { paths: ["/a"] } }] }]'
  const { ask } = await sidecar(t, { spec })
  assert.deepEqual(shown(await ask({ path: '/a' })), [403, 'RBAC: access denied'])
  assert.equal((await ask({ path: '/b' })).status, 200)
})

test('28: dry-run on CUSTOM refuses what it matches, without a check', async (t) => {
  grpcAnswer = {}
  const { ask } = await sidecar(t, { annotations: '{ istio.io/dry-run: "true" }' })
  assert.deepEqual(shown(await ask()), [403, 'RBAC: access denied'])
  assert.equal(checks.length, 0)
})

/** An application that greets whoever connects, and echoes. */
async function greeter(t: TestContext): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.write('hello ')
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as net.AddressInfo).port
}

test('29: an HTTP provider is not asked about a TCP connection', async (t) => {
  httpAnswer = (_, response) => response.writeHead(403).end()
  const { port } = await sidecar(t, { kind: 'http', protocol: 'tcp', application: await greeter(t) })
  assert.equal(await raw(port, 'hi', true), 'hello hi')
  assert.equal(asked.length, 0)
})

test('30, 31: a TCP connection that is denied is closed before the application knows of it', async (t) => {
  grpcAnswer = { status: { code: 7 } }
  const { port, details } = await sidecar(t, { protocol: 'tcp', application: await greeter(t) })
  // Envoy connects at once, so that the greeting of an application comes to those who are then denied.
  assert.equal(await raw(port, ''), '')
  assert.equal(await raw(port, 'hi'), '')
  assert.equal(await details(), 'ext_authz_denied')
  assert.deepEqual(
    checks.map(({ attributes }) => attributes?.request),
    [undefined, undefined],
  )
  grpcAnswer = {}
  assert.equal(await raw(port, 'hi', true), 'hello hi')
})

test('TCP: no answer closes the connection too, and failOpen lets it through', async (t) => {
  grpcAnswer = undefined
  const closed = await sidecar(t, { protocol: 'tcp', timeout: '0.2s', application: await greeter(t) })
  assert.equal(await raw(closed.port, 'hi'), '')
  assert.equal(await closed.details(), 'ext_authz_error')
  const fields = 'failOpen: true'
  const open = await sidecar(t, { protocol: 'tcp', timeout: '0.2s', fields, application: await greeter(t) })
  assert.equal(await raw(open.port, 'hi', true), 'hello hi')
})

test('32: what leads nowhere is 404, and nobody is asked', async (t) => {
  grpcAnswer = { status: { code: 7 } }
  const { port, ask } = await sidecar(t)
  assert.match(await raw(port, 'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 404/)
  assert.equal((await ask({ headers: { 'x-forwarded-proto': '' } })).status, 404)
  const more = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: foo }
spec: { selector: { app: web }, servers: [{ port: { number: 8080, name: http, protocol: HTTP }, hosts: ["*"] }] }
`
  const servers = { tls: null, hosts: ['a.example'], redirected: ['secure.example'] }
  const gateway = await sidecar(t, { more, servers })
  assert.equal((await gateway.ask({ headers: { host: 'b.example' } })).status, 404)
  assert.equal(checks.length, 0)
  for (const host of ['a.example', 'secure.example'])
    assert.equal((await gateway.ask({ headers: { host } })).status, 403)
  assert.equal(checks.length, 2, 'a redirect is asked about')
})

test("headers that only the provider sets are never the client's own, asked or not, failed or not", async (t) => {
  const named = { 'x-user': 'forged', 'X-Auth-Mail': 'forged', 'x-auth': 'kept', 'x-other': 'kept' }
  // To an application that has headers as variables these are the same.
  const headers = { ...named, X_User: 'forged', 'x.user': 'forged', x_auth_mail: 'forged' }
  const providerHeaders = ['X-User', 'x-auth-*']
  const spec = 'action: CUSTOM, provider: { name: authz }, rules: [{ to: [{ operation: { notPaths: ["/ip"] } }] }]'
  const more = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-forged, namespace: foo }
spec: { action: DENY, rules: [{ when: [{ key: "request.headers[x-user]", values: [forged] }] }] }
`
  grpcAnswer = ok({ set: [{ key: 'x-user', value: 'alice' }] })
  const strict = await sidecar(t, { spec, more, providerHeaders, fields: 'failOpen: true' })
  const sent = async (path: string) => {
    received = []
    assert.equal((await strict.ask({ path, headers })).status, 200)
    return (received[0]?.lines ?? []).filter((line) => /^x[-_.](user|auth|other)/.test(line))
  }
  const kept = ['x-auth: kept', 'x-other: kept']
  assert.deepEqual((await sent('/')).sort(), [...kept, 'x-user: alice'])
  assert.equal(checks[0]?.attributes?.request?.http?.headers['x-user'], undefined)
  assert.deepEqual(await sent('/ip'), kept, 'not asked')
  grpcAnswer = { kind: 'status', status: 14, text: '' }
  assert.deepEqual(await sent('/'), kept, 'failed open')
  const asEnvoy = await sidecar(t, { spec, more })
  assert.equal((await asEnvoy.ask({ path: '/ip', headers })).status, 403)
})

/** Over gRPC: what must not be sent on is a 500 under any setting, and nothing of it reaches anybody. */
test('answers that cannot be sent on are refused, over gRPC', async (t) => {
  const { ask } = await sidecar(t, { fields: 'failOpen: true' })
  const many = (count: number, value = 'v') => Array.from({ length: count }, (_, i) => ({ key: `x-${i}`, value }))
  const answers: [what: string, answer: Message, status: number, body?: string][] = [
    ['a line break in a request header', ok({ set: [{ key: 'x-a', value: 'a\nb' }] }), 500],
    ['a NUL in a request header', ok({ set: [{ key: 'x-a', value: 'a\0b' }] }), 500],
    ['a space in a name', ok({ set: [{ key: 'x a', value: 'a' }] }), 500],
    ['no name', ok({ set: [{ key: '', value: 'a' }] }), 500],
    ['a line break in a name to remove', ok({ remove: ['x-a\r\nx-b'] }), 500],
    ['a line break in a path', ok({ set: [{ key: ':path', value: '/a\r\nx: y' }] }), 500],
    ['a path that is none', ok({ set: [{ key: ':path', value: 'http://a/' }] }), 500],
    ['user information in the host', ok({ set: [{ key: 'host', value: 'a@b' }] }), 500],
    ['a line break in the query', ok({ query: [['a', 'b\r\n']] }), 500],
    ['a space in a response header', ok({ response: [{ key: 'x a', value: 'a' }] }), 500],
    ['too many request headers', ok({ set: many(150) }), 500],
    ['too long request headers', ok({ set: many(10, 'v'.repeat(7000)) }), 500],
    ['a line break in a denial', no(7, 'deniedResponse', 403, '', [{ key: 'x-a', value: 'a\r\nb: c' }]), 500],
    ['a bad name in a denial', no(7, 'deniedResponse', 403, '', [{ key: 'x:a', value: 'a' }]), 500],
    ['too long headers in a denial', no(7, 'deniedResponse', 403, '', many(10, 'v'.repeat(7000))), 500],
    ['an informational status', no(7, 'deniedResponse', 101, 'no'), 403, 'no'],
    ['status 700', no(7, 'deniedResponse', 700, 'no'), 403, 'no'],
    ['a status of more than 16 bits', no(7, 'deniedResponse', 99_999, 'no'), 403, 'no'],
    ['a redirect to nowhere', no(7, 'deniedResponse', 302), 302],
    [
      'framing headers in a denial',
      no(7, 'deniedResponse', 403, 'no', [
        { key: 'content-length', value: '99' },
        { key: 'transfer-encoding', value: 'chunked' },
        { key: 'connection', value: 'x-a' },
      ]),
      403,
      'no',
    ],
  ]
  for (const [what, answer, status, body = ''] of answers) {
    grpcAnswer = answer
    const reply = await ask({ method: 'POST', body: 'body' })
    assert.deepEqual([what, ...shown(reply)], [what, status, body])
    assert.deepEqual([reply.headers.b, reply.headers['transfer-encoding']], [undefined, undefined], what)
  }
  assert.equal(received.length, 0)
  grpcAnswer = ok({
    set: ['content-length', 'transfer-encoding', 'connection', 'te', 'upgrade'].map((key) => ({ key, value: '9' })),
    remove: ['content-length', 'host'],
    response: [{ key: 'content-length', value: '1' }],
  })
  assert.deepEqual(shown(await ask({ method: 'POST', body: 'body' })), [200, 'app'])
  assert.equal(received[0]?.body, 'body')
})

/** Over HTTP, byte by byte: what is no answer is a failure. */
test('answers that are none, or cannot be sent on, are refused, over HTTP', async (t) => {
  let bytes = ''
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(bytes, 'latin1'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const before = ports.http
  ports.http = (server.address() as net.AddressInfo).port
  t.after(() => {
    ports.http = before
  })
  const fields = 'headersToUpstreamOnAllow: ["x-*", host], headersToDownstreamOnAllow: ["x-*"]'
  const { ask } = await sidecar(t, { kind: 'http', fields })
  const table: [bytes: string, status: number, body?: string][] = [
    ['HTTP/1.1 200 OK\r\nx-a: 1\rx-b: 2\r\ncontent-length: 0\r\n\r\n', 403],
    ['HTTP/1.1 200 OK\r\nx-a: a\x01b\r\ncontent-length: 0\r\n\r\n', 403],
    ['HTTP/1.1 200 OK\r\nx a: 1\r\ncontent-length: 0\r\n\r\n', 403],
    ['HTTP/1.1 200 OK\r\nhost: a@b\r\ncontent-length: 0\r\n\r\n', 500],
    ['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123', 403],
    ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n', 403],
    [`HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(3000)}content-length: 0\r\n\r\n`, 403],
    [`HTTP/1.1 200 OK\r\nx-a: ${'v'.repeat(70_000)}\r\ncontent-length: 0\r\n\r\n`, 403],
    ['HTTP/1.1 100 Continue\r\n\r\n', 403],
    ['HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n', 403],
    ['HTTP/1.1 700 What\r\ncontent-length: 2\r\n\r\nno', 403],
    ['HTTP/1.1 99 What\r\ncontent-length: 0\r\n\r\n', 403],
    ['HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n', 302],
    ['HTTP/1.1 304 Not Modified\r\n\r\n', 304],
    ['no HTTP at all', 403],
    ['', 403],
  ]
  for (const [answer, status, body = ''] of table) {
    bytes = answer
    assert.deepEqual([answer.slice(0, 60), ...shown(await ask())], [answer.slice(0, 60), status, body])
  }
  assert.equal(received.length, 0)
  bytes = `HTTP/1.1 200 OK\r\nlarge: ${'v'.repeat(50_000)}\r\ncontent-length: 0\r\n\r\n`
  assert.equal((await ask()).status, 200, 'as large as Envoy takes it')
})
