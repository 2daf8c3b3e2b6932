import assert from 'node:assert/strict'
import * as http from 'node:http'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { allow, deny } from '../extauthz/index.ts'
import { delegation, meshOf, startProvider, startSidecar, TestIssuer } from './delegation.test.fixture.ts'
import { ask, deferred, echo, startApplication } from './support.test.fixture.ts'

async function setup(t: TestContext, spec: string, more = '') {
  const first = await startProvider(t, 'first', () => allow())
  const second = await startProvider(t, 'second', () => allow())
  const text = meshOf([first, second]) + delegation(spec) + more
  const app = await startApplication(t, echo)
  const sidecar = await startSidecar(t, text, app.port)
  const send = (headers: http.OutgoingHttpHeaders = {}, path = '/') => ask(sidecar.port, { headers, path })
  return { first, second, sidecar, text, send }
}

const CACHED = 'providers: [{ name: first, sees: { headers: [x-user] }, cache: { ttl: 1h } }]'

function seenBy(body: string, name: string): string | undefined {
  const { rawHeaders } = JSON.parse(body) as { rawHeaders: string[] }
  return rawHeaders[rawHeaders.indexOf(name) + 1]
}

test('a permission is used for every request that looks the same, with its changes', async (t) => {
  const { first, sidecar, send } = await setup(t, CACHED)
  first.decide = ({ headers }) => allow({ headers: { 'x-role': `role of ${headers['x-user']}` } })
  for (const trace of ['1', '2', '3']) {
    const answer = await send({ 'x-user': 'ann', 'x-trace': trace, 'x-role': 'forged' })
    assert.equal(seenBy(answer.body, 'x-role'), 'role of ann')
    assert.equal(seenBy(answer.body, 'x-trace'), trace)
  }
  assert.equal(first.asked.length, 1)
  assert.equal(seenBy((await send({ 'x-user': 'bob' })).body, 'x-role'), 'role of bob')
  await send({ 'x-user': 'ann' }, '/other')
  await send({ 'x-user': 'ann', host: 'other' })
  assert.equal(first.asked.length, 4)
  await send({ 'x-user': 'ann' }, '/?hidden=1')
  assert.equal(first.asked.length, 4)
  assert.deepEqual(sidecar.metric('sallyport_delegation_cache_total').sort(), [
    '{delegation="foo/web",provider="first",event="hit"} 3',
    '{delegation="foo/web",provider="first",event="miss"} 4',
  ])
  assert.deepEqual(sidecar.metric('sallyport_provider_checks_total'), ['{provider="first",outcome="allow"} 4'])
  for (const { provider, decision } of await sidecar.logged(7))
    assert.deepEqual([provider, decision], ['first', 'allow'])
})

test('a denial is asked about anew, and so is a provider that could not be asked', async (t) => {
  const { first, send } = await setup(t, CACHED)
  first.decide = () => deny()
  assert.deepEqual([(await send()).status, (await send()).status], [403, 403])
  assert.equal(first.asked.length, 2)
  first.decide = () => allow()
  assert.equal((await send()).status, 200)
  first.decide = () => deny()
  assert.equal((await send()).status, 200)
  await first.stop()
  assert.deepEqual([(await send()).status, (await send({ 'x-user': 'new' })).status], [200, 403])
})

test('requests that look the same are asked about once at a time; one that is given up fails no other', async (t) => {
  const { first, sidecar, send } = await setup(t, CACHED)
  const release = deferred()
  first.decide = async () => {
    await release.promise
    return allow()
  }
  const given = http.request({ host: '127.0.0.1', port: sidecar.port, agent: false }).on('error', () => {})
  given.end()
  await first.called(1)
  const others = [send(), send(), send()]
  const waiting = () => sidecar.metric('sallyport_delegation_cache_total').join().includes('event="joined"} 3')
  while (!waiting()) await new Promise((resolve) => setImmediate(resolve))
  given.destroy()
  await sidecar.logged(1)
  release.resolve()
  assert.deepEqual(
    (await Promise.all(others)).map(({ status }) => status),
    [200, 200, 200],
  )
  assert.equal(first.asked.length, 1)
})

test('what is kept ends with the configuration under which it was given', async (t) => {
  const { first, sidecar, text, send } = await setup(t, CACHED)
  assert.equal((await send()).status, 200)
  first.decide = () => deny()
  assert.equal((await send()).status, 200)
  await sidecar.reload(text)
  assert.equal((await send()).status, 403)
})

