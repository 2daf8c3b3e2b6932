import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { allow, deny } from '../extauthz/index.ts'
import {
  delegation,
  meshOf,
  startProvider,
  startSidecar,
  TestIssuer,
  type TestProvider,
} from './delegation.test.fixture.ts'
import { ask, deferred, echo, raw, startApplication } from './support.test.fixture.ts'

const ASKING = 'providers: [{ name: first }, { name: second }]'

/** Two providers that allow, and a sidecar with the Delegation in front of an application that echoes. */
async function setup(t: TestContext, spec: string, more = '', settings: Readonly<Record<string, string>> = {}) {
  const first = await startProvider(t, 'first', () => allow())
  const second = await startProvider(t, 'second', () => allow())
  const text = meshOf([first, second], settings) + delegation(spec) + more
  const app = await startApplication(t, echo)
  const sidecar = await startSidecar(t, text, app.port)
  return { first, second, sidecar, text, send: (options = {}) => ask(sidecar.port, options) }
}

/** The headers that reached the application. */
function reached(body: string): IncomingHttpHeaders {
  const { rawHeaders } = JSON.parse(body) as { rawHeaders: string[] }
  return Object.fromEntries(
    rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name.toLowerCase(), rawHeaders[i + 1]]] : [])),
  )
}

function counts(...providers: readonly TestProvider[]): number[] {
  return providers.map(({ asked }) => asked.length)
}

test('in order: all must allow, each sees the changes before it, and the first refusal ends it', async (t) => {
  const { first, second, sidecar, send } = await setup(t, ASKING)
  first.decide = () =>
    allow({ headers: { 'x-user': 'ann', 'x-first': '1' }, responseHeaders: { 'x-answer': 'first', 'x-one': '1' } })
  second.decide = ({ headers }) =>
    allow({
      headers: { 'x-user': `${headers['x-user']}+` },
      removeHeaders: ['x-first'],
      responseHeaders: { 'x-answer': 'second' },
    })
  const passed = await send({ headers: { 'x-user': 'forged' } })
  assert.equal(passed.status, 200)
  assert.deepEqual([reached(passed.body)['x-user'], reached(passed.body)['x-first']], ['ann+', undefined])
  // As Envoy, whose filters see an answer in the opposite order.
  assert.deepEqual([passed.headers['x-answer'], passed.headers['x-one']], ['first', '1'])
  second.decide = () => deny({ status: 429, headers: { 'x-why': 'second' }, body: 'slow' })
  const late = await send()
  assert.deepEqual([late.status, late.body, late.headers['x-why'], late.headers['x-one']], [429, 'slow', 'second', '1'])
  first.decide = () => deny({ status: 401 })
  assert.equal((await send()).status, 401)
  assert.deepEqual(counts(first, second), [3, 2])
  const [one, two, three] = await sidecar.logged(3)
  assert.deepEqual([one?.decision, one?.delegation, one?.provider], ['allow', undefined, 'second'])
  assert.deepEqual(
    [two?.phase, two?.policy, two?.details, two?.provider, two?.delegation],
    ['custom', null, 'ext_authz_denied', 'second', 'foo/web'],
  )
  assert.deepEqual([three?.provider, three?.delegation], ['first', 'foo/web'])
})

test('at once: nobody waits for another, and changes are made in the listed order', async (t) => {
  const { first, second, send } = await setup(t, `order: atOnce\n${ASKING}`)
  const release = deferred()
  first.decide = async () => {
    await release.promise
    return allow({ headers: { 'x-user': 'first', 'x-first': '1' } })
  }
  second.decide = ({ headers }) => allow({ headers: { 'x-user': 'second', 'x-saw': headers['x-user'] ?? 'none' } })
  const answer = send({ headers: { 'x-user': 'client' } })
  await Promise.all([first.called(1), second.called(1)])
  release.resolve()
  const { 'x-user': user, 'x-first': own, 'x-saw': saw } = reached((await answer).body)
  assert.deepEqual([user, own, saw], ['second', '1', 'client'])
})

