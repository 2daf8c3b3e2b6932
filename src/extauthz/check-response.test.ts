import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, test } from 'node:test'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, toBinary } from '@bufbuild/protobuf'
import { HeaderMap } from '../match/header-map.ts'
import type { HeaderValueOptionSchema } from '../proto/gen/envoy/config/core/v3/base_pb.js'
import type { OkHttpResponseSchema } from '../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { CheckResponseSchema } from '../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import type { CheckOutcome } from './check.ts'
import { parseCheckResponse } from './check-response.ts'
import { applyChanges } from './header-changes.ts'
import { applyQuery } from './query-changes.ts'

type Arm = NonNullable<MessageInitShape<typeof CheckResponseSchema>['httpResponse']>
type Option = MessageInitShape<typeof HeaderValueOptionSchema>

function parse(response: MessageInitShape<typeof CheckResponseSchema>): CheckOutcome {
  return parseCheckResponse(toBinary(CheckResponseSchema, create(CheckResponseSchema, response)))
}

function ok(value: MessageInitShape<typeof OkHttpResponseSchema>): CheckOutcome {
  return parse({ httpResponse: { case: 'okResponse', value } })
}

function allowed(outcome: CheckOutcome): Extract<CheckOutcome, { kind: 'allow' }> {
  assert.equal(outcome.kind, 'allow')
  return outcome as Extract<CheckOutcome, { kind: 'allow' }>
}

interface How {
  append?: boolean
  appendAction?: number
}

const header = (key: string, value: string, how: How = {}): Option => ({ header: { key, value }, ...how })

/** The request's lines after an OK answer. */
function request(before: [string, string][], value: MessageInitShape<typeof OkHttpResponseSchema>): [string, string][] {
  const headers = HeaderMap.from(before)
  assert(applyChanges(headers, allowed(ok(value)).changes))
  return [...headers]
}

/** The response's lines after an OK answer. */
function response(before: [string, string][], responseHeadersToAdd: Option[]): [string, string][] {
  const headers = HeaderMap.from(before)
  assert(applyChanges(headers, allowed(ok({ responseHeadersToAdd })).responseChanges))
  return [...headers]
}

const denied = { case: 'deniedResponse', value: { status: { code: 401 }, body: 'no' } } as const
const failed: Arm = {
  case: 'errorResponse',
  value: { status: { code: 500 }, headers: [header('x-why', 'db')], body: 'down' },
}
const nothing = { kind: 'allow', changes: [], responseChanges: [] }
const forbidden = { kind: 'deny', status: 403, headers: [], body: new Uint8Array(0) }

