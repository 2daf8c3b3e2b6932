import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckClient, CheckRequest } from '../extauthz/check.ts'
import { DecisionCache } from '../extauthz/delegation/decision-cache.ts'
import { allow, deny } from '../extauthz/index.ts'
import { type DelegationStage, delegate, NO_DELEGATION_EVENTS } from './delegate.ts'
import { delegation, meshOf, startProvider, startSidecar, TestIssuer } from './delegation.test.fixture.ts'
import { ask, echo, provider, startApplication } from './support.test.fixture.ts'

const peer = { ip: '127.0.0.1', port: 1, principal: '' }

test('claims that no message can carry refuse, also where the provider fails open', async (t) => {
  const issuer = new TestIssuer()
  const first = await startProvider(t, 'first', () => deny())
  const app = await startApplication(t, echo)
  const text = meshOf([first], { first: 'failOpen: true' }) + issuer.requestAuthentication
  const spec = 'providers: [{ name: first, sees: { claims: [deep] } }]'
  const sidecar = await startSidecar(t, text + delegation(spec), app.port)
  const send = async (depth: number) => {
    const deep: unknown = JSON.parse(`${'['.repeat(depth)}1${']'.repeat(depth)}`)
    return (await ask(sidecar.port, { headers: { authorization: issuer.bearer({ deep }) } })).status
  }
  assert.equal(await send(10), 403)
  // As deep as a token may be, and deeper than a Struct.
  assert.equal(await send(98), 500)
  assert.equal(first.asked.length, 1)
})

test('a client tells no provider of claims', async (t) => {
  for (const kind of ['grpc', 'http'] as const) {
    const first = await startProvider(t, 'first', () => allow(), kind)
    const app = await startApplication(t, echo)
    const http = kind === 'http'
    const settings = http ? { first: 'includeRequestHeadersInCheck: ["x*"]' } : {}
    const text = meshOf([first], settings, http ? ['first'] : []) + delegation('providers: [{ name: first }]')
    const sidecar = await startSidecar(t, text, app.port)
    const claims = Buffer.from('{"sub":"admin"}').toString('base64url')
    assert.equal(
      (
        await ask(sidecar.port, {
          headers: { 'X-Sallyport-Claims': claims, x_sallyport_claims: claims, 'x-other': '1' },
        })
      ).status,
      200,
    )
    const [{ headers } = { headers: {} as Record<string, string> }] = first.asked
    assert.deepEqual(
      Object.keys(headers).filter((name) => name.includes('claims')),
      [],
    )
    assert.equal(headers['x-other'], '1')
  }
})

test('at once: a question that breaks down beside a refusal breaks nothing else', async () => {
  const client = (check: CheckClient['check']): CheckClient => ({ check, close: async () => {} })
  const refusing = client(async () => {
    await new Promise((resolve) => setImmediate(resolve))
    return { kind: 'deny', status: 403, headers: [], body: new Uint8Array(0) }
  })
  const broken = client(async () => {
    throw new Error('broken')
  })
  const delegates = [refusing, broken].map((one) => ({
    ...{ provider, client: one, body: null, cache: null },
    show: (request: CheckRequest) => request,
  }))
  const stage: DelegationStage<string> = {
    ...{ claims: null, now: () => 0, asked() {}, events: NO_DELEGATION_EVENTS },
    facts: () => ({}) as ReturnType<typeof stage.facts>,
    question: () => ({ source: peer, destination: peer, time: 0, http: null }),
    readBody: () => assert.fail(),
    settle: (_name, _provider, { kind }) => (kind === 'deny' ? 'refused' : null),
    signal: () => new AbortController().signal,
  }
  const one = { name: 'foo/web', order: 'atOnce', matches: () => true, delegates, shadows: [] } as const
  assert.equal((await delegate([one], stage)).refusal, 'refused')
  // An exception that nobody takes would have ended the process by now.
  await new Promise((resolve) => setImmediate(resolve))
})

test("the decision log shows little of a provider's denial, and no token in it", async (t) => {
  const issuer = new TestIssuer()
  const token = issuer.bearer({ sub: 'ann' }).slice('Bearer '.length)
  const first = await startProvider(t, 'first', () =>
    deny({ body: `<a href="/login?state=${token}">${'x'.repeat(5000)}` }),
  )
  const app = await startApplication(t, echo)
  const sidecar = await startSidecar(t, meshOf([first]) + delegation('providers: [{ name: first }]'), app.port)
  const grpc = { 'content-type': 'application/grpc' }
  assert.ok((await ask(sidecar.port)).body.includes(token))
  await ask(sidecar.port, { method: 'POST', headers: grpc })
  for (const entry of await sidecar.logged(2)) {
    const line = JSON.stringify(entry)
    assert.ok(!line.includes(token), 'a token')
    assert.ok(line.length < 3000, `${line.length} characters`)
    assert.match(`${entry.body}${entry.grpcMessage}`, /href="\/login/)
  }
})

test('a permission that was asked for late is kept no longer than the token is good for', async () => {
  let now = 1_000_000
  const cache = new DecisionCache({ ttl: 3_600_000, maxEntries: 10, clock: () => now })
  const client: CheckClient = {
    check: async () => ({ kind: 'allow', changes: [], responseChanges: [] }),
    close: async () => {},
  }
  const one = { provider, client, show: (request: CheckRequest) => request, cache }
  const limit = { maxRequestBytes: 1, allowPartialMessage: false, packAsBytes: false }
  const stage: DelegationStage<string> = {
    ...{ claims: { exp: 1010 }, asked() {}, events: NO_DELEGATION_EVENTS, now: () => now },
    facts: () => ({}) as ReturnType<typeof stage.facts>,
    question: () => ({ source: peer, destination: peer, time: 0, http: null }),
    async readBody() {
      now += 20_000
      return { kind: 'read', body: null }
    },
    settle: () => null,
    signal: () => new AbortController().signal,
  }
  const asking = (body: typeof limit | null) =>
    delegate(
      [{ name: 'foo/web', order: 'inOrder', matches: () => true, delegates: [{ ...one, body }], shadows: [] }],
      stage,
    )
  await asking(limit)
  assert.equal(cache.size, 0, 'a client that sent its body slowly')
  now = 1_000_000
  await asking(null)
  assert.equal(cache.size, 1)
})
