import assert from 'node:assert/strict'
import { test } from 'node:test'

// Programs of scripts/ have no types.
const part = (name: string) => import(new URL(`../../../scripts/soak/${name}.mjs`, import.meta.url).href)
const { Judge } = await part('judge')
const { Outages } = await part('outages')
const { Versions } = await part('versions')
const { boundsAfter, exceeded, MEASURED } = await part('measure')
const { isKnown } = await part('lines')
const { Role } = await part('processes')
const { neverAllowed } = await part('expect')

function judging() {
  const stopped: string[] = []
  const world = {
    outages: new Outages(),
    roles: { pool: ['single', 'pair'], gate: ['cel'], roles: ['single', 'pair'], risk: ['pair'] },
    policy: new Versions({ sometimes: false }),
    gate: new Versions('wide'),
    rolesVersion: new Versions('open'),
  }
  return { world, stopped, judge: new Judge(world, (why: string) => stopped.push(why)) }
}

const request = (to: string, path: string, more = {}) => ({
  ...{ to, method: 'GET', path, headers: {}, body: '', token: null, grpc: false },
  ...more,
})
const application = { status: 200, body: '{}', application: true }
const answer = (status: number, body: string) => ({ status, body, application: false })

test('what is allowed wrongly ends the run and names the request', () => {
  const { judge, stopped } = judging()
  judge.answered('a', request('pool', '/forbidden/1'), performance.now(), application)
  assert.match(stopped[0] ?? '', /allowed wrongly: pool .*\/forbidden\/1/)
  judge.checked('b', 'single', { 'x-decide': 'no' }, true, [false])
  assert.equal(stopped.length, 2)
  assert.equal(judge.findings.length, 2)
})

test('a refusal must be the one that the rules give', () => {
  const { judge, stopped } = judging()
  const from = performance.now()
  judge.answered('a', request('pool', '/checked/1'), from, answer(401, 'who are you?'))
  judge.answered('a', request('pool', '/forbidden/1'), from, answer(403, 'RBAC: access denied'))
  judge.answered('a', request('pool', '/open/1'), from, application)
  assert.deepEqual(judge.findings, [])
  judge.answered('a', request('pool', '/open/1'), from, answer(403, 'RBAC: access denied'))
  judge.answered('a', request('pool', '/forbidden/1'), from, answer(403, 'another'))
  judge.answered('a', request('pool', '/checked/1'), from, answer(508, ''))
  assert.equal(judge.findings.length, 3)
  assert.deepEqual(stopped, [])
})

test('the failure of a provider counts only while a program that it needs is not itself', () => {
  const { judge, world } = judging()
  const fails = (path: string, to: string, status: number) =>
    judge.answered('a', request(to, path, { headers: { 'x-user': 'alice', 'x-decide': 'allow' } }), performance.now(), {
      ...answer(status, ''),
    })
  const over = world.outages.begin('cel', 'gone')
  fails('/g/1', 'gate', 507)
  assert.deepEqual(judge.findings, [])
  // Another one is down.
  fails('/checked/1', 'pool', 508)
  assert.equal(judge.findings.length, 1)
  // The status of another one's failure.
  fails('/g/1', 'gate', 508)
  assert.equal(judge.findings.length, 2)
  over()
  const late = performance.now() + 60_000
  assert.equal(world.outages.failed(['cel'], late, late), false)
})

test('one endpoint of several that is killed excuses little, one that hangs excuses all the time', () => {
  const { world } = judging()
  const { outages } = world
  const soon = performance.now() + 100
  const later = performance.now() + 5000
  outages.begin('single', 'gone')
  assert.equal(outages.failed(['single', 'pair'], soon, soon), true)
  assert.equal(outages.failed(['single', 'pair'], later, later), false)
  assert.equal(outages.failed(['single'], later, later), true)
  outages.begin('pair', 'hanging')
  assert.equal(outages.failed(['pair', 'go'], later, later), true)
})

test('between an edit and the word that it is in effect both versions count, and then the new one', () => {
  const { judge, world } = judging()
  const path = '/sometimes/1'
  judge.answered('a', request('pool', path), performance.now(), answer(403, 'RBAC: access denied'))
  const settled = world.policy.change({ sometimes: true })
  judge.answered('a', request('pool', path), performance.now(), answer(403, 'RBAC: access denied'))
  judge.answered('a', request('pool', path), performance.now(), application)
  settled()
  assert.deepEqual(judge.findings, [])
  judge.answered('a', request('pool', path), performance.now() + 1, answer(403, 'RBAC: access denied'))
  assert.equal(judge.findings.length, 1)
  assert.equal(neverAllowed(request('pool', path)), false)
  assert.equal(neverAllowed(request('pool', '/forbidden/1')), true)
})

test('whatever grows beyond its bound, or is still under way, is found', () => {
  const held = (more: object) =>
    new Map(
      MEASURED.map((name: string) => [name, { heap: 1, resident: 1, files: 1, connections: 1, busy: 0, ...more }]),
    )
  const bounds: Readonly<Record<string, number>> = boundsAfter(10)
  const found = (more: object) => exceeded(held({}), held(more), bounds)
  assert.deepEqual(found({}), [])
  for (const [what, bound] of Object.entries(bounds)) {
    assert.deepEqual(found({ [what]: bound + 1 }), [])
    assert.equal(found({ [what]: bound + 2 }).length, MEASURED.length, what)
  }
  assert.equal(found({ busy: 1 }).length, MEASURED.length)
})

test('what a program says when something went wrong in it is told from its talk', () => {
  const at = '2026-01-01T00:00:00.000Z'
  for (const line of ['ready', 'applied: the changed files are in effect', `${at} info  authorizer listening x=1`]) {
    assert.equal(isKnown(line), true, line)
  }
  for (const line of [
    '(node:1) MaxListenersExceededWarning: Possible EventEmitter memory leak detected',
    'TypeError: x is not a function',
    '    at file.js:1:1',
    `${at} error a check failed error="TypeError"`,
    `${at} error a worker has ended code=1`,
  ]) {
    assert.equal(isKnown(line), false, line)
  }
  const role = new Role('a', {})
  void role.excuse(/a worker has ended/, 1)
  const line = `${at} error a worker has ended code=null signal=SIGKILL restart=now`
  assert.deepEqual([role.excuses(line), role.excuses(line)], [true, false])
})
