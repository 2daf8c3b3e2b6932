import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { buildCertificate } from '../../../authn/x509/certificate.ts'
import type { Logger } from '../../../observe/log.ts'
import { parseOpaUrl } from './address.ts'
import { createOpaClient, type OpaClientLimits } from './client.ts'
import { loadOpa } from './engine.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
const servers: Server[] = []
after(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
  rmSync(folder, { recursive: true, force: true })
})

async function listen(server: Server, at: number | string = 0): Promise<string> {
  servers.push(server)
  server.listen(typeof at === 'number' ? { port: at, host: '127.0.0.1' } : { path: at })
  await once(server, 'listening')
  const address = server.address() as AddressInfo | string
  return typeof address === 'string' ? `unix:${address}` : `http://127.0.0.1:${address.port}`
}

const serve = (handler: RequestListener) => listen(createServer(handler))

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return text
}

const limits: OpaClientLimits = { connections: 2, timeout: 300, maxBytes: 1000, maxQuestions: 4 }
const never = new AbortController().signal

function client(url: string, more: { readonly ca?: string; readonly token?: string } = {}) {
  const address = parseOpaUrl(url)
  assert.ok(address !== null)
  return createOpaClient(address, { ca: null, token: null, limits, ...more })
}

test('the input is asked about as it is, below the path of the document', async () => {
  const seen: unknown[] = []
  const url = await serve(async (request, response) => {
    const { method, url, headers } = request
    seen.push([method, url, headers['content-type'], headers.authorization, await bodyOf(request)])
    response.end('{"result":{"allowed":true},"decision_id":"x"}')
  })
  const decision = await client(`${url}/base/`, { token: 'abc' }).evaluate(
    ['a', 'b c'],
    '{"n":12345678901234567890}',
    never,
  )
  assert.deepEqual(decision, { kind: 'defined', value: { allowed: true } })
  const body = '{"input":{"n":12345678901234567890}}'
  assert.deepEqual(seen, [['POST', '/base/v1/data/a/b%20c', 'application/json', 'Bearer abc', body]])
})

const answers: readonly (readonly [what: string, status: number, body: string, decision: unknown])[] = [
  ['false', 200, '{"result":false}', { kind: 'defined', value: false }],
  ['null', 200, '{"result":null}', { kind: 'defined', value: null }],
  ['nothing', 200, '{}', { kind: 'undefined' }],
  ['a result that is inherited', 200, '{"__proto__":{"result":true}}', { kind: 'undefined' }],
]
for (const [what, status, body, decision] of answers) {
  test(`an answer of ${what} is taken for what it is`, async () => {
    const url = await serve((_, response) => response.writeHead(status).end(body))
    assert.deepEqual(await client(url).evaluate(['a'], '{}', never), decision)
  })
}

const failures: readonly (readonly [what: string, handler: RequestListener, message: RegExp])[] = [
  [
    'an error',
    (_, response) => response.writeHead(500).end('{"code":"internal_error","message":"secret"}'),
    /500 \(internal_error\)$/,
  ],
  ['a redirect', (_, response) => response.writeHead(302, { location: '/elsewhere' }).end(), /302$/],
  ['no JSON', (_, response) => response.end('secret'), /SyntaxError$/],
  ['a number', (_, response) => response.end('5'), /something else$/],
  ['too much', (_, response) => response.end(`{"result":"${'x'.repeat(2000)}"}`), /UND_ERR_RES_EXCEEDED_MAX_SIZE$/],
  ['nothing in time', () => {}, /UND_ERR_HEADERS_TIMEOUT$/],
  ['half an answer', (request) => request.socket.destroy(), /UND_ERR_SOCKET|ECONNRESET/],
]
for (const [what, handler, message] of failures) {
  test(`a server that answers ${what} gives no decision`, async () => {
    const decision = await client(await serve(handler)).evaluate(['a'], '{"password":"secret"}', never)
    assert.ok(decision.kind === 'failed')
    assert.match(decision.message, message)
    assert.doesNotMatch(decision.message, /secret/)
  })
}

test('a server that is not there gives no decision, and the next one that is gives one', async () => {
  const spare = createTcpServer().listen(0, '127.0.0.1')
  await once(spare, 'listening')
  const { port } = spare.address() as AddressInfo
  spare.close()
  await once(spare, 'close')
  const opa = client(`http://127.0.0.1:${port}`)
  assert.deepEqual(await opa.evaluate(['a'], '{}', never), {
    kind: 'failed',
    message: 'the server of OPA gave no answer: ECONNREFUSED',
  })
  assert.equal(await opa.health(), 'ECONNREFUSED')
  await listen(
    createServer((_, response) => response.end('{"result":true}')),
    port,
  )
  assert.deepEqual(await opa.evaluate(['a'], '{}', never), { kind: 'defined', value: true })
  assert.equal(await opa.health(), null)
})