describe('the decision of a CheckResponse', () => {
  test('zero bytes and a missing status allow', () => {
    assert.deepEqual(parseCheckResponse(new Uint8Array(0)), nothing)
    assert.deepEqual(ok({}), nothing)
  })
  test('code 0 allows, whatever another arm says', () => {
    assert.deepEqual(parse({ status: { code: 0 }, httpResponse: denied }), nothing)
    assert.deepEqual(parse({ httpResponse: denied }), nothing)
    assert.deepEqual(parse({ httpResponse: failed }), nothing)
  })
  test('another code without an arm, or with an OK arm, denies with an empty 403', () => {
    assert.deepEqual(parse({ status: { code: 7 } }), forbidden)
    assert.deepEqual(parse({ status: { code: 7 }, httpResponse: { case: 'okResponse', value: {} } }), forbidden)
    assert.deepEqual(parse({ status: { code: -1 } }), forbidden)
  })
  test('a denied arm gives status, every header line and body', () => {
    const headers = [header('Set-Cookie', 'a=1', { append: false }), header('set-cookie', 'b=2', { appendAction: 3 })]
    const value = { status: { code: 401 }, headers, body: 'nö' }
    assert.deepEqual(parse({ status: { code: 16 }, httpResponse: { case: 'deniedResponse', value } }), {
      kind: 'deny',
      status: 401,
      headers: [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ],
      body: Buffer.from('nö'),
    })
  })
  test('a header to append is left out of a denial, and comes last in an error', () => {
    const headers = [header('x-a', '1', { append: true }), header('x-b', '2', { append: false }), header('x-a', '3')]
    const value = { status: { code: 401 }, headers }
    const refused = parse({ status: { code: 16 }, httpResponse: { case: 'deniedResponse', value } })
    assert(refused.kind === 'deny')
    assert.deepEqual(refused.headers, [
      ['x-b', '2'],
      ['x-a', '3'],
    ])
    const failed = parse({ status: { code: 13 }, httpResponse: { case: 'errorResponse', value } })
    assert(failed.kind === 'error')
    assert.deepEqual(failed.reply?.headers, [
      ['x-b', '2'],
      ['x-a', '3'],
      ['x-a', '1'],
    ])
  })

  test('a denied status may be 200, and is 403 when unset or none that a response can have', () => {
    for (const [code, status] of [
      [200, 200],
      [599, 599],
      [0, 403],
      [100, 403],
      [600, 403],
      [99_999, 403],
      [-1, 403],
    ] as const) {
      const outcome = parse({
        status: { code: 7 },
        httpResponse: { case: 'deniedResponse', value: { status: { code: code as number } } },
      })
      assert.deepEqual([outcome.kind, outcome.kind === 'deny' && outcome.status], ['deny', status])
    }
    assert.deepEqual(parse({ status: { code: 7 }, httpResponse: { case: 'deniedResponse', value: {} } }), {
      ...forbidden,
      body: Buffer.alloc(0),
    })
  })
  test('an error arm is a failure with its own reply', () => {
    const outcome = parse({ status: { code: 13 }, httpResponse: failed })
    assert.equal(outcome.kind, 'error')
    assert.equal(outcome.reason, 'unavailable')
    assert.deepEqual(outcome.reply, { status: 500, headers: [['x-why', 'db']], body: Buffer.from('down') })
    const bare = parse({ status: { code: 13 }, httpResponse: { case: 'errorResponse', value: {} } })
    assert.equal(bare.kind === 'error' && bare.reply?.status, null)
  })
  test('what cannot be decoded is a failure', () => {
    for (const bytes of [[0xff], [0x0a, 0x7f], [0x0a, 0x02, 0x08], [0x12, 0x03, 0x1a, 0x01, 0xff]]) {
      const outcome = parseCheckResponse(Uint8Array.from(bytes))
      assert.deepEqual([outcome.kind, outcome.kind === 'error' && outcome.reason], ['error', 'unavailable'])
    }
  })
})