test('at once: of several refusals the earliest listed counts, however late it comes', async (t) => {
  const { first, second, sidecar, send } = await setup(t, `order: atOnce\n${ASKING}`)
  const release = deferred()
  first.decide = async () => {
    await release.promise
    return deny({ status: 401, body: 'first' })
  }
  second.decide = () => deny({ status: 429, body: 'second' })
  const answer = send()
  await second.called(1)
  release.resolve()
  assert.deepEqual([(await answer).status, (await answer).body], [401, 'first'])
  first.decide = () => allow({ headers: { 'x-user': 'a' }, responseHeaders: { 'x-one': '1' } })
  const other = await send()
  assert.deepEqual([other.status, other.body, other.headers['x-one']], [429, 'second', undefined])
  assert.equal((await sidecar.logged(2))[1]?.provider, 'second')
})

test('at once: as many as there may be, without a word from Node', async (t) => {
  const warnings: Error[] = []
  const warn = (warning: Error) => warnings.push(warning)
  process.on('warning', warn)
  t.after(() => process.off('warning', warn))
  const first = await startProvider(t, 'p0', () => allow())
  const all = Array.from({ length: 16 }, (_, i) => ({ name: `p${i}`, port: first.port }))
  const app = await startApplication(t, echo)
  const spec = `order: atOnce\nproviders: [${all.map(({ name }) => `{ name: ${name} }`).join(', ')}]`
  const sidecar = await startSidecar(t, meshOf(all) + delegation(spec), app.port)
  assert.equal((await ask(sidecar.port)).status, 200)
  assert.equal(first.asked.length, 16)
  // Node warns in its own time.
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(warnings, [])
})

test('at once: a refusal ends what is still asked', async (t) => {
  const { first, second, send } = await setup(t, `order: atOnce\n${ASKING}`)
  const cancelled = deferred()
  second.decide = ({ signal }) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        cancelled.resolve()
        resolve(deny())
      })
    })
  first.decide = async () => {
    await second.called(1)
    return deny({ status: 401 })
  }
  assert.equal((await send()).status, 401)
  await cancelled.promise
})

test('one that cannot be asked refuses with its own status, unless it fails open', async (t) => {
  for (const order of ['inOrder', 'atOnce']) {
    const settings = { first: 'failOpen: true', second: 'statusOnError: "503"' }
    const { first, second, sidecar, send } = await setup(t, `order: ${order}\n${ASKING}`, '', settings)
    await first.stop()
    assert.equal((await send()).status, 200)
    await second.stop()
    assert.equal((await send()).status, 503)
    const [, entry] = await sidecar.logged(2)
    assert.deepEqual([entry?.details, entry?.provider, entry?.delegation], ['ext_authz_error', 'second', 'foo/web'])
  }
})

test('a provider whose host is in no file refuses whatever it is asked about, although it would fail open', async (t) => {
  const first = await startProvider(t, 'first', () => allow())
  const app = await startApplication(t, echo)
  const text = meshOf([first], { first: 'failOpen: true' }).replaceAll('hosts: [first.test]', 'hosts: [other.test]')
  const rules = 'rules: [{ to: [{ operation: { paths: [/asked] } }] }]'
  const sidecar = await startSidecar(t, text + delegation(`${rules}\nproviders: [{ name: first }]`), app.port)
  assert.equal((await ask(sidecar.port, { path: '/asked' })).status, 403)
  assert.equal((await ask(sidecar.port, { path: '/other' })).status, 200)
  assert.equal(first.asked.length, 0)
})

test('changes that must not be applied are 500, also at once', async (t) => {
  const { first, sidecar, send } = await setup(t, `order: atOnce\n${ASKING}`)
  first.decide = () => allow({ headers: { 'x-a': 'a'.repeat(62_000) } })
  assert.equal((await send()).status, 500)
  assert.equal((await sidecar.logged(1))[0]?.details, 'ext_authz_invalid')
})

const CLAIMS_RULE = `rules:
- to: [{ operation: { paths: [/admin/*] } }]
  when: [{ key: "request.auth.claims[groups]", values: [staff] }]
- from: [{ source: { requestPrincipals: ["https://issuer.test/ann"] } }]
  to: [{ operation: { paths: [/own] } }]
`

test('it asks once the token is verified, by claims and principals, and before DENY and ALLOW', async (t) => {
  const issuer = new TestIssuer()
  const policies = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: closed, namespace: foo }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/admin/closed] } }] }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: named, namespace: foo }
