import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import type { AttributeContext } from '../../proto/gen/envoy/service/auth/v3/attribute_context_pb.js'
import { CheckRequestSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { readCheckRequest } from './message-request.ts'

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constant('x'.repeat(200)),
)
const name = fc.oneof(
  fc.constantFrom('host', ':path', 'cookie', 'Cookie', 'constructor', 'content-length', 'X-a', 'x-a'),
  fc.string({ maxLength: 5 }),
)
const port = fc.nat(65_535)
const octets = fc.uint8Array({ maxLength: 12 })
const map = fc.array(fc.tuple(name, text), { maxLength: 6 }).map((entries) => Object.fromEntries(entries))
/** With or without messages that are passed over here, and maps: of both the generic library reads odd octets oddly. */
const address = (all: boolean) =>
  fc.oneof(
    fc.record({ address: text, port }).map(({ address, port }) => ({
      case: 'socketAddress' as const,
      value: { address, portSpecifier: { case: 'portValue' as const, value: port } },
    })),
    fc.constant({
      case: 'socketAddress' as const,
      value: { portSpecifier: { case: 'namedPort' as const, value: 'http' } },
    }),
    ...(all ? [fc.constant({ case: 'pipe' as const, value: { path: '/run/x', mode: 0o600 } })] : []),
    fc.constant({ case: undefined }),
  )
const peer = (all: boolean) =>
  fc.record(
    {
      address: address(all).map((one) => ({ address: one })),
      ...{ service: text, principal: text, certificate: text, ...(all ? { labels: map } : {}) },
    },
    { requiredKeys: [] },
  )
const http = (all: boolean) =>
  fc.record(
    {
      ...{ id: text, method: text, path: text, host: text, scheme: text, query: text, fragment: text, protocol: text },
      size: fc.bigInt({ min: -5n, max: 1n << 40n }),
      ...(all ? { headers: map } : {}),
      headerMap: fc
        .array(fc.record({ key: name, value: text, rawValue: octets }, { requiredKeys: [] }), { maxLength: 4 })
        .map((headers) => ({ headers })),
      body: text,
      rawBody: octets,
    },
    { requiredKeys: [] },
  )
const time = fc.record({ seconds: fc.bigInt({ min: -100n, max: 1n << 35n }), nanos: fc.nat(999_999_999) })
const attributes = (all: boolean) =>
  fc.record(
    {
      source: peer(all),
      destination: peer(all),
      request: fc.record({ time, http: http(all) }, { requiredKeys: [] }),
      ...(all ? { contextExtensions: map } : {}),
      ...(all ? { metadataContext: fc.constant({ filterMetadata: { a: { b: 'c' } } }) } : {}),
      tlsSession: fc.record({ sni: text }),
    },
    { requiredKeys: [] },
  )
const message = (all: boolean) =>
  fc
    .option(attributes(all), { nil: undefined })
    .map((one) => ({ attributes: one }) as MessageInitShape<typeof CheckRequestSchema>)
    .map((init) => toBinary(CheckRequestSchema, create(CheckRequestSchema, init)))
/** Fields that come twice are merged; unknown ones do not count. */
const unknown = Buffer.from([
  0xf8, 0x07, 1, 0xfa, 0x07, 2, 1, 2, 0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8, 0xfb, 0x07, 0xfc, 0x07,
])
const merged = (all = true) =>
  fc.array(message(all), { minLength: 1, maxLength: 3 }).map((parts) => Buffer.concat([...parts, unknown]))

const waiting = { signal: new AbortController().signal }

/** The same, read by the generic library, whose messages have everything. */
function reference({ source, destination, request, contextExtensions, tlsSession }: AttributeContext) {
  const side = (one: typeof source) => {
    const address = one?.address?.address
    const socket = address?.case === 'socketAddress' ? address.value : undefined
    const port = socket?.portSpecifier.case === 'portValue' ? socket.portSpecifier.value : 0
    return { ip: socket?.address ?? '', port, principal: one?.principal ?? '' }
  }
  const both = { source: side(source), destination: side(destination), contextExtensions: { ...contextExtensions } }
  if (request === undefined) return { ...both, sni: tlsSession?.sni || destination?.service || '' }
  const { http } = request
  if (http === undefined) return null
  const lines = (
    http.headerMap !== undefined && http.headerMap.headers.length > 0
      ? http.headerMap.headers.map((one) => [one.key, one.value || Buffer.from(one.rawValue).toString('utf8')] as const)
      : Object.entries(http.headers)
  )
    .map(([key, value]) => [key.toLowerCase(), value] as const)
    .filter(([key]) => key !== 'host' && !key.startsWith(':'))
  const headers = new Map<string, string>()
  for (const [key, value] of lines) headers.set(key, headers.has(key) ? `${headers.get(key)},${value}` : value)
  const { method, path, host, scheme, protocol } = http
  const body = http.rawBody.length > 0 ? Buffer.from(http.rawBody) : Buffer.from(http.body, 'utf8')
  const seconds = Number(request.time?.seconds ?? 0n) * 1000 + Math.floor((request.time?.nanos ?? 0) / 1e6)
  return {
    ...both,
    method,
    path,
    host,
    scheme,
    protocol,
    body,
    time: seconds,
    headers: sorted(headers),
    lines: sortedLines(lines),
  }
}

/** Maps of a message have no order. */
function sorted(entries: Iterable<readonly [string, string | undefined]>) {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
}

function sortedLines(lines: readonly (readonly [string, string])[]) {
  return lines.map(([key, value]) => `${key}: ${value}`).sort()
}

