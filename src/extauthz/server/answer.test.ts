import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Answer, allow, deny, error, redirect, unauthorized } from '../index.ts'
import { withEverySpelling } from './query-spellings.ts'
import { type AllowVerdict, parseAnswer, plainAllow } from './verdict.ts'

/** What is sent to the client: status, header lines, body. */
function sent(answer: Answer) {
  const verdict = parseAnswer(answer)
  assert(verdict.kind === 'deny', JSON.stringify(verdict))
  return [verdict.status, verdict.headers, verdict.body]
}

function allowed(answer: Answer): AllowVerdict {
  const verdict = parseAnswer(answer)
  assert(verdict.kind === 'allow', JSON.stringify(verdict))
  return verdict
}

describe('answers', () => {
  test('a permission without changes is one object, however it was made', () => {
    assert.equal(parseAnswer(allow()), plainAllow)
    assert.equal(parseAnswer(allow({ headers: {}, removeQuery: [], metadata: {} })), plainAllow)
  })

  test('every part of a permission', () => {
    const verdict = allowed(
      allow({
        headers: { 'x-user': 'é' },
        appendHeaders: { 'x-roles': 'a' },
        removeHeaders: ['cookie'],
        responseHeaders: { 'x-one': '1', 'set-cookie': ['a=1', 'b=2'] },
        query: { 'te nant': 'a&b' },
        removeQuery: ['de bug'],
        metadata: { user: { id: 7, tags: ['a', null, true] } },
      }),
    )
    assert.deepEqual(verdict, {
      kind: 'allow',
      set: [['x-user', 'é']],
      append: [['x-roles', 'a']],
      remove: ['cookie'],
      responseSet: [['x-one', '1']],
      responseAdd: [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ],
      setQuery: [['te%20nant', 'a%26b']],
      removeQuery: ['de%20bug'],
      metadata: Object.assign(Object.create(null), {
        user: Object.assign(Object.create(null), { id: 7, tags: ['a', null, true] }),
      }),
    })
  })

  test('a denial says text, or JSON with its type', () => {
    assert.deepEqual(sent(deny()), [403, [], ''])
    assert.deepEqual(sent(deny({ status: 429, body: 'slow' })), [429, [], 'slow'])
    assert.deepEqual(sent(deny({ body: { error: 'no "scope"' } })), [
      403,
      [['content-type', 'application/json']],
      '{"error":"no \\"scope\\""}',
    ])
    const headers = { 'Content-Type': 'application/problem+json' }
    assert.deepEqual(sent(deny({ status: 400, headers, body: ['a', 1] })), [
      400,
      [['Content-Type', 'application/problem+json']],
      '["a",1]',
    ])
  })

  test('a redirect and a challenge', () => {
    assert.deepEqual(sent(redirect('https://login.example/?next=%2F', { headers: { 'set-cookie': ['s=1'] } })), [
      302,
      [
        ['set-cookie', 's=1'],
        ['location', 'https://login.example/?next=%2F'],
      ],
      '',
    ])
    const url = new URL('https://login.example')
    assert.deepEqual(sent(redirect(url, { status: 303, headers: { Location: '/other' } })), [
      303,
      [['location', 'https://login.example/']],
      '',
    ])
    assert.deepEqual(sent(unauthorized(['Basic realm="a"', 'Bearer'], { body: 'who?' })), [
      401,
      [
        ['www-authenticate', 'Basic realm="a"'],
        ['www-authenticate', 'Bearer'],
      ],
      'who?',
    ])
  })

  test('no answer at all has the status of a failure', () => {
    assert.deepEqual(parseAnswer(error()), { kind: 'error', status: 503 })
    assert.deepEqual(parseAnswer(error({ status: 500 })), { kind: 'error', status: 500 })
  })

  const cyclic: Record<string, unknown> = {}
  cyclic.self = cyclic
  const wide = { list: Array.from({ length: 10_001 }, () => 0) }
  const faults: [string, unknown, 'shape' | 'headers'][] = [
    ['nothing', undefined, 'shape'],
    ['a list', [], 'shape'],
    ['an unknown kind', { kind: 'permit' }, 'shape'],
    ['an allow without its parts', { kind: 'allow' }, 'shape'],
    ['a Map of headers', allow({ headers: new Map([['a', 'b']]) as never }), 'shape'],
    ['a list where one value is wanted', allow({ headers: { a: ['b'] as never } }), 'shape'],
    ['a number to append', allow({ appendHeaders: { a: 1 as never } }), 'shape'],
    ['a string as removals', allow({ removeHeaders: 'cookie' as never }), 'shape'],
    ['a list of query parameters', allow({ query: ['a'] as never }), 'shape'],
    ['half a character in the query', allow({ query: { a: '\ud800' } }), 'shape'],
    ['half a character in a removal', allow({ removeQuery: ['\udc00'] }), 'shape'],
    ['a function in metadata', allow({ metadata: { a: (() => 1) as never } }), 'shape'],
    ['a bigint in metadata', allow({ metadata: { a: 1n as never } }), 'shape'],
    ['NaN in metadata', allow({ metadata: { a: Number.NaN } }), 'shape'],
    ['a Date in metadata', deny({ metadata: { a: new Date(0) as never } }), 'shape'],
    ['endless metadata', allow({ metadata: cyclic as never }), 'shape'],
    ['too much metadata', allow({ metadata: wide }), 'shape'],
    ['status 199', deny({ status: 199 }), 'shape'],
    ['status 600', deny({ status: 600 }), 'shape'],
    ['status 403.5', deny({ status: 403.5 }), 'shape'],
    ['a body of bytes', { ...deny(), body: new Uint8Array(1) }, 'shape'],
    ['a redirect to nowhere', deny({ status: 302 }), 'shape'],
    ['a redirect to an empty location', redirect(''), 'shape'],
    ['an error with 404', error({ status: 404 }), 'shape'],
    ['an error without a status', { kind: 'error' }, 'shape'],
    ['a line break in an appended value', allow({ appendHeaders: { a: 'b\nc' } }), 'headers'],
    ['a line break in a location', redirect('/a\r\nset-cookie: b=1'), 'headers'],
    ['a line break in a challenge', unauthorized('Basic\r\nx: y'), 'headers'],
    ['a framing header to append', allow({ appendHeaders: { 'Transfer-Encoding': 'chunked' } }), 'headers'],
    ['a pseudo header', allow({ headers: { ':path': '/' } }), 'headers'],
  ]
  for (const [what, answer, fault] of faults) {
    test(`${what} is no answer`, () => {
      const parsed = parseAnswer(answer)
      assert.equal(parsed.kind === 'fault' && parsed.fault, fault, JSON.stringify(parsed))
    })
  }

  test('a parameter goes however the client encoded its name', () => {
    const verdict = allowed(allow({ query: { tenant: 'a' }, removeQuery: ['is admin'] }))
    const removals = (path: string) => withEverySpelling(verdict, path).removeQuery
    assert.deepEqual(removals('/a'), ['is%20admin'])
    assert.deepEqual(removals('/a?tenant=b&other=%61'), ['is%20admin'])
    assert.deepEqual(removals('/a?is+admin=1&%69s%20admin&%74enant=b&tenant=c'), [
      'is%20admin',
      'is+admin',
      '%69s%20admin',
      '%74enant',
    ])
    assert.deepEqual(removals('/a?%=1&%zz&?is%20admin'), ['is%20admin'])
    assert.equal(withEverySpelling(plainAllow, '/a?b=c'), plainAllow)
  })

  test('the compiler finds mistakes', () => {
    // @ts-expect-error a header has one value
    allow({ headers: { 'x-user': ['a'] } })
    // @ts-expect-error a claim that may be missing
    allow({ headers: { 'x-user': undefined as string | undefined } })
    // @ts-expect-error the name of an option
    deny({ statusCode: 403 })
    // @ts-expect-error no redirect
    redirect('/', { status: 200 })
    // @ts-expect-error nothing of JSON
    deny({ body: { at: new Date() } })
    // @ts-expect-error neither text nor JSON
    deny({ body: undefined })
    // @ts-expect-error a check that forgets to answer
    const check: (path: string) => Answer = (path) => {
      if (path === '/') return allow()
    }
    assert.equal(typeof check, 'function')
  })
})
