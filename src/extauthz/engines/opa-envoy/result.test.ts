import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allow, deny } from '../../server/answer.ts'
import { readResult } from './result.ts'

const answers: readonly (readonly [what: string, result: unknown, answer: ReturnType<typeof allow | typeof deny>])[] = [
  ['true', true, allow()],
  ['false', false, deny()],
  ['an object that allows', { allowed: true }, allow()],
  ['an object that denies', { allowed: false }, deny()],
  [
    'changes of an allowed request',
    {
      allowed: true,
      headers: { 'x-user': 'ann', 'x-role': ['a', 'b'] },
      request_headers_to_remove: ['x-secret'],
      response_headers_to_add: { 'x-one': '1', 'set-cookie': ['c=1', 'd=2'] },
      query_parameters_to_set: { q: 'new', p: ['1', '2'] },
      query_parameters_to_remove: ['old'],
      dynamic_metadata: { team: { id: 7 } },
    },
    allow({
      headers: { 'x-user': 'ann', 'x-role': 'b' },
      removeHeaders: ['x-secret'],
      responseHeaders: { 'x-one': ['1'], 'set-cookie': ['c=1', 'd=2'] },
      query: { q: 'new', p: '2' },
      removeQuery: ['old'],
      metadata: { team: { id: 7 } },
    }),
  ],
  [
    'a list of headers',
    { allowed: true, headers: [{ a: '1' }, { b: '2', a: '3' }] },
    allow({ headers: { a: '3', b: '2' } }),
  ],
  [
    'a denial',
    { allowed: false, http_status: 302, headers: { location: '/login', 'set-cookie': ['a=1', 'b=2'] }, body: 'go' },
    deny({ status: 302, headers: { location: ['/login'], 'set-cookie': ['a=1', 'b=2'] }, body: 'go' }),
  ],
  ['what it does not know', { allowed: true, reason: 'because' }, allow()],
]
for (const [what, result, answer] of answers) {
  test(`reads ${what}`, () => assert.deepEqual(readResult(result), { kind: 'answer', answer }))
}

const unreadable: readonly (readonly [what: string, result: unknown])[] = [
  ['nothing', null],
  ['text', 'true'],
  ['a number', 1],
  ['a list', [true]],
  ['an object without `allowed`', { allow: true }],
  ['an empty object', {}],
  ['`allowed` of another type', { allowed: 'true' }],
  ['`allowed` inherited', Object.create({ allowed: true })],
  ['headers of another type', { allowed: true, headers: 'x' }],
  ['a header that is a number', { allowed: true, headers: { a: 1 } }],
  ['a list of headers with text in it', { allowed: true, headers: ['a'] }],
  ['headers to remove that are no list', { allowed: true, request_headers_to_remove: 'x' }],
  ['parameters that are a list', { allowed: true, query_parameters_to_set: [{ a: 'b' }] }],
  ['metadata that is no object', { allowed: true, dynamic_metadata: 'x' }],
  ['metadata of a denial that is no object', { allowed: false, dynamic_metadata: 5 }],
  ['a body that is no text', { allowed: false, body: {} }],
  ['a status that is text', { allowed: false, http_status: '403' }],
  ['a status that nobody knows', { allowed: false, http_status: 418 }],
  ['a status out of range', { allowed: false, http_status: 99_999 }],
  ['a status with a fraction', { allowed: false, http_status: 403.5 }],
]
for (const [what, result] of unreadable) {
  test(`does not take ${what} for an answer`, () => {
    const reading = readResult(result)
    assert.equal(reading.kind, 'unreadable')
    assert.doesNotMatch(JSON.stringify(reading), /99|because/)
  })
}
