import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Attributes } from '../../server/request.ts'
import { toInput } from './input.ts'
import { parseQuery } from './query.ts'

interface Http {
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly rawBody?: string
}

function input(http: Http, rest: Attributes = {}): Record<string, unknown> {
  const made = toInput({ ...rest, request: { http: { ...http } } })
  assert.equal(made.kind, 'input', JSON.stringify(made))
  return made.kind === 'input' ? JSON.parse(made.json) : {}
}

function problem(http: Http): string | null {
  const made = toInput({ request: { http: { ...http } } })
  return made.kind === 'malformed' ? made.message : null
}

describe('the input document of the plug-in for Envoy', () => {
  test('has the attributes as the plug-in writes them', () => {
    const attributes: Attributes = {
      source: {
        address: { socketAddress: { address: '1.2.3.4', portValue: 5, protocol: 'UDP' } },
        principal: 'spiffe://cluster.local/ns/a/sa/b',
      },
      destination: { address: { socketAddress: { address: '::1', portValue: 80 } } },
      request: {
        time: '2023-11-14T22:13:20.000000001Z',
        http: { id: '7', method: 'GET', path: '/a', size: '12', headers: { ':path': '/a' } },
      },
      contextExtensions: { k: 'v' },
      metadataContext: {},
    }
    const made = toInput(attributes)
    assert.ok(made.kind === 'input')
    assert.deepEqual(JSON.parse(made.json), {
      attributes: {
        source: {
          address: { socketAddress: { address: '1.2.3.4', portValue: 5, protocol: 1 } },
          principal: 'spiffe://cluster.local/ns/a/sa/b',
        },
        destination: { address: { socketAddress: { address: '::1', portValue: 80 } } },
        request: {
          time: { seconds: 1_700_000_000, nanos: 1 },
          http: { id: '7', method: 'GET', path: '/a', size: 12, headers: { ':path': '/a' } },
        },
        contextExtensions: { k: 'v' },
        metadataContext: {},
      },
      version: { ext_authz: 'v3', encoding: 'protojson' },
      parsed_path: ['a'],
      parsed_query: {},
      parsed_body: null,
      truncated_body: false,
      source_principal: 'spiffe://cluster.local/ns/a/sa/b',
    })
  })

  test('of a TCP connection has no request, and an empty path', () => {
    const made = toInput({ source: {} })
    assert.ok(made.kind === 'input')
    const { parsed_path, parsed_query, parsed_body } = JSON.parse(made.json)
    assert.deepEqual(
      { parsed_path, parsed_query, parsed_body },
      { parsed_path: [''], parsed_query: {}, parsed_body: null },
    )
  })

  const paths: readonly (readonly [path: string, parsed: string[], query: Record<string, string[]>])[] = [
    ['/', [''], {}],
    ['/a/b/', ['a', 'b', ''], {}],
    // Decoded first, split then.
    ['//a%2Fb/c%20d', ['a', 'b', 'c d'], {}],
    ['/a?x=1&y=%20z+w&x=2&flag&=e&', ['a'], { x: ['1', '2'], y: [' z w'], flag: [''], '': ['e'] }],
    ['/a?b?c=d', ['a'], { 'b?c': ['d'] }],
    ['/%C3%A9', ['é'], {}],
    ['/a?__proto__=x', ['a'], JSON.parse('{"__proto__":["x"]}')],
  ]
  for (const [path, parsed, query] of paths) {
    test(`parses the path ${path}`, () => {
      const { parsed_path, parsed_query } = input({ path })
      assert.deepEqual(parsed_path, parsed)
      assert.deepEqual(parsed_query, query)
    })
  }

  for (const path of ['/%', '/%zz', '/a?%', '/a?x=%4', '/a?a;b=1']) {
    test(`refuses the path ${path}`, () => assert.notEqual(problem({ path }), null))
  }

  const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64')
  const json = { 'content-type': 'application/json' }
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const multipart = { 'content-type': 'multipart/form-data; boundary="b"' }
  const part = (name: string, value: string, more = '') =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n${more}\r\n${value}\r\n`
  const bodies: readonly (readonly [what: string, http: Http, parsed: unknown, truncated?: boolean])[] = [
    ['no type', { body: '{}' }, null],
    ['another type', { headers: { 'content-type': 'text/plain' }, body: 'x' }, null],
    ['no body', { headers: json }, null],
    ['JSON', { headers: json, body: '{"a":[1,"é"]}' }, { a: [1, 'é'] }],
    ['JSON with parameters', { headers: { 'content-type': 'application/json; charset=utf-8' }, body: ' 5 ' }, 5],
    ['JSON as bytes', { headers: json, rawBody: base64('{"a":1}') }, { a: 1 }],
    ['half a character', { headers: json, body: '"\\ud800x"' }, '\ufffdx'],
    ['a form', { headers: form, body: 'a=1&b=%202&a=3' }, { a: ['1', '3'], b: [' 2'] }],
    [
      'a form in parts',
      {
        headers: multipart,
        body: `${part('a', '1')}${part('b', '{"c":2}', 'Content-Type: application/json\r\n')}--b--\r\n`,
      },
      { a: ['1'], b: [{ c: 2 }] },
    ],
    ['parts without a boundary', { headers: { 'content-type': 'multipart/form-data' }, body: part('a', '1') }, null],
    ['gRPC', { headers: { 'content-type': 'application/grpc' }, rawBody: base64('\0\0\0\0\0') }, null],
    ['half of it', { headers: { ...json, 'x-envoy-auth-partial-body': 'true' }, body: '{"a"' }, null, true],
    ['less than was announced', { headers: { ...json, 'content-length': '9' }, body: '{"a"' }, null, true],
    [
      'all of it',
      { headers: { ...json, 'x-envoy-auth-partial-body': 'false', 'content-length': '2' }, body: '{}' },
      {},
    ],
  ]
  for (const [what, http, parsed, truncated = false] of bodies) {
    test(`parses a body: ${what}`, () => {
      const { parsed_body, truncated_body } = input(http)
      assert.deepEqual({ parsed_body, truncated_body }, { parsed_body: parsed, truncated_body: truncated })
    })
  }

  const bad: readonly (readonly [what: string, http: Http])[] = [
    ['no JSON', { headers: json, body: '{"a"' }],
    ['more than JSON', { headers: json, body: '{} {}' }],
    ['a length that is no number', { headers: { ...json, 'content-length': 'x' }, body: '{}' }],
    ['a form with a semicolon', { headers: form, body: 'a;b' }],
    ['parts without an end', { headers: multipart, body: part('a', '1') }],
    ['a part of no JSON', { headers: multipart, body: `${part('a', '{', 'Content-Type: application/json\r\n')}--b--` }],
    ['a number beyond all use', { headers: json, body: '[1e99999999]' }],
    ['JSON a thousand deep', { headers: json, body: '['.repeat(2000) + ']'.repeat(2000) }],
  ]
  for (const [what, http] of bad) {
    test(`refuses a body: ${what}`, () => assert.notEqual(problem(http), null))
  }

  test('keeps numbers of a body as they were written', () => {
    const made = toInput({ request: { http: { headers: json, body: '[12345678901234567890, 1.0, 1e400]' } } })
    assert.ok(made.kind === 'input' && made.json.includes('"parsed_body":[12345678901234567890,1.0,1e400]'))
  })
})

test('a query is a reference below data, or a path of the plug-in', () => {
  assert.deepEqual(parseQuery('data.envoy.authz.allow'), ['envoy', 'authz', 'allow'])
  assert.deepEqual(parseQuery('envoy/authz/allow'), ['envoy', 'authz', 'allow'])
  assert.deepEqual(parseQuery('/envoy/authz/allow'), ['envoy', 'authz', 'allow'])
  assert.deepEqual(parseQuery('data.a["b-c"].d'), ['a', 'b-c', 'd'])
  for (const text of [
    '',
    'data',
    'data.',
    'data.a b',
    'x := data.a',
    'data.a[_]',
    'data.a["b/c"]',
    'a//b',
    'data.a == 1',
  ]) {
    assert.equal(parseQuery(text), null, text)
  }
})