test('nobody waits for an answer that is no longer wanted, nor in an endless line', async () => {
  const held: (() => void)[] = []
  const url = await serve((_, response) => held.push(() => response.end('{"result":true}')))
  const opa = client(url)
  const abort = new AbortController()
  const aborted = opa.evaluate(['a'], '{}', abort.signal)
  abort.abort()
  assert.equal((await aborted).kind, 'failed')
  const waiting = Array.from({ length: 4 }, () => opa.evaluate(['a'], '{}', never))
  assert.deepEqual(await opa.evaluate(['a'], '{}', never), {
    kind: 'failed',
    message: 'too many questions wait for the server of OPA',
  })
  await Promise.all(waiting)
})

test('a unix socket serves as well', async () => {
  const url = await listen(
    createServer((request, response) => response.end(`{"result":${request.url === '/v1/data/a'}}`)),
    join(folder, 'opa.sock'),
  )
  assert.deepEqual(await client(url).evaluate(['a'], '{}', never), { kind: 'defined', value: true })
})

test('a server with TLS must be vouched for', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const contents = {
    issuer: { commonName: 'root' },
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 60_000,
    issuerPublicKey: root.publicKey,
  }
  const names = [{ kind: 'dns', name: 'localhost' }] as const
  const cert = buildCertificate(
    { ...contents, subject: { commonName: 'opa' }, publicKey, usage: { kind: 'workload', names } },
    root.privateKey,
  )
  const ca = buildCertificate(
    { ...contents, subject: { commonName: 'root' }, publicKey: root.publicKey, usage: { kind: 'authority' } },
    root.privateKey,
  )
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const plain = await listen(createTlsServer({ cert, key }, (_, response) => response.end('{"result":true}')))
  const url = plain.replace('http://127.0.0.1', 'https://localhost')
  assert.deepEqual(await client(url, { ca }).evaluate(['a'], '{}', never), { kind: 'defined', value: true })
  assert.equal((await client(url).evaluate(['a'], '{}', never)).kind, 'failed')
  assert.equal(
    (await client(url.replace('localhost', '127.0.0.1'), { ca }).evaluate(['a'], '{}', never)).kind,
    'failed',
  )
})

test('addresses are of HTTP or of a socket', () => {
  assert.deepEqual(parseOpaUrl('unix:///run/opa.sock'), {
    origin: 'http://localhost',
    socketPath: '/run/opa.sock',
    prefix: '',
  })
  for (const url of [
    '',
    'opa:8181',
    'ftp://x',
    'http://',
    'http://a/?q',
    'http://a/#f',
    'http://u:p@a',
    'unix:opa.sock',
    'unix:',
  ]) {
    assert.equal(parseOpaUrl(url), null, url)
  }
})

test('the engine loads without its server, and then answers errors', async () => {
  const logged: string[] = []
  const note = (message: string) => logged.push(message)
  const logger: Logger = { level: 'info', debug() {}, info() {}, warn: note, error: note }
  const engine = { kind: 'opa', url: 'unix:/nowhere/opa.sock', query: 'data.a', ca: null, token: null } as const
  const loading = await loadOpa(engine, logger)
  assert.ok(loading.kind === 'loaded')
  const request = { attributes: {}, signal: never } as unknown as Parameters<typeof loading.checks.check>[0]
  assert.deepEqual(await loading.checks.check(request), { kind: 'error', status: 503 })
  assert.deepEqual(logged, ['the server of OPA is not healthy', 'the policy gave no decision'])
})

test('what cannot be an engine is said', async () => {
  const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
  const problem = async (change: object) => {
    const engine = {
      kind: 'opa',
      url: 'http://127.0.0.1:1',
      query: 'data.a',
      ca: null,
      token: null,
      ...change,
    } as const
    const loading = await loadOpa(engine, silent)
    return loading.kind === 'failed' ? loading.message : null
  }
  assert.match((await problem({ url: 'opa:8181' })) ?? '', /no address of OPA/)
  assert.match((await problem({ query: 'x := 1' })) ?? '', /names no document/)
  assert.match((await problem({ ca: join(folder, 'missing.pem') })) ?? '', /ENOENT/)
  writeFileSync(join(folder, 'token'), 'abc\n')
  assert.equal(await problem({ token: join(folder, 'token') }), null)
})