describe('an OK answer changes the request', () => {
  test('a header is replaced (9)', () => {
    assert.deepEqual(request([['x-e', 'orig']], { headers: [header('X-E', 'new')] }), [['x-e', 'new']])
  })
  test('append joins onto a header, and adds none (10)', () => {
    const headers = [header('x-e', 'new', { append: true }), header('x-n', 'new', { append: true })]
    assert.deepEqual(request([['x-e', 'orig']], { headers }), [['x-e', 'orig,new']])
  })
  test('the last of two values wins (11)', () => {
    assert.deepEqual(request([], { headers: [header('x-n', '1'), header('x-n', '2')] }), [['x-n', '2']])
  })
  test('what is set and removed is gone, in whatever order it is written (12)', () => {
    const value = { headers: [header('x-e', 'new')], headersToRemove: ['X-E'] }
    assert.deepEqual(
      request(
        [
          ['x-e', 'a'],
          ['x-e', 'b'],
        ],
        value,
      ),
      [],
    )
  })
  test('an empty value to append changes nothing', () => {
    const headers = [header('x-e', '', { append: true })]
    assert.deepEqual(request([['x-e', 'orig']], { headers }), [['x-e', 'orig']])
  })

  test('sets come before appends', () => {
    const headers = [header('x-n', 'b', { append: true }), header('x-n', 'a')]
    assert.deepEqual(request([], { headers }), [['x-n', 'a,b']])
  })
  test('append_action, keep_empty_value and raw_value mean nothing', () => {
    const headers = [
      header('x-e', 'new', { appendAction: 3 }),
      { header: { key: 'x-r', rawValue: Buffer.from('raw') } },
    ]
    assert.deepEqual(request([], { headers }), [
      ['x-e', 'new'],
      ['x-r', ''],
    ])
  })
  test('a value goes on as its UTF-8 bytes', () => {
    const latin1 = Buffer.from('wéb', 'utf8').toString('latin1')
    assert.deepEqual(request([], { headers: [header('x-e', 'wéb')] }), [['x-e', latin1]])
  })
  test('framing headers, host and pseudo headers are neither set nor removed as headers', () => {
    const names = [
      'Connection',
      'Content-Length',
      'Transfer-Encoding',
      'TE',
      'Upgrade',
      'Keep-Alive',
      'Trailer',
      'Proxy-Connection',
    ]
    const before: [string, string][] = [
      ['host', 'a'],
      ['content-length', '3'],
    ]
    const value = {
      headers: [...names, 'host'].map((name) => header(name, '1')),
      headersToRemove: [...names, 'host', ':path'],
    }
    assert.deepEqual(request(before, value), before)
  })
  test('the request line is told apart', () => {
    const headers = [header(':path', '/b?c'), header(':method', 'PUT'), header('host', 'b.foo:80')]
    assert.deepEqual(allowed(ok({ headers })).rewrite, { path: '/b?c', method: 'PUT', authority: 'b.foo:80' })
  })
  test('query parameters are replaced raw and sorted (13)', () => {
    const { queryChanges } = allowed(ok({ queryParametersToSet: [{ key: 'k', value: 'v' }] }))
    assert(queryChanges)
    assert.equal(applyQuery('/p?x=%20a+b&flag&e=', queryChanges), '/p?e=&flag=&k=v&x=%20a+b')
    assert.equal(applyQuery('/p?k=1&k=2', queryChanges), '/p?k=v')
    assert.equal(applyQuery('/p', queryChanges), '/p?k=v')
  })
  test('query parameters are removed by their encoded name, after the sets (14)', () => {
    const { queryChanges } = allowed(ok({ queryParametersToRemove: ['a b', 'K'] }))
    assert(queryChanges)
    assert.equal(applyQuery('/p?a%20b=1', queryChanges), '/p?a%20b=1')
    assert.equal(applyQuery('/p?K=1&k=2&K', queryChanges), '/p?k=2')
    assert.equal(applyQuery('/p?K=1', queryChanges), '/p')
  })
  test('more than 100 headers, or 60 KiB of them, are refused', () => {
    const many = Array.from({ length: 101 }, (_, i) => header(`x-${i}`, '1'))
    assert.equal(applyChanges(new HeaderMap(), allowed(ok({ headers: many })).changes), false)
    assert.equal(applyChanges(new HeaderMap(), allowed(ok({ headers: many.slice(1) })).changes), true)
    const large = [header('x-a', 'a'.repeat(60 * 1024))]
    assert.equal(applyChanges(new HeaderMap(), allowed(ok({ headers: large })).changes), false)
  })
})

describe('an OK answer changes the response', () => {
  test('by default it adds a line (15)', () => {
    assert.deepEqual(response([['x-up', '1']], [header('x-up', 'z')]), [
      ['x-up', '1'],
      ['x-up', 'z'],
    ])
  })
  test('append_action 1, 2, 3 and numbers that mean nothing (16)', () => {
    const action = (appendAction: number) => [header('x-up', 'z', { appendAction })]
    assert.deepEqual(response([['x-up', '1']], action(1)), [['x-up', '1']])
    assert.deepEqual(response([], action(1)), [['x-up', 'z']])
    assert.deepEqual(response([['x-up', '1']], action(2)), [['x-up', 'z']])
    assert.deepEqual(response([], action(2)), [['x-up', 'z']])
    assert.deepEqual(response([['x-up', '1']], action(3)), [['x-up', 'z']])
    assert.deepEqual(response([], action(3)), [])
    assert.deepEqual(response([['x-up', '1']], action(9)), [['x-up', '1']])
  })
  test('append goes before append_action', () => {
    const set = [header('x-up', 'z', { append: false, appendAction: 1 })]
    assert.deepEqual(response([['x-up', '1']], set), [['x-up', 'z']])
    const add = [header('x-up', 'z', { append: true, appendAction: 2 })]
    assert.deepEqual(response([['x-up', '1']], add), [
      ['x-up', '1'],
      ['x-up', 'z'],
    ])
  })
})

