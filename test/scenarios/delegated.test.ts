import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, before, describe, test } from 'node:test'
import {
  type Answer,
  type Authorizer,
  type AuthorizerRequest,
  allow,
  createAuthorizer,
  deny,
} from '#src/extauthz/index.ts'
import { type Asking, ask, echo, type Answer as Reply, seen } from './exchange.ts'
import { createTestAuthority, foreignKey, type Issuer, startIssuer } from './issuer.ts'
import type { Sallyport } from './sallyport.ts'
import { examplePath, freePorts, Stage } from './stage.ts'
import { type Claims, signedToken } from './token.ts'

const stage = new Stage()
const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} } as const
const authority = createTestAuthority()
const host = 'user-service.default:8080'
let issuer: Issuer
let app = 0

/** The authorization service of the provider `delegated`; a test says what it decides. */
let service: Authorizer
let servicePort = 0
let decide: (request: AuthorizerRequest) => Answer | Promise<Answer>
const asked: AuthorizerRequest[] = []

/** The one of `delegated-http`. */
let answerHttp: (request: IncomingMessage, response: ServerResponse) => void
let httpPort = 0

before(async () => {
  app = await stage.application(echo)
  issuer = await startIssuer('my-auth-provider.example', '/.well-known/jwks.json', authority)
  stage.ending(() => issuer.close())
  stage.write('jwks-ca.pem', authority.root)
  servicePort = await startService(0)
  stage.ending(() => service.close({ grace: 0 }))
  httpPort = await stage.listen(createServer((request, response) => answerHttp(request, response)))
  stage.copy('delegated/mesh.yaml', 'files/mesh.yaml')
  stage.copy(
    'delegated/local.yaml',
    'files/local.yaml',
    ['18443', issuer.port],
    ['9090', servicePort],
    ['8000', httpPort],
  )
})
after(() => stage.end())

async function startService(port: number): Promise<number> {
  service = createAuthorizer({
    logger: silent,
    check(request) {
      asked.push(request)
      return decide(request)
    },
  })
  const { grpc } = await service.listen({ grpc: `127.0.0.1:${port}` })
  assert.ok(grpc)
  return grpc.port
}

const place = ['--workload', 'default/user-service', '--listen', '8080=127.0.0.1:0']

function up(...options: string[]): Promise<Sallyport> {
  return stage.up('-f', stage.path('files'), ...place, '--app', `127.0.0.1:${app}`, ...options)
}

function claims(change: Claims = {}): Claims {
  const now = Math.floor(Date.now() / 1000)
  return { iss: 'https://my-auth-provider.example', sub: 'alice', iat: now, exp: now + 3600, ...change }
}

function bearer(token: string | null, headers: Record<string, string> = {}): Asking {
  return { headers: { host, ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers } }
}