spec: { rules: [{ when: [{ key: "request.auth.claims[groups]", values: ["*"] }] }] }
`
  const { first, second, sidecar, send } = await setup(t, CLAIMS_RULE + ASKING, issuer.requestAuthentication + policies)
  const staff = issuer.bearer({ sub: 'bob', groups: ['staff', 'it'] })
  // A change of the request must not take the claims from the policies behind it.
  first.decide = () => allow({ headers: { 'x-checked': '1' } })
  const get = async (path: string, authorization?: string) =>
    (await send({ path, headers: authorization === undefined ? {} : { authorization } })).status
  assert.equal(await get('/admin/a', staff), 200)
  assert.deepEqual(counts(first, second), [1, 1])
  // The token left with its verification, as without a Delegation.
  assert.equal(first.asked[0]?.headers.authorization, undefined)
  assert.equal(await get('/admin/a', issuer.bearer({ sub: 'eve', groups: ['guests'] })), 200)
  assert.equal(await get('/admin/a'), 403)
  assert.equal(await get('/other', staff), 200)
  assert.deepEqual(counts(first, second), [1, 1], 'no rule matches')
  assert.equal(await get('/admin/a', `${staff}x`), 401)
  assert.deepEqual(counts(first, second), [1, 1], 'a token that does not verify is refused before')
  assert.equal(await get('/own', issuer.bearer({ sub: 'ann' })), 403, 'asked, and then refused by ALLOW')
  assert.deepEqual(counts(first, second), [2, 2])
  assert.equal(await get('/admin/closed', staff), 403)
  assert.deepEqual(counts(first, second), [3, 3], 'asked before DENY')
  const last = (await sidecar.logged(7))[6]
  assert.deepEqual([last?.phase, last?.provider, last?.delegation], ['deny', 'second', undefined])
})

test('a gRPC provider sees the claims where Envoy would put them, an HTTP provider in a header that no client can set', async (t) => {
  const issuer = new TestIssuer()
  const grpc = await startProvider(t, 'grpc', () => allow())
  const http = await startProvider(t, 'http', () => allow(), 'http')
  const spec = `providers:
