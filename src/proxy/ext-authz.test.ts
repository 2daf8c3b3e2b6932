import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as net from 'node:net'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import type { RequestAuthenticator } from '../authn/authentication.ts'
import type { CheckOutcome, CheckRequest } from '../extauthz/check.ts'
import type { Policies } from './chain.ts'
import {
  allowed,
  ask,
  asking,
  echo,
  inbound,
  policies,
  provider,
  startApplication,
  startProxy,
} from './support.test.fixture.ts'

async function sidecar(t: TestContext, enforced: Policies) {
  let reached = 0
  const app = await startApplication(t, (request, response) => {
    reached++
    echo(request, response)
  })
  const running = await startProxy(t, { inbound: [inbound(app.port, { policies: enforced })] })
  return { ...running, reached: () => reached }
}

function deny(change: Partial<Extract<CheckOutcome, { kind: 'deny' }>> = {}): CheckOutcome {
  return { kind: 'deny', status: 403, headers: [], body: new Uint8Array(), ...change }
}

const timeout: CheckOutcome = { kind: 'error', reason: 'timeout', message: 'late' }

test('a provider sees the request as it will be forwarded', async (t) => {
  const seen: CheckRequest[] = []
  const running = await sidecar(
    t,
    asking((request) => {
      seen.push({ ...request, http: request.http && { ...request.http, headers: request.http.headers.clone() } })
      return allowed
    }),
  )
  await ask(running.port(), { method: 'POST', path: '/a/../b?c', headers: { host: 'web:80', 'x-a': '1' }, body: 'hi' })
  const { source, destination, http } = seen[0] as CheckRequest
  assert.equal(source.ip, '127.0.0.1')
  assert.equal(source.principal, '')
  assert.ok(source.port > 0)
  assert.deepEqual(destination, { ip: '127.0.0.1', port: 8000, principal: '' })
  assert.equal(http?.path, '/b?c')
  assert.equal(http?.host, 'web:80')
  assert.equal(http?.headers.has('host'), false)
  assert.equal(http?.headers.get('x-a'), '1')
  assert.equal(http?.body, null)
})

test('what a provider changes reaches policies, application and client', async (t) => {
  let path = ''
  const running = await sidecar(
    t,
    asking(
      () => ({
        kind: 'allow',
        changes: [
          { kind: 'set', name: 'x-set', value: 'new' },
          { kind: 'join', name: 'x-old', value: 'b' },
          { kind: 'join', name: 'x-none', value: 'b' },
          { kind: 'set', name: 'content-length', value: '99' },
          { kind: 'set', name: 'Transfer-Encoding', value: 'chunked' },
          { kind: 'remove', name: 'x-gone' },
          { kind: 'remove', name: 'host' },
        ],
        responseChanges: [
          { kind: 'add', name: 'x-answer', value: '1' },
          { kind: 'set', name: 'content-type', value: 'text/x' },
        ],
        rewrite: { path: '/other?q=1&gone=2', authority: 'elsewhere' },
        queryChanges: { set: [['a', 'b']], remove: ['gone'] },
      }),
      {},
      {
        decide: (facts) => {
          path = facts.urlPath
          return { kind: 'allow', policy: null }
        },
      },
    ),
  )
  const answer = await ask(running.port(), { method: 'POST', headers: { 'x-old': 'a', 'x-gone': '1' }, body: 'hi' })
  assert.equal(path, '/other')
  const seen = JSON.parse(answer.body)
  const lines = new Map<string, string>()
  for (let i = 0; i < seen.rawHeaders.length; i += 2) lines.set(seen.rawHeaders[i], seen.rawHeaders[i + 1])
  assert.equal(seen.url, '/other?a=b&q=1')
  assert.equal(seen.body, 'hi')
  assert.equal(lines.get('host'), 'elsewhere')
  assert.equal(lines.get('x-set'), 'new')
  assert.equal(lines.get('x-old'), 'a,b')
  assert.ok(!lines.has('x-none') && !lines.has('x-gone'))
  assert.equal(lines.get('content-length'), '2')
  assert.equal(answer.headers['x-answer'], '1')
  assert.equal(answer.headers['content-type'], 'text/x')
})

