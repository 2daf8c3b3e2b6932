import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import type { HeaderValueOption } from '../../proto/gen/envoy/config/core/v3/base_pb.js'
import { CheckResponseSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { encodeVerdict } from './encode-verdict.ts'
import { type AllowVerdict, type DenyVerdict, plainAllow } from './verdict.ts'

const text = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constant('x'.repeat(20_000)),
)
const line = fc.tuple(text, text)
const lines = fc.array(line, { maxLength: 4 })
const texts = fc.array(text, { maxLength: 4 })
const metadata = fc.constantFrom(null, { a: { b: [1, 'c', null, true] } })
const allows: fc.Arbitrary<AllowVerdict> = fc.record({
  kind: fc.constant('allow' as const),
  ...{ set: lines, append: lines, remove: texts, responseSet: lines, responseAdd: lines },
  ...{ setQuery: lines, removeQuery: texts, metadata },
})
const denies: fc.Arbitrary<DenyVerdict> = fc.record({
  kind: fc.constant('deny' as const),
  status: fc.integer({ min: 200, max: 599 }),
  ...{ headers: lines, body: text, metadata },
})

const option = ({ header, append }: HeaderValueOption) => [header?.key, header?.value, append]
const expected = (of: readonly (readonly [string, string])[], append: boolean) =>
  of.map(([key, value]) => [key, value, append])

test('a verdict is what the generic library reads in its octets', () => {
  fc.assert(
    fc.property(fc.oneof(allows, denies), (verdict) => {
      const { status, httpResponse, dynamicMetadata } = fromBinary(CheckResponseSchema, encodeVerdict(verdict))
      assert.deepEqual(dynamicMetadata ?? null, verdict.metadata)
      if (verdict.kind === 'allow') {
        assert.equal(status?.code, 0)
        assert.ok(httpResponse.case === 'okResponse')
        const { value } = httpResponse
        assert.deepEqual(value.headers.map(option), [
          ...expected(verdict.set, false),
          ...expected(verdict.append, true),
        ])
        assert.deepEqual(value.headersToRemove, verdict.remove)
        const added = [...expected(verdict.responseSet, false), ...expected(verdict.responseAdd, true)]
        assert.deepEqual(value.responseHeadersToAdd.map(option), added)
        const set = value.queryParametersToSet.map((one) => [one.key, one.value])
        assert.deepEqual([set, value.queryParametersToRemove], [verdict.setQuery, verdict.removeQuery])
      } else {
        assert.notEqual(status?.code ?? 0, 0)
        assert.ok(httpResponse.case === 'deniedResponse')
        const { value } = httpResponse
        assert.deepEqual([value.status?.code, value.body], [verdict.status, verdict.body])
        assert.deepEqual(value.headers.map(option), expected(verdict.headers, false))
      }
    }),
    { numRuns: 500, endOnFailure: true },
  )
})

test('a plain permission is two empty messages', () => {
  const { status, httpResponse } = fromBinary(CheckResponseSchema, encodeVerdict(plainAllow))
  assert.deepEqual([status?.code, httpResponse.case], [0, 'okResponse'])
})
