import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type AllowOptions,
  type Answer,
  type AuthorizerConnection,
  type AuthorizerRequest,
  allow,
  bearerToken,
  createAuthorizer,
  deny,
  error,
  jsonBody,
  redirect,
  verifyTokens,
} from '../extauthz/index.ts'
import { check, checkConnection, createIssuer } from './index.ts'

const changes: AllowOptions = {
  headers: { 'x-user': 'zoë' },
  appendHeaders: { 'x-roles': 'b', 'x-absent': 'c' },
  removeHeaders: ['cookie'],
  responseHeaders: { 'x-one': 'new', 'set-cookie': ['a=1', 'b=2'] },
}

describe('check', () => {
  test('a check sees what the test says', async () => {
    const seen: AuthorizerRequest[] = []
    const result = await check(
      (request) => {
        seen.push(request)
        return allow()
      },
      {
        path: '/é?x=1',
        host: 'web.foo:8080',
        scheme: 'https',
        protocol: 'HTTP/2',
        headers: { 'X-User': 'zoë', 'x-many': ['1', '2'] },
        body: { n: 1 },
        source: { ip: '10.1.2.3', port: 4711, principal: 'spiffe://cluster.local/ns/a/sa/b' },
        contextExtensions: { tier: 'gold' },
        time: 1_700_000_000_000,
      },
    )
    assert.equal(result.decision, 'allow')
    const [request] = seen
    assert(request)
    const { method, path, host, scheme, protocol, time, source, headers, contextExtensions, truncated } = request
    assert.deepEqual(
      { method, path, host, scheme, protocol, time, source, truncated, tier: contextExtensions.tier },
      {
        method: 'POST',
        path: '/é?x=1',
        host: 'web.foo:8080',
        scheme: 'https',
        protocol: 'HTTP/2',
        time: 1_700_000_000_000,
        source: { ip: '10.1.2.3', port: 4711, principal: 'spiffe://cluster.local/ns/a/sa/b' },
        truncated: false,
        tier: 'gold',
      },
    )
    assert.deepEqual([headers['x-user'], headers['x-many'], headers['content-length']], ['zoë', '1,2', '7'])
    assert.deepEqual({ ...(jsonBody(request) as object) }, { n: 1 })
  })

  test('as little as nothing is a request', async () => {
    const result = await check(({ method, path, host }) => deny({ body: [method, path, host] }))
    assert.deepEqual(result.json(), ['GET', '/', 'app.example'])
    assert.equal(result.headers['content-type'], 'application/json')
  })

  for (const form of ['grpc', 'http'] as const) {
    test(`the application gets what the answer makes of the request (${form})`, async () => {
      const headers = { 'x-user': 'mallory', 'x-roles': 'a', cookie: 's=1', 'x-other': ['1', '2'] }
      const responseHeaders = { 'x-one': 'old', 'set-cookie': 'z=0' }
      const result = await check(() => allow(changes), { path: '/a?b=c', headers }, { form, responseHeaders })
      assert.equal(result.decision, 'allow')
      assert.equal(result.status, 200)
      assert.deepEqual(result.upstream?.headerLines, [
        ['x-user', 'zoë'],
        ['x-roles', 'a,b'],
        ['x-other', '1'],
        ['x-other', '2'],
      ])
      assert.equal(result.upstream?.headers['x-other'], '1,2')
      assert.deepEqual(
        [result.upstream?.method, result.upstream?.path, result.upstream?.host],
        ['GET', '/a?b=c', 'app.example'],
      )
      const cookies = result.headerLines.filter(([name]) => name === 'set-cookie').map(([, value]) => value)
      assert.deepEqual(cookies, ['z=0', 'a=1', 'b=2'])
      // Over HTTP there is no replacing: the proxy adds.
      assert.equal(result.headers['x-one'], form === 'grpc' ? 'new' : 'old,new')
      assert.equal(result.problem, null)
    })

    test(`the client gets what the answer refuses with (${form})`, async () => {
      const result = await check(() => redirect('/login', { headers: { 'set-cookie': ['a=1', 'b=2'] } }), {}, { form })
      assert.deepEqual([result.decision, result.status, result.upstream], ['deny', 302, null])
      assert.deepEqual(result.headerLines, [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['location', '/login'],
      ])
      const text = await check(() => deny({ status: 429, body: 'später' }), {}, { form })
      assert.deepEqual([text.status, text.body, text.headers['content-type']], [429, 'später', 'text/plain'])
    })

    test(`without an answer the caller's configuration decides (${form})`, async () => {
      const closed = await check(() => error(), {}, { form })
      assert.deepEqual([closed.decision, closed.status, closed.upstream], ['error', 403, null])
      assert.match(closed.failure ?? '', form === 'grpc' ? /RPC status 14/ : /status 503/)
      assert.equal((await check(() => error(), {}, { form, statusOnError: 503 })).status, 503)
      const open = await check(() => error(), { headers: { 'x-user': 'mallory' } }, { form, failOpen: true })
      assert.deepEqual([open.decision, open.status, open.upstream?.headers['x-user']], ['error', 200, 'mallory'])
    })

    test(`a check that fails refuses, and the test is told why (${form})`, async () => {
      const result = await check(
        () => {
          throw new TypeError('no such user')
        },
        {},
        { form, failOpen: true },
      )
      assert.deepEqual([result.decision, result.status, result.body], ['deny', 403, ''])
      assert.match(result.problem ?? '', /TypeError[\s\S]*testing\.test[\s\S]*no such user/)
      const silent = await check((() => true) as never, {}, { form })
      assert.match(silent.problem ?? '', /none of allow\(\), deny\(\) and error\(\)/)
      const slow = await check(() => new Promise<Answer>(() => {}), {}, { form, timeout: 20 })
      assert.deepEqual([slow.status, /too long/.test(slow.problem ?? '')], [403, true])
      const twice = await check(
        (request) => (bearerToken(request) === null ? deny() : allow()),
        { headers: { authorization: ['Bearer a', 'Bearer b'] } },
        { form },
      )
      assert.deepEqual([twice.status, /authorization/.test(twice.problem ?? '')], [400, true])
    })
  }

  test('query and metadata', async () => {
    const answer = allow({ query: { tenant: 'a b' }, removeQuery: ['debug'], metadata: { user: { id: 7 } } })
    const result = await check(() => answer, { path: '/a?z=1&%64ebug=1&tenant=x&%74enant=y' })
    assert.equal(result.upstream?.path, '/a?tenant=a%20b&z=1')
    assert.deepEqual(result.metadata, { user: { id: 7 } })
    const http = await check(() => answer, {}, { form: 'http' })
    assert.deepEqual([http.decision, http.status], ['deny', 403])
    assert.match(http.problem ?? '', /HTTP/)
  })

  test("the provider's lists say what goes over HTTP", async () => {
    const seen: AuthorizerRequest[] = []
    const result = await check(
      (request) => {
        seen.push(request)
        return allow({ headers: { 'x-user': 'a', 'x-role': 'b' } })
      },
      { path: '/a', headers: { 'x-a': '1', 'x-b': '2', authorization: 'Bearer x' } },
      {
        form: 'http',
        http: { pathPrefix: '/check', includeRequestHeaders: ['x-a'], headersToUpstreamOnAllow: ['x-u*'] },
      },
    )
    const [request] = seen
    assert.deepEqual([request?.path, request?.headers['x-a'], request?.headers['x-b']], ['/check/a', '1', undefined])
    assert.equal(request?.headers.authorization, 'Bearer x')
    assert.deepEqual([result.upstream?.path, result.upstream?.headers['x-user']], ['/a', 'a'])
    assert.equal(result.upstream?.headers['x-role'], undefined)
  })

  test('a body that the proxy cuts short', async () => {
    const read = (request: AuthorizerRequest) => deny({ body: [request.body.text(), request.truncated] })
    assert.deepEqual((await check(read, { body: 'abcdef', maxBodyBytes: 3 })).json(), ['abc', true])
    assert.deepEqual((await check(read, { body: Buffer.from('abc'), maxBodyBytes: 3 })).json(), ['abc', false])
    assert.equal(
      (await check((request) => (jsonBody(request) === null ? deny() : allow()), { body: { a: 1 }, maxBodyBytes: 3 }))
        .status,
      413,
    )
  })

  test('an authorizer and what a module exports can be asked too', async () => {
    const checks = { check: () => allow({ headers: { a: '1' } }), checkConnection: () => allow() }
    const authorizer = createAuthorizer(checks)
    for (const subject of [checks, authorizer, checks.check]) {
      assert.equal((await check(subject)).upstream?.headers.a, '1')
    }
    await assert.rejects(check({ kind: 'allow' } as never), TypeError)
    await assert.rejects(check({ listen() {}, close() {} } as never), TypeError)
  })

  test('too many headers are no request', async () => {
    const headers = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, '1']))
    const result = await check(() => allow({ headers }))
    assert.deepEqual([result.decision, result.status, result.upstream], ['error', 500, null])
  })
})

