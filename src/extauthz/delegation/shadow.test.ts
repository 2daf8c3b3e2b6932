import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckClient, CheckOutcome, CheckRequest } from '../check.ts'
import { Shadow } from './shadow.ts'

const allowed: CheckOutcome = { kind: 'allow', changes: [], responseChanges: [] }
const peer = { ip: '127.0.0.1', port: 1, principal: '' }
const request: CheckRequest = { source: peer, destination: peer, time: 0, http: null }

function clientOf(check: (signal: AbortSignal) => Promise<CheckOutcome>): CheckClient {
  return { check: (_, signal) => check(signal), close: async () => {} }
}

test('it asks only after the work at hand, and gives the answer', async () => {
  let asked = 0
  const shadow = new Shadow(
    clientOf(async () => {
      asked++
      return allowed
    }),
  )
  const answer = shadow.ask(request)
  assert.equal(asked, 0)
  await Promise.resolve()
  assert.equal(asked, 0)
  assert.equal(await answer, allowed)
})

test('what is too many at a time is dropped', async () => {
  let release: (outcome: CheckOutcome) => void = () => {}
  const held = new Promise<CheckOutcome>((resolve) => {
    release = resolve
  })
  const shadow = new Shadow(
    clientOf(() => held),
    { maxChecks: 2 },
  )
  const answers = [shadow.ask(request), shadow.ask(request), shadow.ask(request)]
  assert.equal(answers[2], null)
  release(allowed)
  assert.deepEqual(await Promise.all(answers.slice(0, 2)), [allowed, allowed])
  assert.equal(await shadow.ask(request), allowed)
})

test('a provider that never answers holds its place for a while only', async () => {
  const never = (signal: AbortSignal) =>
    new Promise<CheckOutcome>((resolve) => {
      signal.addEventListener('abort', () => resolve({ kind: 'error', reason: 'cancelled', message: '' }))
    })
  const shadow = new Shadow(clientOf(never), { maxChecks: 1, patience: 5 })
  const answer = shadow.ask(request)
  // Its own timer does not keep a process alive, so this one does.
  const alive = setTimeout(() => {}, 10_000)
  assert.deepEqual(await answer, { kind: 'error', reason: 'timeout', message: 'no answer within 5 ms' })
  clearTimeout(alive)
  assert.notEqual(shadow.ask(request), null)
})

test('a client that breaks its promise is as one that cannot be reached', async () => {
  const shadow = new Shadow(clientOf(() => Promise.reject(new Error('secret'))))
  assert.deepEqual(await shadow.ask(request), { kind: 'error', reason: 'unavailable', message: 'the check failed' })
})
