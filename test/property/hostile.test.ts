import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Outcome } from './hostile-check.ts'
import { hostileFiles } from './hostile-files.ts'

/** Megabytes of heap for all files one after the other, and milliseconds for one on a machine that others use too. */
const HEAP = 384
const LONGEST_TIME = 15_000

test('a file written to hurt ends in diagnostics or a decision, in bounded time and memory', () => {
  const check = fileURLToPath(new URL('hostile-check.js', import.meta.url))
  const run = spawnSync(process.execPath, [`--max-old-space-size=${HEAP}`, check], {
    encoding: 'utf8',
    timeout: 240_000,
    maxBuffer: 1 << 26,
  })
  const outcomes = run.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Outcome)
  assert.equal(run.status, 0, `after ${outcomes.at(-1)?.name}: ${run.stderr.slice(0, 2000)}`)
  assert.equal(outcomes.length, hostileFiles.length)
  for (const [index, { name, codes }] of hostileFiles.entries()) {
    const outcome = outcomes[index] as Outcome
    assert.deepEqual(outcome.codes, codes, name)
    assert.ok(outcome.time < LONGEST_TIME, `${name}: ${outcome.time} ms`)
    assert.ok(outcome.longest < 5000, `${name}: a message of ${outcome.longest} characters`)
    for (const decision of outcome.decisions) assert.match(decision, /^(?:allow|deny)$/, name)
  }
})