describe('a decision delegated over gRPC', () => {
  let sidecar: Sallyport
  let port = 0

  before(async () => {
    sidecar = await up('--jwks-ca', stage.path('jwks-ca.pem'))
    port = sidecar.port('inbound default/user-service:8080')
  })

  /** One request, with what the log says of it. */
  async function send(path: string, asking: Asking) {
    asked.length = 0
    const answer = await ask(port, path, asking)
    return { answer, decision: await sidecar.decision(answer.id), asked: [...asked] }
  }

  const good = (headers: Record<string, string> = {}) => bearer(issuer.token(claims()), headers)

  test('GET /api/v1/users with a good token, allowed: the application sees what the service added', async () => {
    decide = () => allow({ headers: { 'x-user-role': 'admin' }, removeHeaders: ['x-internal'] })
    const headers = { 'x-user-id': 'alice', 'x-user-role': 'forged', 'x-internal': '1' }
    const { answer, decision, asked } = await send('/api/v1/users?page=2', good(headers))
    assert.equal(answer.status, 200)
    const { method, url, headers: received } = seen(answer)
    assert.deepEqual(
      [method, url, received['x-user-role'], received['x-internal']],
      ['GET', '/api/v1/users?page=2', 'admin', undefined],
    )
    assert.match(received.authorization ?? '', /^Bearer /, 'forwardOriginalToken')
    const [request] = asked
    assert.ok(request)
    assert.deepEqual(
      [request.method, request.path, request.host, request.headers['x-user-id'], request.headers['x-user-role']],
      ['GET', '/api/v1/users?page=2', host, 'alice', 'forged'],
    )
    assert.deepEqual([decision.decision, decision.provider, decision.responseStatus], ['allow', 'delegated', 200])
    assert.deepEqual(issuer.fetched, ['my-auth-provider.example my-auth-provider.example /.well-known/jwks.json'])
  })

  test('the same, denied: the answer is the one of the service, with its own status', async () => {
    decide = () => deny()
    const plain = await send('/api/v1/users', good())
    assert.deepEqual([plain.answer.status, plain.answer.body], [403, ''])
    decide = () =>
      deny({ status: 429, headers: { 'retry-after': '3', 'content-type': 'application/json' }, body: '{"a":1}' })
    const { answer, decision } = await send('/api/v1/users', good())
    assert.deepEqual(
      [answer.status, answer.headers['retry-after'], answer.headers['content-type'], answer.body],
      [429, '3', 'application/json', '{"a":1}'],
    )
    const { phase, provider, details, responseStatus } = decision
    assert.deepEqual([phase, provider, details, responseStatus], ['custom', 'delegated', 'ext_authz_denied', 429])
  })

  test('an expired token and a foreign one: 401, with the reason', async () => {
    decide = () => allow()
    const now = Math.floor(Date.now() / 1000)
    const expired = issuer.token(claims({ iat: now - 7200, exp: now - 3600 }))
    const refused: [string, string][] = [
      [expired, 'Jwt is expired'],
      [signedToken(claims(), foreignKey(), 'key-1'), 'Jwt verification fails'],
      [issuer.token(claims({ iss: 'https://another.example' })), 'Jwt issuer is not configured'],
    ]
    for (const [token, reason] of refused) {
      const { answer, decision } = await send('/api/v1/users', bearer(token))
      assert.deepEqual([answer.status, answer.body], [401, reason])
      assert.match(
        answer.headers['www-authenticate'] ?? '',
        /^Bearer realm="http:\/\/user-service\.default:8080\/api\/v1\/users"/,
      )
      const { phase, details, policy } = decision
      assert.deepEqual(
        [phase, details, policy],
        ['authn', `jwt_authn_access_denied{${reason.replaceAll(' ', '_')}}`, null],
      )
      assert.ok(!JSON.stringify(decision).includes(token.split('.')[2] as string))
    }
  })

  test('no token passes the authentication: policies decide', async () => {
    decide = () => allow()
    const { answer, decision } = await send('/api/v1/users', bearer(null))
    assert.equal(answer.status, 200)
    assert.equal(decision.decision, 'allow')
  })

  test('POST /api/v1/users and GET /api/v1/other: no ALLOW rule matches', async () => {
    decide = () => allow()
    for (const [path, method] of [
      ['/api/v1/users', 'POST'],
      ['/api/v1/other', 'GET'],
    ] as const) {
      const { answer, decision, asked } = await send(path, { ...good(), method })
      assert.deepEqual([answer.status, answer.body], [403, 'RBAC: access denied'])
      assert.deepEqual([decision.phase, decision.policy, decision.provider], ['allow', 'none', 'delegated'])
      assert.equal(asked.length, 1)
    }
    const { answer, asked } = await send('/health', good())
    assert.deepEqual([answer.status, asked.length], [403, 0], 'not below /api/: not asked, and not allowed either')
  })

  test('the body goes with the question: up to 1024 bytes, and it says when that is not all', async () => {
    decide = () => allow()
    const long = 'abcdefghij'.repeat(300)
    for (const [body, shown, partial] of [
      ['short', 'short', 'false'],
      [long.slice(0, 1024), long.slice(0, 1024), 'false'],
      [long, long.slice(0, 1024), 'true'],
    ] as const) {
      const { answer, asked } = await send('/api/v1/users', { ...good(), body })
      assert.equal(answer.status, 200)
      assert.equal(seen(answer).body, body, 'the application gets all of it')
      const [request] = asked
      assert.ok(request)
      assert.equal(request.body.text(), shown)
      assert.deepEqual([request.headers['x-envoy-auth-partial-body'], request.truncated], [partial, partial === 'true'])
    }
  })

  /** Answers only when the test is over, which is after the provider's timeout. */
  async function slowly(expected: number): Promise<Reply> {
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    decide = () => released.then(() => allow())
    const began = performance.now()
    try {
      const { answer, decision, asked } = await send('/api/v1/users', good())
      const took = performance.now() - began
      assert.ok(took >= 480 && took < 5000, `answered after ${took} ms`)
      assert.deepEqual([answer.status, asked.length, decision.provider], [expected, 1, 'delegated'])
      return answer
    } finally {
      release()
    }
  }

  test('a service that is slower than the timeout is as one that is stopped: 403', async () => {
    assert.equal((await slowly(403)).body, '')
  })

  test('the service is stopped: 403 for what would be asked', async () => {
    await service.close({ grace: 0 })
    const { answer, decision } = await send('/api/v1/users', good())
    assert.deepEqual([answer.status, answer.body], [403, ''])
    assert.deepEqual([decision.phase, decision.details], ['custom', 'ext_authz_error'])
  })

  test('with failOpen it passes, stopped or slow, and the other policies still decide', async () => {
    const { kind, lines } = await sidecar.reload(() => {
      const once = 'allowPartialMessage: true }\n'
      stage.copy('delegated/mesh.yaml', 'files/mesh.yaml', [once, `${once}        failOpen: true\n`])
    })
    assert.equal(kind, 'applied', lines.join('\n'))
    assert.equal((await send('/api/v1/users', good())).answer.status, 200)
    assert.equal((await send('/api/v1/other', good())).answer.status, 403)
    assert.equal((await send('/api/v1/users', bearer('a.b.c'))).answer.status, 401)
    await startService(servicePort)
    await slowly(200)
    decide = () => deny()
    assert.equal((await send('/api/v1/users', good())).answer.status, 403, 'a denial is no failure')
  })
})