test('changes that cannot be written as HTTP, or are too many, are 500', async (t) => {
  for (const change of [
    { kind: 'set', name: 'x-a', value: 'a\r\nx-b: 1' },
    { kind: 'set', name: 'x a', value: 'a' },
    { kind: 'set', name: ':path', value: 'http://x' },
    { kind: 'set', name: 'x-large', value: 'x'.repeat(62_000) },
  ] as const) {
    const running = await sidecar(
      t,
      asking(() => ({ kind: 'allow', changes: [change], responseChanges: [] })),
    )
    assert.equal((await ask(running.port())).status, 500)
    assert.equal((await running.logged(1))[0]?.details, 'ext_authz_invalid')
    assert.equal(running.reached(), 0)
  }
})

test("a provider's denial is relayed without what would break the connection", async (t) => {
  const running = await sidecar(
    t,
    asking(() =>
      deny({
        status: 401,
        body: Buffer.from('go away'),
        headers: [
          ['Set-Cookie', 'a=1'],
          ['Set-Cookie', 'b=2'],
          ['Content-Length', '1'],
          ['x-split', 'a\r\nx-injected: 1'],
        ],
      }),
    ),
  )
  const answer = await ask(running.port())
  assert.equal(answer.status, 401)
  assert.equal(answer.body, 'go away')
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
  assert.equal(answer.headers['content-type'], 'text/plain')
  assert.equal(answer.headers['content-length'], '7')
  assert.ok(!('x-injected' in answer.headers))
  const [entry] = await running.logged(1)
  assert.deepEqual(
    [entry?.decision, entry?.phase, entry?.policy, entry?.details, entry?.provider, entry?.status, entry?.body],
    ['deny', 'custom', null, 'ext_authz_denied', 'opa', 401, 'go away'],
  )
  assert.equal(running.reached(), 0)
  assert.match(running.metrics.render(), /sallyport_provider_checks_total\{provider="opa",outcome="deny"\} 1/)
})

test('a provider that cannot be asked denies, unless failOpen says otherwise', async (t) => {
  const closed = await sidecar(
    t,
    asking(() => timeout, { statusOnError: 503 }),
  )
  const answer = await ask(closed.port())
  assert.deepEqual([answer.status, answer.body], [503, ''])
  assert.equal((await closed.logged(1))[0]?.details, 'ext_authz_error')
  const open = await sidecar(
    t,
    asking(() => timeout, { failOpen: true }),
  )
  assert.equal((await ask(open.port())).status, 200)
  const openButDenied = await sidecar(
    t,
    asking(() => timeout, { failOpen: true }, { decide: () => ({ kind: 'deny', phase: 'deny', policy: 'p' }) }),
  )
  assert.equal((await ask(openButDenied.port())).body, 'RBAC: access denied')
  const without = await sidecar(t, policies({ custom: () => ({ kind: 'ask', provider, policy: 'p' }) }))
  assert.equal((await ask(without.port())).status, 403)
  const broken = await sidecar(
    t,
    asking(() => {
      throw new Error('a bug')
    }),
  )
  assert.equal((await ask(broken.port())).status, 500)
  assert.equal(broken.reached(), 0)
})

test('a provider that does not exist denies with its id', async (t) => {
  const id = 'istio-ext-authz-x-ns[foo]-policy[p]-rule[0]-deny-due-to-bad-CUSTOM-action'
  const running = await sidecar(t, policies({ custom: () => ({ kind: 'deny', policy: id }) }))
  const answer = await ask(running.port())
  assert.deepEqual([answer.status, answer.body], [403, 'RBAC: access denied'])
  assert.deepEqual([(await running.logged(1))[0]?.phase, running.entries[0]?.policy], ['custom', id])
})

test('a gRPC client is refused in its own terms', async (t) => {
  const headers = { 'content-type': 'application/grpc+proto' }
  const rbac = await sidecar(t, policies({ decide: () => ({ kind: 'deny', phase: 'allow', policy: 'none' }) }))
  const answer = await ask(rbac.port(), { method: 'POST', path: '/p.S/N', headers, body: 'x' })
  assert.equal(answer.status, 200)
  assert.equal(answer.body, '')
  assert.equal(answer.headers['grpc-status'], '7')
  assert.equal(answer.headers['grpc-message'], 'RBAC: access denied')
  assert.equal(answer.headers['content-type'], 'application/grpc')
  const [entry] = await rbac.logged(1)
  assert.deepEqual(
    [entry?.decision, entry?.status, entry?.body, entry?.grpcStatus, entry?.grpcMessage],
    ['deny', 200, '', 7, 'RBAC: access denied'],
  )
  const web = await ask(rbac.port(), { method: 'POST', headers: { 'content-type': 'application/grpc-web' } })
  assert.equal(web.status, 403)
  const custom = await sidecar(
    t,
    asking(() => deny({ status: 401, body: Buffer.from('a\nb%') })),
  )
  const denied = await ask(custom.port(), { method: 'POST', headers })
  assert.deepEqual([denied.headers['grpc-status'], denied.headers['grpc-message']], ['16', 'a%0Ab%25'])
})

