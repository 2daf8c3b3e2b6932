import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('./nightly.js', import.meta.url))

function nightly(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], { timeout: 60_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

test('the long form runs as many cases as it is told, and the same ones from the same seed', async () => {
  const args = ['--cases', '120', '--seed', '5', '--only', 'the compiled decider']
  const [one, other] = await Promise.all([nightly(...args), nightly(...args)])
  assert.equal(one.code, 0, one.err)
  assert.match(one.out, /^120 cases from seed 5\n/)
  assert.match(one.out, /^ {2}hosts +\d+ hits +\d+ misses$/m)
  assert.match(one.out, /\d+ cases from seed 5 in \d+ s\n$/)
  const counts = (text: string) => text.replace(/in \d+ s\n$/, '')
  assert.equal(counts(other.out), counts(one.out))
})

test('what it does not understand it says, with how it is used', async () => {
  for (const args of [['--cases', 'many'], ['--only', 'nothing of that name'], ['--wrong']]) {
    const { code, out, err } = await nightly(...args)
    assert.deepEqual([code, out], [2, ''])
    assert.match(err, /usage: npm run property/)
  }
})