test('what is kept ends with the token, and differs by the claims that are seen', async (t) => {
  const issuer = new TestIssuer()
  const spec = 'providers: [{ name: first, sees: { claims: [sub] }, cache: { ttl: 1h } }]'
  const { first, send } = await setup(t, spec, issuer.requestAuthentication)
  const now = Math.floor(Date.now() / 1000)
  const as = (claims: Readonly<Record<string, unknown>>) => send({ authorization: issuer.bearer(claims) })
  // Still accepted, as Envoy allows clocks to differ by a minute; but no longer good.
  for (let i = 0; i < 2; i++) assert.equal((await as({ sub: 'ann', exp: now - 10 })).status, 200)
  assert.equal(first.asked.length, 2)
  for (const jti of ['1', '2']) assert.equal((await as({ sub: 'ann', jti })).status, 200)
  assert.equal(first.asked.length, 3)
  await as({ sub: 'bob' })
  await as({})
  await send()
  assert.equal(first.asked.length, 6)
  await send()
  assert.equal(first.asked.length, 6)
})

test('a login that a provider begins is not shared', async (t) => {
  const { first, sidecar, send } = await setup(t, CACHED)
  const release = deferred()
  let state = 0
  first.decide = async () => {
    const own = ++state
    await release.promise
    return deny({ status: 302, headers: { location: `/login?state=${own}`, 'set-cookie': `state=${own}` } })
  }
  const all = [send(), send()]
  const joined = () => sidecar.metric('sallyport_delegation_cache_total').join().includes('joined')
  while (!joined()) await new Promise((resolve) => setImmediate(resolve))
  release.resolve()
  const places = (await Promise.all(all)).map(({ headers }) => headers.location)
  assert.deepEqual(places.sort(), ['/login?state=1', '/login?state=2'])
})

const SHADOWED = 'providers: [{ name: first }, { name: second, mode: shadow }]'

test('a shadow neither refuses, nor changes, nor delays, and is told of beside the decision', async (t) => {
  const { first, second, sidecar, send } = await setup(t, SHADOWED)
  const release = deferred()
  first.decide = () => allow({ headers: { 'x-user': 'first' } })
  second.decide = async ({ headers }) => {
    await release.promise
    return headers['x-user'] === 'client' ? deny() : allow({ headers: { 'x-user': 'second' } })
  }
  const passed = await send({ 'x-user': 'client' })
  assert.deepEqual([passed.status, seenBy(passed.body, 'x-user')], [200, 'first'])
  await second.called(1)
  assert.equal(sidecar.shadows.length, 0)
  release.resolve()
  await sidecar.shadowed(1)
  const [entry] = await sidecar.logged(1)
  assert.deepEqual(sidecar.shadows, [
    { id: entry?.id, delegation: 'foo/web', provider: 'second', shadow: 'deny', decision: 'allow', phase: 'none' },
  ])
  first.decide = () => deny()
  assert.equal((await send()).status, 403)
  await sidecar.shadowed(2)
  await second.stop()
  first.decide = () => allow()
  assert.equal((await send()).status, 200)
  await sidecar.shadowed(3)
  const labels = 'delegation="foo/web",provider="second"'
  assert.deepEqual(sidecar.metric('sallyport_delegation_shadow_total').sort(), [
    `{${labels},shadow="allow",decision="deny"} 1`,
    `{${labels},shadow="deny",decision="allow"} 1`,
    `{${labels},shadow="unavailable",decision="allow"} 1`,
  ])
  // Those that enforce are counted alone.
  assert.ok(!sidecar.metric('sallyport_provider_checks_total').join().includes('second'))
})

test('a Delegation whose providers all look on lets everything pass', async (t) => {
  const { first, sidecar, send } = await setup(t, 'providers: [{ name: first, mode: shadow }]')
  first.decide = () => deny()
  const refusing = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: closed, namespace: foo }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/closed] } }] }] }
`
  assert.equal((await send()).status, 200)
  await sidecar.shadowed(1)
  await sidecar.reload(meshOf([first]) + delegation('providers: [{ name: first, mode: shadow }]') + refusing)
  assert.equal((await send({}, '/closed')).status, 403)
  await sidecar.shadowed(2)
  const { shadow, decision, phase } = sidecar.shadows[1] as Record<string, unknown>
  assert.deepEqual([shadow, decision, phase], ['deny', 'deny', 'deny'])
})

test('more questions than a shadow may have at a time are dropped and counted', async (t) => {
  const { first, sidecar, send } = await setup(t, 'providers: [{ name: first, mode: shadow }]')
  const release = deferred()
  first.decide = async () => {
    await release.promise
    return allow()
  }
  const all = await Promise.all(Array.from({ length: 70 }, () => send()))
  assert.ok(all.every(({ status }) => status === 200))
  await sidecar.shadowed(6)
  release.resolve()
  await sidecar.shadowed(70)
  assert.deepEqual(sidecar.metric('sallyport_delegation_shadow_total').sort(), [
    '{delegation="foo/web",provider="first",shadow="allow",decision="allow"} 64',
    '{delegation="foo/web",provider="first",shadow="dropped",decision="allow"} 6',
  ])
})