test('a gRPC client is told of a refused path in its own terms, and of what no parser takes plainly', async (t) => {
  const headers = { 'content-type': 'application/grpc' }
  const { port, logged } = await sidecar(t, policies())
  const refused = await ask(port(), { method: 'POST', path: '/%00', headers })
  assert.deepEqual([refused.status, refused.headers['grpc-status'], refused.body], [200, '13', ''])
  const [entry] = await logged(1)
  assert.deepEqual([entry?.status, entry?.grpcStatus, entry?.details], [200, 13, 'path_normalization_failed'])
  const host = await ask(port(), { method: 'POST', headers: { ...headers, host: 'a/b' } })
  assert.deepEqual([host.status, host.headers['grpc-status'], host.body], [400, undefined, 'Bad Request'])
  assert.equal((await logged(2))[1]?.details, 'http.invalid_authority')
})

test("an answer's headers of which Envoy keeps one value have one line", async (t) => {
  const lines = [
    ['etag', 'a'],
    ['x-a', '1'],
    ['etag', 'b'],
    ['x-a', '2'],
    ['content-type', 'text/html'],
  ] as const
  const { port } = await sidecar(
    t,
    asking(() => deny({ headers: lines })),
  )
  const { rawHeaders } = await ask(port())
  const sent = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : []))
  assert.deepEqual(
    sent.filter((line) => /^(?:etag|x-a|content-type)/.test(line)),
    ['etag: a,b', 'x-a: 1', 'x-a: 2'],
  )
})

test('a provider is shown so much of the body as it wants, and the application gets all of it', async (t) => {
  const bodies: (readonly [string, boolean] | null)[] = []
  const check = ({ http }: CheckRequest): CheckOutcome => {
    const body = http?.body ?? null
    bodies.push(body && [Buffer.from(body.bytes).toString(), body.partial])
    return allowed
  }
  const limit = { maxRequestBytes: 10, packAsBytes: false }
  const whole = await sidecar(t, asking(check, { includeRequestBody: { ...limit, allowPartialMessage: false } }))
  const partial = await sidecar(t, asking(check, { includeRequestBody: { ...limit, allowPartialMessage: true } }))
  const chunked = { 'transfer-encoding': 'chunked' }
  const table = [
    [whole, {}, '', 200, null],
    [whole, {}, '0123456789', 200, ['0123456789', false]],
    [whole, chunked, '0123456789', 200, ['0123456789', false]],
    [whole, {}, '0123456789a', 413, undefined],
    [whole, chunked, '0123456789a', 413, undefined],
    [partial, {}, '01234', 200, ['01234', false]],
    [partial, {}, '0123456789', 200, ['0123456789', false]],
    [partial, chunked, '0123456789', 200, ['0123456789', false]],
    [partial, {}, '0123456789a', 200, ['0123456789', true]],
    [partial, chunked, 'x'.repeat(300_000), 200, ['xxxxxxxxxx', true]],
  ] as const
  for (const [running, headers, body, status, shown] of table) {
    bodies.length = 0
    const answer = await ask(running.port(), { method: 'POST', headers, body })
    assert.equal(answer.status, status)
    if (status === 413) assert.equal(answer.body, 'Payload Too Large')
    else assert.equal(JSON.parse(answer.body).body, body)
    assert.deepEqual(bodies, shown === undefined ? [] : [shown])
  }
})

test('a provider that wants the body makes the client send it', async (t) => {
  const running = await sidecar(
    t,
    asking(() => deny(), {
      includeRequestBody: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: false },
    }),
  )
  const client = net.connect({ port: running.port(), host: '127.0.0.1' })
  client.write('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n')
  assert.match(String((await once(client, 'data'))[0]), /^HTTP\/1\.1 100/)
  client.write('hi')
  assert.match(String((await once(client, 'data'))[0]), /^HTTP\/1\.1 403/)
  client.destroy()
})

