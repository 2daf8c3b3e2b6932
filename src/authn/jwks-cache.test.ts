import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { HeaderMap } from '../match/header-map.ts'
import type { JwtKeys, JwtRule } from '../mesh/request-authentication.ts'
import type { Logger } from '../observe/log.ts'
import { createHttpFetch, type HttpFetchOptions } from './http-fetch.ts'
import { createJwksCache, type JwksTiming } from './jwks-cache.ts'
import { signToken } from './jwt/sign-token.ts'
import { createRequestAuthenticator } from './request-authenticator.ts'
import { buildCertificate } from './x509/certificate.ts'

const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
const pairs = ['k1', 'k2'].map((kid) => ({ kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) }))
const [k1, k2] = pairs as [Pair, Pair]
interface Pair {
  readonly kid: string
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}
const jwksOf = (...keys: Pair[]) =>
  JSON.stringify({ keys: keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid })) })
const tokenOf = ({ kid, privateKey }: Pair) =>
  signToken(JSON.stringify({ alg: 'ES256', kid }), '{"iss":"A","sub":"u"}', { alg: 'ES256', key: privateKey })

type Handler = (request: IncomingMessage, response: ServerResponse) => void
const servers: Server[] = []
after(() => {
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
})

/** A server whose behaviour the test changes as it goes. */
async function serve(handler: Handler, server: Server = createServer()) {
  const state = { handler, requests: 0, port: 0, paths: [] as string[] }
  server.on('request', (request, response) => {
    state.requests++
    state.paths.push(request.url ?? '')
    state.handler(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  state.port = (server.address() as AddressInfo).port
  return state
}

const text =
  (body: string): Handler =>
  (_, response) => {
    response.end(body)
  }
const status =
  (code: number): Handler =>
  (_, response) => {
    response.writeHead(code).end()
  }

function ruleFor(keys: JwtKeys, timeout = 5000): JwtRule {
  return {
    issuer: 'A',
    audiences: [],
    keys,
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    forwardOriginalToken: false,
    outputPayloadToHeader: null,
    outputClaimToHeaders: [],
    spaceDelimitedClaims: [],
    timeout,
  }
}
const uriRule = (uri: string, timeout?: number) => ruleFor({ kind: 'uri', uri }, timeout)

interface Setup {
  readonly timing?: Partial<JwksTiming>
  readonly http?: HttpFetchOptions
}

function setUp(rules: readonly JwtRule[], { timing = {}, http = {} }: Setup = {}) {
  const clock = { now: Date.parse('2026-01-01T00:00:00Z') }
  const lines: unknown[] = []
  const note = (message: string, fields?: unknown) => lines.push({ message, fields })
  const logger: Logger = { ...silent, level: 'info', info: note, warn: note, error: note }
  const cache = createJwksCache({ fetch: createHttpFetch(http), logger, now: () => clock.now, timing })
  cache.use(rules)
  const authenticator = createRequestAuthenticator(rules, cache)
  const authenticate = (pair: Pair) =>
    authenticator.authenticate(
      {
        method: 'GET',
        scheme: 'http',
        host: 'h',
        path: '/',
        headers: HeaderMap.from([['authorization', `Bearer ${tokenOf(pair)}`]]),
      },
      clock.now,
    )
  const judge = async (pair: Pair) => {
    const authentication = await authenticate(pair)
    return authentication.kind === 'accepted' ? 'ok' : authentication.body
  }
  return { cache, clock, lines, authenticate, judge }
}

const fetchFailed = 'Jwks remote fetch is failed'
const noKey = "Jwks doesn't have key to match kid or alg from Jwt"

test('keys are fetched ahead, and then tokens are judged at once', async () => {
  const idp = await serve(text(jwksOf(k1)))
  const { cache, authenticate, judge } = setUp([uriRule(`http://127.0.0.1:${idp.port}/jwks`)])
  await cache.ready()
  assert.equal(idp.requests, 1)
  assert.ok(!(authenticate(k1) instanceof Promise))
  assert.equal(await judge(k1), 'ok')
  assert.equal(idp.requests, 1)
  cache.close()
})

test('a token that comes during the first fetch waits for it', async () => {
  let answer = () => {}
  const idp = await serve((_, response) => {
    answer = () => response.end(jwksOf(k1))
  })
  const { cache, authenticate } = setUp([uriRule(`http://127.0.0.1:${idp.port}/`)])
  const waiting = [authenticate(k1), authenticate(k1)]
  while (idp.requests === 0) await new Promise(setImmediate)
  answer()
  for (const authentication of await Promise.all(waiting)) assert.equal(authentication.kind, 'accepted')
  assert.equal(idp.requests, 1)
  cache.close()
})

test('rules share the keys of one URI', async () => {
  const idp = await serve(text(jwksOf(k1)))
  const uri = `http://127.0.0.1:${idp.port}/`
  const { cache } = setUp([uriRule(uri), uriRule(uri), { ...uriRule(uri), issuer: 'B' }])
  await cache.ready()
  assert.equal(idp.requests, 1)
  cache.close()
})

test('an unknown key id fetches again, at most once in ten seconds', async () => {
  const idp = await serve(text(jwksOf(k1)))
  const { cache, clock, judge } = setUp([uriRule(`http://127.0.0.1:${idp.port}/`)])
  await cache.ready()
  idp.handler = text(jwksOf(k1, k2))
  clock.now += 9_999
  assert.equal(await judge(k2), noKey)
  assert.equal(idp.requests, 1)
  clock.now += 1
  assert.deepEqual(await Promise.all([judge(k2), judge(k2)]), ['ok', 'ok'])
  assert.equal(idp.requests, 2)
  cache.close()
})

test('an issuer that is down refuses its tokens and nothing else, and recovers', async () => {
  const idp = await serve(status(503))
  const { cache, clock, lines, judge } = setUp([uriRule(`http://127.0.0.1:${idp.port}/jwks?key=secret`)])
  await cache.ready()
  assert.equal(await judge(k1), fetchFailed)
  assert.equal(idp.requests, 1)
  assert.match(JSON.stringify(lines), /answered with status 503/)
  assert.doesNotMatch(JSON.stringify(lines), /secret/)
  idp.handler = text(jwksOf(k1))
  clock.now += 10_000
  assert.equal(await judge(k1), 'ok')
  cache.close()
})

test('keys survive failures and bad answers, for seven days', async () => {
  const idp = await serve(text(jwksOf(k1)))
  const { cache, clock, judge } = setUp([uriRule(`http://127.0.0.1:${idp.port}/`)])
  await cache.ready()
  for (const handler of [status(500), text('<html>'), text('{"keys":[]}')]) {
    idp.handler = handler
    clock.now += 10_000
    assert.equal(await judge(k2), noKey)
    assert.equal(await judge(k1), 'ok')
  }
  idp.handler = status(500)
  clock.now += 7 * 24 * 60 * 60_000
  assert.equal(await judge(k1), fetchFailed)
  cache.close()
})

test('keys are refreshed by time, and after a failure sooner', async () => {
  const idp = await serve(text(jwksOf(k1)))
  const seen = async (count: number) => {
    while (idp.requests < count) await new Promise(setImmediate)
  }
  const timing = { refresh: 5, retryLeast: 5, retryMost: 10 }
  const { cache, judge } = setUp([uriRule(`http://127.0.0.1:${idp.port}/`)], { timing })
  await seen(2)
  idp.handler = status(500)
  await seen(5)
  idp.handler = text(jwksOf(k2))
  await seen(7)
  assert.equal(await judge(k2), 'ok')
  cache.close()
  await cache.ready()
  const { requests } = idp
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(idp.requests, requests, 'nothing is fetched after close')
})

test('a set that no rule uses any more is forgotten, one that stays is kept', async () => {
  const first = await serve(text(jwksOf(k1)))
  const second = await serve(text(jwksOf(k1)))
  const rules = [first, second].map(({ port }) => uriRule(`http://127.0.0.1:${port}/`))
  const { cache } = setUp(rules)
  await cache.ready()
  cache.use(rules.slice(1))
  cache.use(rules)
  await cache.ready()
  assert.deepEqual([first.requests, second.requests], [2, 1])
  cache.close()
})

test('without jwksUri the keys are found by OpenID discovery', async () => {
  const idp = await serve((request, response) => {
    const here = `http://${request.headers.host}`
    response.end(request.url?.startsWith('/realm/') ? JSON.stringify({ jwks_uri: `${here}/keys` }) : jwksOf(k1))
  })
  const discovery = (path: string) => ruleFor({ kind: 'discovery', issuer: `http://127.0.0.1:${idp.port}${path}` })
  const { cache, judge } = setUp([discovery('/realm/')])
  assert.equal(await judge(k1), 'ok')
  assert.deepEqual(idp.paths, ['/realm/.well-known/openid-configuration', '/keys'])
  cache.close()

  const bad = setUp([discovery('/other')])
  assert.equal(await bad.judge(k1), fetchFailed)
  assert.match(JSON.stringify(bad.lines), /has no jwks_uri/)
  bad.cache.close()
})

/** The reason why `uri` cannot be fetched, as the log has it. */
async function reasonOf(uri: string, timeout?: number, http?: HttpFetchOptions): Promise<string> {
  const { cache, lines, judge } = setUp([uriRule(uri, timeout)], http === undefined ? {} : { http })
  assert.equal(await judge(k1), fetchFailed)
  cache.close()
  return (lines[0] as { fields: { reason: string } }).fields.reason
}

test('the timeout of the rule ends a fetch, also in the middle of the body', async () => {
  const hanging = await serve(() => {})
  assert.match(await reasonOf(`http://127.0.0.1:${hanging.port}/`, 50), /within 50 ms/)
  const slow = await serve((_, response) => response.write('{'))
  assert.match(await reasonOf(`http://127.0.0.1:${slow.port}/`, 50), /within 50 ms/)
})

test('an answer beyond 1 MiB is refused', async () => {
  const endless = await serve((_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65536, 0x20)));
    }
    response.on('drain', more)
    more()
  })
  assert.match(await reasonOf(`http://127.0.0.1:${endless.port}/`), /longer than 1048576 bytes/)
})