describe('an answer that would split a message', () => {
  const answers: [string, CheckOutcome][] = [
    ['CR LF in a header', ok({ headers: [header('x-a', '1\r\nx-b: 2')] })],
    ['LF in an appended header', ok({ headers: [header('x-a', '1\n2', { append: true })] })],
    ['NUL in a response header', ok({ responseHeadersToAdd: [header('x-a', '\0')] })],
    ['CR LF in the name of a response header', ok({ responseHeadersToAdd: [header('x-a\r\nx-b', '1')] })],
    ['an empty name', ok({ headers: [header('', '1')] })],
    ['no header in the option', ok({ headers: [{}] })],
    ['a space in a removed name', ok({ headersToRemove: ['x a'] })],
    ['a pseudo header for the response', ok({ responseHeadersToAdd: [header(':status', '200')] })],
    ['a path with a line break', ok({ headers: [header(':path', '/a\r\nHost: b')] })],
    ['a path with a space', ok({ headers: [header(':path', '/a b')] })],
    ['a path that is no path', ok({ headers: [header(':path', 'http://b/')] })],
    ['a host with user information', ok({ headers: [header('host', 'a@b')] })],
    ['a pseudo header that cannot be set', ok({ headers: [header(':protocol', 'websocket')] })],
    ['a line break in a query parameter', ok({ queryParametersToSet: [{ key: 'a', value: 'b\r\nc' }] })],
    [
      'CR LF in a denial',
      parse({
        status: { code: 7 },
        httpResponse: { case: 'deniedResponse', value: { headers: [header('a', '\r\n')] } },
      }),
    ],
    [
      'a name of a denial that is none',
      parse({ status: { code: 7 }, httpResponse: { case: 'deniedResponse', value: { headers: [header('a b', '')] } } }),
    ],
    [
      'CR LF in an error',
      parse({ status: { code: 7 }, httpResponse: { case: 'errorResponse', value: { headers: [header('a', '\n')] } } }),
    ],
  ]
  for (const [what, outcome] of answers) {
    test(`${what} makes it invalid, with a 500`, () => {
      assert.equal(outcome.kind, 'error')
      assert.equal(outcome.reason, 'invalid')
      assert.deepEqual(outcome.reply, { status: 500, headers: [], body: new Uint8Array(0) })
    })
  }
})

describe('dynamic metadata', () => {
  const metadata = (response: MessageInitShape<typeof CheckResponseSchema>) => {
    const outcome = parse(response)
    return outcome.kind === 'allow' ? (outcome.metadata ?? null) : null
  }

  test('is that of the answer, or of its OK arm, which wins', () => {
    const outer = { tier: 'gold', groups: ['a'], level: 2 }
    assert.deepEqual({ ...metadata({ dynamicMetadata: outer }) }, outer)
    const value = { dynamicMetadata: { tier: 'lead' } }
    assert.deepEqual(
      { ...metadata({ dynamicMetadata: outer, httpResponse: { case: 'okResponse', value } }) },
      value.dynamicMetadata,
    )
    assert.equal(metadata({}), null)
    assert.equal(metadata({ dynamicMetadata: {} }), null)
  })

  test('of a denial is nothing that later policies see', () => {
    assert.equal(metadata({ status: { code: 7 }, dynamicMetadata: { tier: 'gold' } }), null)
  })

  test('has no names but its own', () => {
    const found = metadata({ dynamicMetadata: { tier: 'gold' } })
    assert.ok(found !== null)
    for (const name of ['constructor', '__proto__', 'toString']) assert.equal(found[name], undefined)
  })
})