describe('a decision delegated over HTTP', () => {
  let sidecar: Sallyport
  let port = 0

  before(async () => {
    stage.copy('delegated/mesh.yaml', 'files/mesh.yaml', [
      'provider: { name: delegated }',
      'provider: { name: delegated-http }',
    ])
    sidecar = await up('--jwks-ca', stage.path('jwks-ca.pem'))
    port = sidecar.port('inbound default/user-service:8080')
  })

  test('200 allows; what is sent and what reaches the application is what the provider lists', async () => {
    let question: IncomingMessage | undefined
    answerHttp = (request, response) => {
      question = request
      response.writeHead(200, { 'x-user-role': 'admin', 'x-not-listed': '1' })
      response.end('ignored')
    }
    const token = issuer.token(claims())
    const headers = { 'x-user-id': 'alice', cookie: 'a=1', 'x-other': '1', 'x-user-role': 'forged' }
    const answer = await ask(port, '/api/v1/users?page=2', { ...bearer(token, headers), body: 'the body' })
    assert.equal(answer.status, 200)
    const received = seen(answer)
    assert.deepEqual(
      [received.headers['x-user-role'], received.headers['x-not-listed'], received.headers['x-other'], received.body],
      ['admin', undefined, '1', 'the body'],
    )
    assert.ok(question)
    const { connection, 'x-envoy-expected-rq-timeout-ms': deadline, ...sent } = question.headers
    // What is left of the provider's 500 ms.
    assert.ok(Number(deadline) > 0 && Number(deadline) <= 500, deadline as string)
    assert.deepEqual([question.method, question.url], ['GET', '/check/api/v1/users?page=2'])
    assert.deepEqual(sent, {
      host,
      authorization: `Bearer ${token}`,
      'x-user-id': 'alice',
      'x-mesh': 'cluster.local',
      'content-length': '0',
      'x-envoy-internal': 'true',
    })
    const decision = await sidecar.decision(answer.id)
    assert.deepEqual([decision.decision, decision.provider], ['allow', 'delegated-http'])
  })

  test('403 denies, with the listed headers of the answer and its body', async () => {
    answerHttp = (_, response) => {
      response.writeHead(403, { 'content-type': 'application/json', 'x-denied-by': 'us', 'x-not-listed': '1' })
      response.end('{"error":"no"}')
    }
    const answer = await ask(port, '/api/v1/users', bearer(null))
    const { status, headers, body } = answer
    assert.deepEqual([status, body], [403, '{"error":"no"}'])
    assert.deepEqual(
      [headers['content-type'], headers['x-denied-by'], headers['x-not-listed']],
      ['application/json', 'us', undefined],
    )
    const { phase, details, provider } = await sidecar.decision(answer.id)
    assert.deepEqual([phase, details, provider], ['custom', 'ext_authz_denied', 'delegated-http'])
  })

  test('a failure of the service is no answer: 403', async () => {
    answerHttp = (_, response) => response.writeHead(503).end('down')
    const answer = await ask(port, '/api/v1/users', bearer(null))
    const { status, body } = answer
    assert.deepEqual([status, body], [403, ''])
    assert.equal((await sidecar.decision(answer.id)).details, 'ext_authz_error')
  })
})

test('keys that cannot be fetched refuse every token, and no token still passes', async () => {
  stage.copy('delegated/mesh.yaml', 'files/mesh.yaml')
  decide = () => allow()
  const sidecar = await up()
  const port = sidecar.port('inbound default/user-service:8080')
  const answer = await ask(port, '/api/v1/users', bearer(issuer.token(claims())))
  assert.deepEqual([answer.status, answer.body], [401, 'Jwks remote fetch is failed'])
  assert.equal((await ask(port, '/api/v1/users', bearer(null))).status, 200)
})