- { name: grpc, sees: { claims: [sub, groups] } }
- { name: http, sees: { claims: [sub], headers: ["*"] } }
`
  const include = { http: 'includeRequestHeadersInCheck: [x-*]' }
  const text = meshOf([grpc, http], include, ['http']) + issuer.requestAuthentication + delegation(spec)
  const app = await startApplication(t, echo)
  const { port } = await startSidecar(t, text, app.port)
  const authorization = issuer.bearer({ sub: 'änn', groups: ['a', 'b'], secret: 'x' })
  const headers = { authorization, 'x-sallyport-claims': 'forged', 'x-own': '1' }
  assert.equal((await ask(port, { headers })).status, 200)
  const metadata = grpc.asked[0]?.attributes.metadataContext as Record<string, Record<string, unknown>> | undefined
  assert.deepEqual(metadata?.filterMetadata?.['envoy.filters.http.jwt_authn'], {
    payload: { sub: 'änn', groups: ['a', 'b'] },
  })
  assert.deepEqual([grpc.asked[0]?.source, grpc.asked[0]?.time], [{ ip: '', port: 0, principal: '' }, 0])
  const told = http.asked[0]?.headers['x-sallyport-claims'] ?? ''
  assert.deepEqual(JSON.parse(Buffer.from(told, 'base64url').toString('utf8')), { sub: 'änn' })
  assert.equal(http.asked[0]?.headers['x-own'], '1')
  // Without a token there are no claims, and a client's own header tells nothing.
  assert.equal((await ask(port, { headers: { 'x-sallyport-claims': 'forged' } })).status, 200)
  assert.equal(http.asked[1]?.headers['x-sallyport-claims'], undefined)
  const without = grpc.asked[1]?.attributes.metadataContext as Record<string, unknown> | undefined
  assert.equal(without?.filterMetadata, undefined)
})

test('a provider sees what is listed, and the application gets all', async (t) => {
  const spec = 'providers: [{ name: first, sees: { headers: [x-*], queryParameters: [tenant] } }]'
  const { first, send } = await setup(t, spec)
  const answer = await send({ path: '/a?tenant=1&token=secret', headers: { 'x-a': '1', cookie: 'c' } })
  const [asked] = first.asked
  assert.deepEqual([asked?.path, asked?.headers['x-a'], asked?.headers.cookie], ['/a?tenant=1', '1', undefined])
  assert.deepEqual([JSON.parse(answer.body).url, reached(answer.body).cookie], ['/a?tenant=1&token=secret', 'c'])
})

test('a body goes to each provider that looks at bodies, as far as its own limit, and to the application', async (t) => {
  const limit = (bytes: number) =>
    `includeRequestBodyInCheck: { maxRequestBytes: ${bytes}, allowPartialMessage: true, packAsBytes: true }`
  const settings = { first: limit(4), second: limit(100) }
  const withBody = 'providers: [{ name: first }, { name: second, sees: { body: true } }]'
  for (const spec of [withBody, `order: atOnce\n${withBody}`]) {
    const { first, second, sidecar, send } = await setup(t, spec, '', settings)
    const whole = await send({ method: 'POST', body: 'abcdefgh' })
    assert.equal(JSON.parse(whole.body).body, 'abcdefgh')
    assert.deepEqual([first.asked[0]?.body.text(), first.asked[0]?.truncated], ['abcd', true])
    assert.deepEqual([second.asked[0]?.body.text(), second.asked[0]?.truncated], ['abcdefgh', false])
    const chunked =
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
    assert.match(await raw(sidecar.port, chunked), /^HTTP\/1.1 200 [\s\S]*"body":"abc"/)
    assert.deepEqual([first.asked[1]?.body.text(), second.asked[1]?.body.text()], ['abc', 'abc'])
  }
  const strict = { first: limit(100), second: 'includeRequestBodyInCheck: { maxRequestBytes: 4 }' }
  const { second, sidecar, send } = await setup(t, withBody, '', strict)
  assert.equal((await send({ method: 'POST', body: 'abcdefgh' })).status, 413)
  assert.equal(second.asked.length, 0)
  const [entry] = await sidecar.logged(1)
  assert.deepEqual(
    [entry?.details, entry?.provider, entry?.delegation],
    ['request_payload_too_large', 'second', 'foo/web'],
  )
})

test('all Delegations of a workload must let a request pass, the oldest asks first, each by its own rules', async (t) => {
  const rules = 'rules: [{ when: [{ key: "request.headers[x-risk]", values: [high] }] }]'
  const more = delegation(`${rules}\nproviders: [{ name: second }]`, 'xtra')
  const { first, second, sidecar, send } = await setup(t, 'providers: [{ name: first }]', more)
  assert.equal((await send()).status, 200)
  assert.deepEqual(counts(first, second), [1, 0])
  // What the first one changes is what the rules of the next one see.
  first.decide = () => allow({ headers: { 'x-risk': 'high' } })
  second.decide = () => deny()
  assert.equal((await send()).status, 403)
  assert.equal((await sidecar.logged(2))[1]?.delegation, 'foo/xtra')
})

test('a CUSTOM policy beside it asks first, and is told of as ever', async (t) => {
  const custom = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: custom, namespace: foo }
spec: { action: CUSTOM, provider: { name: second }, rules: [{}] }
`
  const { first, second, sidecar, send } = await setup(t, 'providers: [{ name: first }]', custom)
  second.decide = () => deny()
  assert.equal((await send()).status, 403)
  assert.deepEqual(counts(first, second), [0, 1])
  const [entry] = await sidecar.logged(1)
  assert.deepEqual([entry?.provider, entry?.delegation], ['second', undefined])
})

test('connections are asked about too; an HTTP provider cannot be, and refuses', async (t) => {
  const first = await startProvider(t, 'first', () => allow())
  const http = await startProvider(t, 'http', () => allow(), 'http')
  const app = await startApplication(t, echo)
  const text = meshOf([first, http], {}, ['http'])
  const get = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'
  const tcp = { protocol: 'tcp' } as const
  const seen = 'providers: [{ name: first, sees: { source: [ip] } }]'
  const grpc = await startSidecar(t, text + delegation(seen), app.port, tcp)
  assert.match(await raw(grpc.port, get), /^HTTP\/1.1 200/)
  assert.deepEqual(first.asked[0]?.source, { ip: '127.0.0.1', port: 0, principal: '' })
  first.decide = () => deny()
  assert.equal(await raw(grpc.port, get), '')
  const [, entry] = await grpc.logged(2)
  assert.deepEqual(
    [entry?.phase, entry?.details, entry?.provider, entry?.delegation],
    ['custom', 'ext_authz_denied', 'first', 'foo/web'],
  )
  const closed = await startSidecar(t, text + delegation('providers: [{ name: http }]'), app.port, tcp)
  assert.equal(await raw(closed.port, get), '')
  assert.equal(http.asked.length, 0)
})