test('at most three redirects, only to http and https', async () => {
  const idp = await serve((request, response) => {
    const left = Number(request.url?.slice(1))
    if (left === 0) response.end(jwksOf(k1))
    else response.writeHead(302, { location: `/${left - 1}` }).end()
  })
  const { cache, judge } = setUp([uriRule(`http://127.0.0.1:${idp.port}/3`)])
  assert.equal(await judge(k1), 'ok')
  cache.close()
  assert.match(await reasonOf(`http://127.0.0.1:${idp.port}/4`), /more than 3 redirects/)
  const file = await serve((_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end())
  assert.match(await reasonOf(`http://127.0.0.1:${file.port}/`), /not an http or https URI/)
})

test('link-local and metadata addresses are never dialled', async () => {
  const redirecting = await serve((_, response) =>
    response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
  )
  for (const uri of [
    'http://169.254.169.254/latest',
    'http://0xa9fea9fe/',
    'http://[fe80::1]/',
    'http://[::ffff:169.254.1.1]/',
    'http://0xa9fea9fe/',
    'http://2852039166/',
    'http://[64:ff9b::169.254.169.254]/',
    'http://[2002:a9fe:a9fe::1]/',
    'http://100.100.100.200/',
    'https://[fd00:ec2::254]/',
    `http://127.0.0.1:${redirecting.port}/`,
  ])
    assert.match(await reasonOf(uri), /link-local or metadata address/, uri)
  const elsewhere = { resolve: () => ({ address: '169.254.169.254', port: 80 }) }
  assert.match(await reasonOf('http://idp.example/', 5000, elsewhere), /link-local or metadata address/)
})

test('an issuer that cannot be reached, or a URI that is none, is a reason and no exception', async () => {
  const gone = createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  gone.close()
  await once(gone, 'close')
  assert.match(await reasonOf(`http://127.0.0.1:${port}/`), /ECONNREFUSED/)
  assert.match(await reasonOf('http://idp.invalid/'), /ENOTFOUND|EAI_AGAIN/)
  assert.match(await reasonOf('nonsense'), /not an http or https URI/)
})

test('https: an extra CA is trusted, another address may stand for the host, the name is still checked', async () => {
  const now = Date.now()
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const common = { issuer: { commonName: 'test root' }, notBefore: now - 60_000, notAfter: now + 600_000 }
  const root = buildCertificate(
    {
      ...common,
      subject: common.issuer,
      publicKey: ca.publicKey,
      issuerPublicKey: ca.publicKey,
      usage: { kind: 'authority' },
    },
    ca.privateKey,
  )
  const cert = buildCertificate(
    {
      ...common,
      subject: {},
      publicKey: leaf.publicKey,
      issuerPublicKey: ca.publicKey,
      usage: { kind: 'workload', names: [{ kind: 'dns', name: 'idp.example' }] },
    },
    ca.privateKey,
  )
  const key = leaf.privateKey.export({ type: 'pkcs8', format: 'pem' })
  const server = createTlsServer({ cert, key })
  const names: unknown[] = []
  server.on('secureConnection', (socket) => names.push(socket.servername))
  const idp = await serve(text(jwksOf(k1)), server)

  const asked: string[] = []
  const resolve = (host: string, port: number) => {
    asked.push(`${host}:${port}`)
    return { address: '127.0.0.1', port: idp.port }
  }
  const { cache, judge } = setUp([uriRule('https://idp.example/jwks')], { http: { ca: [root], resolve } })
  assert.equal(await judge(k1), 'ok')
  assert.deepEqual(asked, ['idp.example:443'])
  assert.deepEqual(names, ['idp.example'])
  cache.close()

  assert.match(
    await reasonOf('https://idp.example/jwks', 5000, { resolve }),
    /unable to verify|unable to get|self-signed/,
  )
  assert.match(await reasonOf('https://other.example/jwks', 5000, { ca: [root], resolve }), /other\.example/)
  const downgrade = await serve(
    (_, response) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end(),
    createTlsServer({ cert, key }),
  )
  const toDowngrade = { ca: [root], resolve: () => ({ address: '127.0.0.1', port: downgrade.port }) }
  assert.match(await reasonOf('https://idp.example/', 5000, toDowngrade), /from https to http/)
})

test('keys that nobody needs any more are not refreshed until somebody does', async () => {
  const idp = await serve(text(jwksOf(k1)))
  const timing = { refresh: 2, idle: 60_000 }
  const { cache, clock, judge } = setUp([uriRule(`http://127.0.0.1:${idp.port}/`)], { timing })
  const seen = async (count: number) => {
    while (idp.requests < count) await new Promise(setImmediate)
  }
  await seen(3)
  clock.now += 60_001
  // A refresh may be under way; what follows it finds that nobody asks.
  await delay(50)
  const asleep = idp.requests
  await delay(50)
  assert.equal(idp.requests, asleep)
  assert.equal(await judge(k1), 'ok')
  await seen(asleep + 2)
  cache.close()
})