test('a token is judged after the provider and before the policies', async (t) => {
  const order: string[] = []
  const authenticator: RequestAuthenticator = {
    tokenNames: { headers: new Set(), parameters: new Set() },
    authenticate: (request) => {
      order.push(`authn ${request.headers.get('x-from-provider')}`)
      if (request.path.includes('bad')) {
        return {
          kind: 'rejected',
          status: 401,
          body: 'Jwt is expired',
          wwwAuthenticate: 'Bearer realm="x", error="invalid_token"',
          details: 'jwt_authn_access_denied{Jwt_is_expired}',
        }
      }
      request.headers.delete('authorization')
      return { kind: 'accepted', claims: { sub: 'alice' }, path: '/clean' }
    },
  }
  const running = await sidecar(t, {
    ...asking(
      () => {
        order.push('custom')
        return { kind: 'allow', changes: [{ kind: 'set', name: 'x-from-provider', value: '1' }], responseChanges: [] }
      },
      {},
      {
        audit: () => {
          order.push('audit')
          return true
        },
        dryRun: () => ({ allow: { result: 'denied', policy: null } }),
        decide: (facts) => {
          order.push(`decide ${facts.claims?.sub} ${facts.urlPath} ${facts.headers?.has('authorization')}`)
          return { kind: 'allow', policy: null }
        },
      },
    ),
    authenticator,
  })
  const answer = await ask(running.port(), { path: '/x?access_token=t', headers: { authorization: 'Bearer secret' } })
  assert.equal(JSON.parse(answer.body).url, '/clean')
  assert.deepEqual(order, ['custom', 'authn 1', 'audit', 'decide alice /clean false'])
  const rejected = await ask(running.port(), { path: '/bad' })
  assert.deepEqual([rejected.status, rejected.body], [401, 'Jwt is expired'])
  assert.equal(rejected.headers['www-authenticate'], 'Bearer realm="x", error="invalid_token"')
  const [first, second] = await running.logged(2)
  assert.equal(first?.audit, true)
  assert.deepEqual(first?.dryRun, { allow: { result: 'denied', policy: null } })
  assert.deepEqual([second?.phase, second?.details], ['authn', 'jwt_authn_access_denied{Jwt_is_expired}'])
  const line = JSON.stringify(running.entries)
  assert.ok(!line.includes('secret') && !line.includes('access_token=t'))
  assert.equal(first?.request.path, '/x?access_token=[masked]')
})

test('what stands where tokens are read from is in no log, whatever it looks like', async (t) => {
  const authenticator: RequestAuthenticator = {
    tokenNames: { headers: new Set(['x-a']), parameters: new Set(['tok']) },
    authenticate: ({ path }) => ({ kind: 'accepted', claims: null, path }),
  }
  const running = await sidecar(t, { ...policies(), authenticator })
  const headers = { 'X-A': 'opaque-1', referer: 'http://h/?access_token=opaque-2' }
  await ask(running.port(), { path: '/a?x=1&t%6fk=opaque-3&tok=opaque-4', headers })
  const [entry] = await running.logged(1)
  assert.doesNotMatch(JSON.stringify(entry), /opaque/)
  assert.equal(entry?.request.path, '/a?x=1&t%6fk=[masked]&tok=[masked]')
})

test('a provider that fails may word the refusal, and an answer that must not be applied never fails open', async (t) => {
  const reply = { status: 502, headers: [['x-why', 'down']] as const, body: Buffer.from('later') }
  const closed = await sidecar(
    t,
    asking(() => ({ kind: 'error', reason: 'unavailable', message: 'm', reply })),
  )
  const refused = await ask(closed.port())
  assert.deepEqual([refused.status, refused.body, refused.headers['x-why']], [502, 'later', 'down'])

  const open = await sidecar(
    t,
    asking(() => ({ kind: 'error', reason: 'unavailable', message: 'm' }), { failOpen: true }),
  )
  assert.equal((await ask(open.port())).status, 200)

  const invalid = await sidecar(
    t,
    asking(() => ({ kind: 'error', reason: 'invalid', message: 'm' }), { failOpen: true }),
  )
  assert.equal((await ask(invalid.port())).status, 500)
  assert.equal((await invalid.logged(1))[0]?.details, 'ext_authz_invalid')
  assert.equal(invalid.entries.at(-1)?.details, 'ext_authz_invalid')
})