describe('checkConnection', () => {
  test('a connection is kept or closed', async () => {
    const seen: AuthorizerConnection[] = []
    const subject = {
      check: () => allow(),
      checkConnection(connection: AuthorizerConnection) {
        seen.push(connection)
        return connection.sni === 'db.foo' ? allow() : deny()
      },
    }
    const connection = { source: { principal: 'spiffe://a/ns/b/sa/c' }, sni: 'db.foo', contextExtensions: { a: 'b' } }
    assert.equal((await checkConnection(subject, connection)).decision, 'allow')
    assert.deepEqual(
      [seen[0]?.sni, seen[0]?.source.principal, seen[0]?.contextExtensions.a],
      ['db.foo', 'spiffe://a/ns/b/sa/c', 'b'],
    )
    assert.equal((await checkConnection(subject)).decision, 'deny')
    assert.equal((await checkConnection(() => allow())).decision, 'deny')
  })
})

describe('createIssuer', () => {
  for (const alg of ['ES256', 'RS256', 'EdDSA'] as const) {
    test(`its tokens verify, and those of others do not (${alg})`, async () => {
      const { issuer, jwks, sign } = createIssuer({ alg })
      const subject = verifyTokens({ issuer, audiences: ['api'], jwks }, ({ token: { subject } }) =>
        deny({ body: [subject] }),
      )
      const ask = (text: string) => check(subject, { headers: { authorization: `Bearer ${text}` } })
      const claims = { sub: 'alice', aud: 'api' }
      assert.deepEqual((await ask(sign(claims))).json(), ['alice'])
      assert.equal((await ask(sign(claims, { expiresIn: -120_000 }))).status, 401)
      assert.equal((await ask(sign({ ...claims, iss: undefined }))).status, 401)
      assert.equal((await ask(createIssuer({ alg }).sign(claims))).status, 401)
      assert.doesNotMatch(JSON.stringify(jwks), /"d":/)
    })
  }

  test('its keys can be fetched', async () => {
    const idp = createIssuer({ issuer: 'https://idp.test' })
    const served = await idp.serve()
    try {
      const options = { issuer: 'https://idp.test', audiences: [], jwksUri: served.jwksUri }
      const result = await check(
        verifyTokens(options, () => allow()),
        { headers: { authorization: `Bearer ${idp.sign({ sub: 'a' })}` } },
      )
      assert.equal(result.decision, 'allow')
      assert.equal(served.fetched, 1)
    } finally {
      await served.close()
    }
  })
})
