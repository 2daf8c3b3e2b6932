import assert from 'node:assert/strict'
import { test } from 'node:test'
import { consoleLogger } from '../../server/console-logger.ts'
import { request } from '../engines.test.fixture.ts'
import { createOpaChecks, type Decision } from './checks.ts'

const quiet = { ...consoleLogger, error() {} }

async function answerTo(decision: Decision) {
  return createOpaChecks(() => decision, quiet).check(request())
}

test('a policy that gives no decision is an error, as in the plug-in', async () => {
  for (const decision of [
    { kind: 'undefined' },
    { kind: 'defined', value: 'yes' },
    { kind: 'failed', message: 'two rules disagree' },
  ] as const) {
    assert.equal((await answerTo(decision)).kind, 'error')
  }
})

test('a request that takes the evaluation beyond a limit is refused, never an error that may fail open', async () => {
  assert.equal((await answerTo({ kind: 'failed', message: 'no more memory', limit: true })).kind, 'deny')
})
