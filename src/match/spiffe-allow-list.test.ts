import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSpiffeAllowance, type SpiffeAllowance, spiffeAllowed } from './spiffe-allow-list.ts'

function allowance(text: string): SpiffeAllowance {
  const parsed = parseSpiffeAllowance(text)
  assert(parsed.kind !== 'invalid', parsed.kind === 'invalid' ? parsed.reason : '')
  return parsed
}

test('an id is allowed by itself or by its beginning, and by nothing else', () => {
  const rows: [pattern: string, id: string, allowed: boolean][] = [
    ['spiffe://cluster.local/ns/a/sa/b', 'spiffe://cluster.local/ns/a/sa/b', true],
    ['spiffe://cluster.local/ns/a/sa/b', 'spiffe://cluster.local/ns/a/sa/bc', false],
    ['spiffe://cluster.local/ns/a/sa/*', 'spiffe://cluster.local/ns/a/sa/b', true],
    ['spiffe://cluster.local/ns/a/sa/*', 'spiffe://cluster.local/ns/ab/sa/b', false],
    ['spiffe://cluster.local/*', 'spiffe://cluster.local/ns/a/sa/b', true],
    ['spiffe://cluster.local/*', 'spiffe://cluster.local.evil/ns/a/sa/b', false],
    ['spiffe://cluster.local/ns/a/sa/b', '', false],
  ]
  for (const [pattern, id, allowed] of rows) assert.equal(spiffeAllowed([allowance(pattern)], id), allowed, id)
  const several = ['spiffe://a/x', 'spiffe://b/*'].map(allowance)
  assert.deepEqual(
    ['spiffe://a/x', 'spiffe://b/y', 'spiffe://a/y'].map((id) => spiffeAllowed(several, id)),
    [true, true, false],
  )
  assert.equal(spiffeAllowed([], 'spiffe://a/x'), false)
})

test('a pattern that would let in more than it seems to is refused', () => {
  const rows: [string, RegExp][] = [
    ['cluster.local/ns/a/sa/b', /does not begin with/],
    ['*', /does not begin with/],
    ['spiffe://*', /no whole trust domain/],
    ['spiffe://cluster*/ns/a', /no whole trust domain/],
    ['spiffe://cluster.local', /no path/],
    ['spiffe://cluster.local/ns/*/sa/b', /at its end only/],
    ['spiffe://cluster.local/ns/a b', /character/],
    ['spiffe:///ns/a', /no whole trust domain/],
  ]
  for (const [text, reason] of rows) {
    const parsed = parseSpiffeAllowance(text)
    assert(parsed.kind === 'invalid', text)
    assert.match(parsed.reason, reason)
  }
})
