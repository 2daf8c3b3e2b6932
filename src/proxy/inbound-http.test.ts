import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, echo, inbound, policies, startApplication, startProxy } from './support.test.fixture.ts'

test('a permitted request reaches the application and its answer the client', async (t) => {
  const app = await startApplication(t, echo)
  const running = await startProxy(t, { inbound: [inbound(app.port)] })
  const answer = await ask(running.port(), { path: '/a/../b?x=1', headers: { 'x-a': ['1', '2'] } })
  assert.equal(answer.status, 200)
  const seen = JSON.parse(answer.body)
  assert.equal(seen.url, '/b?x=1')
  assert.deepEqual(
    seen.rawHeaders.filter((_: string, i: number, all: string[]) => all[i - (i % 2)] === 'x-a'),
    ['x-a', '1', 'x-a', '2'],
  )
  const [entry] = await running.logged(1)
  assert.equal(entry?.decision, 'allow')
  assert.equal(entry?.responseStatus, 200)
})

test('a refused request gets RBAC words and never reaches the application', async (t) => {
  let reached = 0
  const app = await startApplication(t, (_request, response) => {
    reached++
    response.end()
  })
  const running = await startProxy(t, {
    inbound: [
      inbound(app.port, { policies: policies({ decide: () => ({ kind: 'deny', phase: 'allow', policy: 'none' }) }) }),
    ],
  })
  const answer = await ask(running.port())
  assert.equal(answer.status, 403)
  assert.equal(answer.body, 'RBAC: access denied')
  assert.equal(answer.headers['content-type'], 'text/plain')
  assert.equal(answer.headers.server, 'sallyport')
  assert.equal(reached, 0)
  const [entry] = await running.logged(1)
  assert.equal(entry?.details, 'rbac_access_denied_matched_policy[none]')
})
