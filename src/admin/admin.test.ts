import assert from 'node:assert/strict'
import { test } from 'node:test'
import { request } from 'undici'
import { MetricsRegistry } from '../observe/metrics.ts'
import type { AdminDeps } from './admin.ts'
import { createAdmin } from './admin.ts'

const anyPorts = { health: { port: 0 }, metrics: { port: 0 }, admin: { port: 0 }, skipTakenPorts: false }

function deps(change: Partial<AdminDeps> = {}): AdminDeps {
  return { ready: () => true, metrics: new MetricsRegistry(), version: '1.2.3', config: () => ({ a: 1 }), ...change }
}

async function get(port: number | undefined, path: string, headers: Record<string, string> = {}) {
  const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`, { headers, reset: true })
  return { status: statusCode, body: await body.text() }
}

test('ready follows the proxy, live does not', async (t) => {
  let ready = false
  const admin = await createAdmin(anyPorts, deps({ ready: () => ready }))
  assert.equal(admin.kind, 'admin')
  t.after(() => admin.close())
  const port = admin.addresses.get('health')?.port
  assert.equal((await get(port, '/healthz/ready')).status, 503)
  assert.equal((await get(port, '/healthz/live')).status, 200)
  ready = true
  assert.equal((await get(port, '/healthz/ready')).status, 200)
  assert.equal((await get(port, '/nothing')).status, 404)
})

test('notes stand beside readiness and do not change it', async (t) => {
  const admin = await createAdmin(anyPorts, deps({ notes: () => ['an issuer is down'] }))
  assert.equal(admin.kind, 'admin')
  t.after(() => admin.close())
  assert.deepEqual(await get(admin.addresses.get('health')?.port, '/healthz/ready'), {
    status: 200,
    body: 'ready\nan issuer is down\n',
  })
})

test('metrics, configuration and version are served', async (t) => {
  const metrics = new MetricsRegistry()
  metrics.counter('a_total', 'A.').inc()
  const admin = await createAdmin(anyPorts, deps({ metrics }))
  assert.equal(admin.kind, 'admin')
  t.after(() => admin.close())
  assert.match((await get(admin.addresses.get('metrics')?.port, '/metrics')).body, /^a_total 1$/m)
  const port = admin.addresses.get('admin')?.port
  assert.deepEqual(JSON.parse((await get(port, '/config')).body), { a: 1 })
  assert.deepEqual(JSON.parse((await get(port, '/version')).body), { version: '1.2.3' })
  assert.equal((await get(port, '/config', { host: 'evil.example' })).status, 403)
})

test('a taken port is an error, unless the caller can do without that part', async (t) => {
  const first = await createAdmin(anyPorts, deps())
  assert.equal(first.kind, 'admin')
  t.after(() => first.close())
  const taken = first.addresses.get('metrics')?.port ?? 0
  const options = { ...anyPorts, metrics: { port: taken } }
  const second = await createAdmin(options, deps())
  assert.deepEqual(second, { kind: 'adminError', part: 'metrics', host: '127.0.0.1', port: taken, code: 'EADDRINUSE' })
  const third = await createAdmin({ ...options, skipTakenPorts: true }, deps())
  assert.equal(third.kind, 'admin')
  t.after(() => third.close())
  assert.deepEqual([...third.addresses.keys()], ['health', 'admin'])
  assert.deepEqual(
    third.skipped.map(({ part }) => part),
    ['metrics'],
  )
})
