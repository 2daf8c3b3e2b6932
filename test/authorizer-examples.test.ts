import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadModule } from '#src/extauthz/engines/module.ts'
import type { Checks } from '#src/extauthz/index.ts'
import { check, createIssuer, type ServedKeys, type TestRequest } from '#src/testing/index.ts'

const folder = fileURLToPath(new URL('../../examples/authorizers/', import.meta.url))
const issuer = createIssuer({ issuer: 'https://issuer.test' })
let keys: ServedKeys

before(async () => {
  keys = await issuer.serve()
  Object.assign(process.env, { ISSUER: issuer.issuer, JWKS_URI: keys.jwksUri, API_KEYS: 'web=secret-1,batch=secret-2' })
})
after(() => keys.close())

/** What `sallyport authorizer` would decide with. */
async function load(name: string): Promise<Checks> {
  const loading = await loadModule(path.join(folder, name))
  assert(loading.kind === 'loaded', JSON.stringify(loading))
  return loading.checks
}

const from = (principal: string): TestRequest => ({
  source: { principal: `spiffe://cluster.local/ns/shop/sa/${principal}` },
})

test('token.ts: the scope that the method needs', async () => {
  const checks = await load('token.ts')
  const ask = (method: string, claims: object) =>
    check(checks, {
      method,
      headers: { authorization: `Bearer ${issuer.sign({ aud: 'shop', sub: 'alice', ...claims })}` },
    })
  const allowed = await ask('GET', { scope: 'read' })
  assert.equal(allowed.upstream?.headers['x-user'], 'alice')
  assert.equal(allowed.upstream?.headers.authorization, undefined)
  const refused = await ask('POST', { scope: 'read' })
  assert.deepEqual([refused.status, refused.json()], [403, { error: 'insufficient_scope', scope: 'write' }])
  assert.equal((await ask('POST', { scope: 'read write' })).decision, 'allow')
  assert.equal((await ask('GET', { scope: 'read', aud: 'other' })).status, 403)
  assert.equal((await check(checks)).headers['www-authenticate'], 'Bearer')
})

test('api-key.ts: the key of a team', async () => {
  const checks = await load('api-key.ts')
  const ask = (key: string | string[]) => check(checks, { headers: { 'x-api-key': key, 'x-team': 'admin' } })
  const { upstream } = await ask('secret-2')
  assert.deepEqual([upstream?.headers['x-team'], upstream?.headers['x-api-key']], ['batch', undefined])
  for (const key of ['secret-', 'secret-22', '', 'web', ['secret-1', 'secret-2']]) {
    const { status, headers } = await ask(key)
    assert.deepEqual([status, headers['www-authenticate']], [401, 'ApiKey realm="shop"'])
  }
})

test('api-key.ts: without keys nobody gets in', async () => {
  const before = process.env.API_KEYS
  process.env.API_KEYS = ''
  try {
    assert.equal((await check(await load('api-key.ts'), { headers: { 'x-api-key': '' } })).status, 401)
  } finally {
    process.env.API_KEYS = before
  }
})

test('rate-limit.ts: sixty a minute for each client', async () => {
  const checks = await load('rate-limit.ts')
  const ask = (client: string) => check(checks, { headers: { 'x-forwarded-for': `198.51.100.9, ${client}` } })
  for (let i = 0; i < 60; i++) assert.equal((await ask('203.0.113.7')).decision, 'allow', `request ${i + 1}`)
  const { status, headers } = await ask('203.0.113.7')
  assert.equal(status, 429)
  const seconds = Number(headers['retry-after'])
  assert(seconds >= 59 && seconds <= 60, String(seconds))
  assert.equal((await ask('203.0.113.8')).decision, 'allow')
})

test('json-policy.ts: the first rule for the method and the path', async () => {
  const checks = await load('json-policy.ts')
  const ask = async (method: string, path: string, who: string) =>
    (await check(checks, { ...from(who), method, path })).decision
  assert.equal(await ask('GET', '/orders/7?x=1', 'reports'), 'allow')
  assert.equal(await ask('POST', '/orders/7', 'web'), 'allow')
  assert.equal(await ask('POST', '/orders/7', 'reports'), 'deny')
  assert.equal(await ask('GET', '/invoices/7', 'web'), 'deny')
  assert.equal(await ask('GET', '/orders/7', ''), 'deny')
})
