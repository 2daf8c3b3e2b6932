import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allow, deny } from '../extauthz/index.ts'
import { delegation, meshOf, startProvider, startSidecar, TestIssuer } from './delegation.test.fixture.ts'
import { ask, echo, startApplication } from './support.test.fixture.ts'

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
    const settings = http ? { first: 'includeRequestHeadersInCheck: ["x-*"]' } : {}
    const text = meshOf([first], settings, http ? ['first'] : []) + delegation('providers: [{ name: first }]')
    const sidecar = await startSidecar(t, text, app.port)
    const claims = Buffer.from('{"sub":"admin"}').toString('base64url')
    assert.equal((await ask(sidecar.port, { headers: { 'X-Sallyport-Claims': claims, 'x-other': '1' } })).status, 200)
    const [{ headers } = { headers: {} as Record<string, string> }] = first.asked
    assert.deepEqual([headers['x-sallyport-claims'], headers['x-other']], [undefined, '1'])
  }
})
