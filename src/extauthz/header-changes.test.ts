import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderMap } from '../match/header-map.ts'
import { applyChanges } from './header-changes.ts'

test('a value is joined to the first line, a cookie with a semicolon', () => {
  const headers = HeaderMap.from([
    ['cookie', 'a=1'],
    ['x-a', 'one'],
    ['x-a', 'two'],
  ])
  const join = (name: string, value: string) => ({ kind: 'join', name, value }) as const
  assert.ok(applyChanges(headers, [join('Cookie', 'b=2'), join('x-a', 'three'), join('x-none', 'v'), join('x-a', '')]))
  assert.deepEqual(headers.all('cookie'), ['a=1; b=2'])
  assert.deepEqual(headers.all('x-a'), ['one,three', 'two'])
  assert.equal(headers.has('x-none'), false)
})