function read(bytes: Buffer) {
  const asked = readCheckRequest(bytes, waiting)
  switch (asked.kind) {
    case 'malformed':
      return 'malformed'
    case 'nothing':
      return null
    case 'connection': {
      const { source, destination, contextExtensions, sni } = asked.connection
      return { source, destination, contextExtensions: { ...contextExtensions }, sni }
    }
    case 'request': {
      const { source, destination, contextExtensions, method, path, host, scheme, protocol, time } = asked.request
      const { body, headers, headerLines } = asked.request
      return {
        ...{ source, destination, contextExtensions: { ...contextExtensions }, method, path, host, scheme, protocol },
        ...{ body: Buffer.from(body.bytes), time, headers: sorted(Object.entries(headers)) },
        lines: sortedLines(headerLines),
      }
    }
    default:
      return asked satisfies never
  }
}

/** What the generic library makes of octets: undefined when it refuses them. */
function decoded(bytes: Buffer): ReturnType<typeof reference> | undefined {
  try {
    const { attributes } = fromBinary(CheckRequestSchema, bytes, { readUnknownFields: false })
    return attributes === undefined ? null : reference(attributes)
  } catch {
    return undefined
  }
}

test('random messages, merged ones too, say what the generic library reads in them', () => {
  fc.assert(
    fc.property(merged(), (bytes) => {
      const expected = decoded(bytes)
      assert.notEqual(expected, undefined)
      assert.deepEqual(read(bytes), expected)
    }),
    { numRuns: 2000, endOnFailure: true },
  )
})

test('octets that were changed or cut off are refused, or mean the same to both', () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 })
  let both = 0
  fc.assert(
    fc.property(merged(false), changes, fc.option(fc.nat()), (bytes, flips, cut) => {
      const odd = Buffer.from(cut === null ? bytes : bytes.subarray(0, cut % (bytes.length + 1)))
      for (const [at, value] of flips) if (odd.length > 0) odd[at % odd.length] = value
      const ours = read(odd)
      const theirs = decoded(odd)
      if (ours === 'malformed' || theirs === undefined) return
      both++
      assert.deepEqual(ours, theirs)
    }),
    { numRuns: 6000, endOnFailure: true },
  )
  assert.ok(both > 300, `only ${both} were read by both`)
})

test('what is malformed is refused, whoever would read it', () => {
  const field = (number: number, ...payload: number[]) => [number * 8 + 2, payload.length, ...payload]
  const inHttp = (...octets: number[]) => Buffer.from(field(1, ...field(4, ...field(2, ...octets))))
  for (const [what, bytes] of [
    ['cut off in a length', Buffer.from([0x0a, 0x80])],
    ['longer than the message', Buffer.from([0x0a, 5, 0])],
    ['a field of number 0', Buffer.from([0x02, 0])],
    ['an end of a group that none began', Buffer.from([0x0c])],
    ['groups without end', Buffer.alloc(300, 0x0b)],
    ['a path that is a number', inHttp(0x20, 1)],
    ['a path that is no UTF-8', inHttp(0x22, 1, 0xff)],
    ['a header name that is no UTF-8', inHttp(...field(3, ...field(1, 0xc3)))],
    ['an entry of a map whose value is longer', inHttp(...field(3, 0x12, 2, 0x61), 0x61)],
    ['a varint of eleven octets', Buffer.from([0x08, ...Buffer.alloc(10, 0xff), 1])],
  ] as const) {
    assert.equal(readCheckRequest(bytes, waiting).kind, 'malformed', what)
  }
})

test('an entry of a map may have unknown fields, or lack what is known', () => {
  const field = (number: number, ...payload: number[]) => [number * 8 + 2, payload.length, ...payload]
  const http = field(
    2,
    ...field(3, ...field(9, 1), ...field(1, 0x61), 0x20, 1),
    ...field(3),
    ...field(3, ...field(1, 0x62)),
  )
  const asked = readCheckRequest(Buffer.from(field(1, ...field(4, ...http))), waiting)
  assert.ok(asked.kind === 'request')
  assert.deepEqual(Object.entries(asked.request.headers), [
    ['a', ''],
    ['', ''],
    ['b', ''],
  ])
})

test('a name that objects have of their own is a name like any other', () => {
  const entry = (key: string, value: string) => [
    0x0a,
    key.length,
    ...Buffer.from(key),
    0x12,
    value.length,
    ...Buffer.from(value),
  ]
  const field = (number: number, payload: readonly number[]) => [number * 8 + 2, payload.length, ...payload]
  const http = field(2, [...field(3, entry('__proto__', 'a')), ...field(3, entry('x', 'b'))])
  const asked = readCheckRequest(Buffer.from(field(1, field(4, http))), waiting)
  assert.ok(asked.kind === 'request')
  assert.deepEqual(Object.entries(asked.request.headers), [
    ['__proto__', 'a'],
    ['x', 'b'],
  ])
  for (const inherited of ['constructor', 'toString', 'hasOwnProperty']) {
    assert.equal(asked.request.headers[inherited], undefined)
  }
})

test('only what is asked for is a signal', () => {
  let made = 0
  const lazy = {
    get signal() {
      made++
      return waiting.signal
    },
  }
  const bytes = toBinary(
    CheckRequestSchema,
    create(CheckRequestSchema, { attributes: { request: { http: { path: '/' } } } }),
  )
  const asked = readCheckRequest(Buffer.from(bytes), lazy)
  assert.ok(asked.kind === 'request')
  assert.equal(asked.request.path, '/')
  assert.equal(made, 0)
  assert.equal(asked.request.signal, waiting.signal)
})