test('the authorizer of the example serves both of its providers', async () => {
  const ports = await freePorts('grpc', 'http')
  const moved = [
    ['9090', ports.grpc],
    ['8000', ports.http],
  ] as const
  stage.copy('delegated/local.yaml', 'own/local.yaml', ['18443', issuer.port], ...moved)
  stage.copy('delegated/authorizer.yaml', 'own/authorizer.yaml', ...moved)
  stage.copy('delegated/authorizer.ts', 'own/authorizer.ts')
  stage.copy('delegated/mesh.yaml', 'own/mesh.yaml')
  const sidecar = await stage.up('-f', stage.path('own'), ...place, '--app', `127.0.0.1:${app}`)
  const port = sidecar.port('inbound default/user-service:8080')
  const both = async () => {
    const alice = await ask(port, '/api/v1/users', bearer(null, { 'x-user-id': 'alice' }))
    assert.deepEqual([alice.status, seen(alice).headers['x-user-role']], [200, 'admin'])
    const mallory = await ask(port, '/api/v1/users', bearer(null, { 'x-user-id': 'mallory' }))
    const { status, headers, body } = mallory
    assert.deepEqual(
      [status, headers['content-type'], headers['x-denied-by'], body],
      [403, 'text/plain', 'ext-authz', 'nobody by that name\n'],
    )
  }
  await both()
  const { kind, lines } = await sidecar.reload(() => {
    stage.copy('delegated/mesh.yaml', 'own/mesh.yaml', [
      'provider: { name: delegated }',
      'provider: { name: delegated-http }',
    ])
  })
  assert.equal(kind, 'applied', lines.join('\n'))
  await both()
})

describe('what people write by mistake', () => {
  const file = examplePath('mistakes/mistakes.yaml')
  interface Finding {
    readonly code: string
    readonly severity: string
    readonly file: string
    readonly line: number
    readonly column: number
    readonly message: string
    readonly help?: string
  }
  let findings: readonly Finding[] = []

  test('analyze names each mistake at its place and says what to write instead', async () => {
    const analyze = stage.sallyport('analyze', file, '-o', 'json')
    assert.equal(await analyze.ended, 1)
    findings = JSON.parse(analyze.lines.stdout.join('\n')).findings
    const expected: [line: number, column: number, code: string, message: RegExp, help: RegExp][] = [
      [2, 1, 'SP102', /`Authorization` is not a kind/, /`kind: AuthorizationPolicy`/],
      [16, 5, 'SP103', /`check` is unknown in `spec\.rules\[0\]`/, /ALLOW rule does not delegate.*`action: CUSTOM`/],
      [28, 7, 'SP103', /`proxy` is unknown in `defaultConfig`/, /`extensionProviders`.*`envoyExtAuthzGrpc/],
      [50, 5, 'SP103', /`matchLabel` is unknown/, /`matchLabels`/],
      [54, 5, 'SP301', /available providers are \[\] but found "ext-authz"/, /`extensionProviders`/],
      [58, 9, 'SP103', /`principal` is unknown/, /`principals`/],
      [61, 9, 'SP103', /`method` is unknown/, /`methods`/],
      [62, 17, 'SP404', /`\*` of `\/api\/\*\/users` stands for itself/, /`\/api\/\{\*\}\/users`/],
    ]
    assert.deepEqual(
      findings.map(({ line, column, code }) => [line, column, code]),
      expected.map(([line, column, code]) => [line, column, code]),
    )
    for (const [index, [, , , message, help]] of expected.entries()) {
      const finding = findings[index]
      assert.equal(finding?.file, file)
      assert.match(finding?.message ?? '', message)
      assert.match(finding?.help ?? '', help)
    }
  })

  test('up refuses it with exit code 3 and the same words', async () => {
    const refused = stage.starting('-f', file)
    assert.equal(await refused.ended, 3)
    assert.deepEqual(refused.lines.stdout, [])
    const said = refused.lines.stderr.join('\n')
    // What only analysis finds is no reason to refuse.
    for (const { severity, code, line, column, message, help } of findings.filter(({ code }) => code < 'SP4')) {
      assert.ok(said.includes(`${file}:${line}:${column}: ${severity}: ${message} [${code}]`), `${message} in ${said}`)
      assert.ok(said.includes(help as string), `${help} in ${said}`)
    }
    assert.ok(!refused.lines.stderr.includes('ready'))
  })
})
