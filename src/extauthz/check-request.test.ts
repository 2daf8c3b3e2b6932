import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { HeaderMap } from '../match/header-map.ts'
import { CheckRequestSchema } from '../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import type { CheckBody, CheckHttpRequest, CheckRequest } from './check.ts'
import { encodeCheckRequest } from './check-request.ts'
import { repairUtf8 } from './header-syntax.ts'
import { readCheckRequest } from './server/message-request.ts'

const source = { ip: '10.0.0.1', port: 4711, principal: 'spiffe://cluster.local/ns/a/sa/b' }
const destination = { ip: '10.0.0.2', port: 8000, principal: '' }

function http(lines: [string, string][], body: CheckBody | null = null): CheckHttpRequest {
  const headers = HeaderMap.from(lines)
  return { id: '7', method: 'GET', path: '/a?b', host: 'web:8000', scheme: 'http', protocol: 'HTTP/1.1', headers, body }
}

function encode(request: CheckHttpRequest | null, packAsBytes = false) {
  const check: CheckRequest = { source, destination, time: 1_700_000_000_123, http: request }
  const { attributes } = fromBinary(CheckRequestSchema, encodeCheckRequest(check, { packAsBytes }))
  assert(attributes)
  return attributes
}

test('headers are lower-case, joined, repaired, with pseudo headers and without host', () => {
  const { request } = encode(
    http([
      ['Host', 'web:8000'],
      ['Cookie', 'a=1'],
      ['cookie', 'b=2'],
      ['x-bytes', 'a\xffb\xc3\xa9'],
      ['x-envoy-auth-partial-body', 'true'],
    ]),
  )
  assert.deepEqual(
    new Map(Object.entries(request?.http?.headers ?? {})),
    new Map([
      ['cookie', 'a=1,b=2'],
      ['x-bytes', 'a!bé'],
      [':authority', 'web:8000'],
      [':method', 'GET'],
      [':path', '/a?b'],
      [':scheme', 'http'],
    ]),
  )
  assert.deepEqual([request?.time?.seconds, request?.time?.nanos], [1_700_000_000n, 123_000_000])
  assert.deepEqual([request?.http?.query, request?.http?.fragment, request?.http?.size], ['', '', 0n])
})

test('a header with the name of an object property is sent like any other', () => {
  const bytes = encodeCheckRequest(
    { source, destination, time: 0, http: http([['__proto__', 'x']]) },
    { packAsBytes: false },
  )
  assert(Buffer.from(bytes).includes('__proto__'))
})

test('a body goes as text or as bytes, and says whether it is whole', () => {
  const bytes = Buffer.from([0x61, 0xff, 0xc3, 0xa9])
  const text = encode(http([], { bytes, partial: true })).request?.http
  assert.deepEqual([text?.body, text?.rawBody.length, text?.size], ['a!é', 0, 4n])
  assert.equal(text?.headers['x-envoy-auth-partial-body'], 'true')
  const raw = encode(http([], { bytes, partial: false }), true).request?.http
  assert.deepEqual([raw?.body, Buffer.from(raw?.rawBody ?? [])], ['', bytes])
  assert.equal(raw?.headers['x-envoy-auth-partial-body'], 'false')
})

test('a connection has no request', () => {
  const attributes = encode(null)
  assert.equal(attributes.request, undefined)
  assert.equal(attributes.source?.principal, source.principal)
  assert(attributes.metadataContext)
})

test('UTF-8 is repaired as a validator would: what it leaves is valid, and valid text is left alone', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const repaired = repairUtf8(Buffer.from(bytes).toString('latin1'))
      assert.equal(Buffer.from(repaired, 'utf8').toString('utf8'), repaired)
      assert(!repaired.includes('\ufffd') || Buffer.from(bytes).includes(Buffer.from('\ufffd')))
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(repairUtf8(Buffer.from(text, 'utf8').toString('latin1')), text)
    }),
  )
  // Overlong, surrogate, beyond U+10FFFF, cut short: a mark for every byte.
  for (const [bytes, expected] of [
    ['\xc0\x80', '!!'],
    ['\xed\xa0\x80', '!!!'],
    ['\xf4\x90\x80\x80', '!!!!'],
    ['\xe2\x82', '!!'],
    ['\xe2\x82a', '!!a'],
  ] as const) {
    assert.equal(repairUtf8(bytes), expected)
  }
})

test('what the client encodes is what the server reads', () => {
  const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/).filter((name) => !['host', 'content-length'].includes(name))
  const value = fc.string({ unit: 'grapheme', maxLength: 20 })
  const port = fc.integer({ min: 0, max: 65535 })
  const peer = fc.record({ ip: fc.ipV4(), port, principal: fc.webUrl() }, { noNullPrototype: true })
  const body = fc.option(fc.record({ bytes: fc.uint8Array({ maxLength: 50 }), partial: fc.boolean() }))
  const request = fc.record({
    id: fc.nat().map(String),
    method: fc.constantFrom('GET', 'POST', 'X-CUSTOM'),
    path: fc.webPath().map((path) => `/${path}`),
    host: fc.domain(),
    scheme: fc.constantFrom('http', 'https'),
    protocol: fc.constantFrom('HTTP/1.1', 'HTTP/2'),
    lines: fc.array(fc.tuple(token, value), { maxLength: 8 }),
    body,
  })
  const time = fc.integer({ min: 0, max: 4_000_000_000_000 })
  const everything = fc.record({ source: peer, destination: peer, time, request, packAsBytes: fc.boolean() })
  fc.assert(
    fc.property(everything, ({ source, destination, time, request, packAsBytes }) => {
      const utf8 = request.lines.map(([name, value]): [string, string] => [name, Buffer.from(value).toString('latin1')])
      const http = { ...request, headers: HeaderMap.from(utf8) }
      const bytes = encodeCheckRequest({ source, destination, time, http }, { packAsBytes })
      const asked = readCheckRequest(Buffer.from(bytes), new AbortController())
      assert(asked.kind === 'request')
      const { request: read } = asked
      assert.deepEqual([read.source, read.destination, read.time], [source, destination, time])
      const fields = ['method', 'path', 'host', 'scheme', 'protocol'] as const
      for (const field of fields) assert.equal(read[field], request[field])
      for (const [name] of request.lines) {
        const expected = request.lines.filter(([other]) => other === name).map(([, value]) => value)
        assert.equal(read.headers[name], expected.join(','))
      }
      assert.equal(read.truncated, request.body?.partial ?? false)
      if (packAsBytes) assert.deepEqual(Buffer.from(read.body.bytes), Buffer.from(request.body?.bytes ?? []))
    }),
  )
})
