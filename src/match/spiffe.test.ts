import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  namespacePattern,
  type PeerPattern,
  peerRegex,
  peerTest,
  principalPattern,
  serviceAccountPattern,
  trustDomainPattern,
} from './spiffe.ts'

const id = 'spiffe://cluster.local/ns/b/sa/s'

const cases: readonly (readonly [PeerPattern, string, boolean])[] = [
  [principalPattern('cluster.local/ns/b/sa/s'), id, true],
  [principalPattern('cluster.local/ns/b/sa/ss'), id, false],
  [principalPattern('*/sa/s'), id, true],
  [principalPattern('*'), 'spiffe://x', true],
  [principalPattern('*'), '', false],
  [principalPattern('cluster.local/ns/b/*'), id, true],
  [namespacePattern('b'), id, true],
  [namespacePattern('*sa'), id, true],
  [namespacePattern('b*'), 'spiffe://cluster.local/ns/bb/sa/s', true],
  [namespacePattern('b*'), 'spiffe://cluster.local/ns/ab/sa/s', false],
  [serviceAccountPattern('s', 'b'), id, true],
  [serviceAccountPattern('s', 'b'), 'spiffe://cluster.local/ns/b/sa/s-2', false],
  [serviceAccountPattern('s', 'b'), 'spiffe:///ns/b/sa/s', false],
  [serviceAccountPattern('s', 'b'), 'spiffe://td/ns/b/x/sa/s/y', true],
  [serviceAccountPattern('b/s.v1', 'c'), 'spiffe://td/ns/b/sa/sxv1', false],
  [trustDomainPattern('cluster.local'), id, true],
  [trustDomainPattern('cluster'), id, false],
  [trustDomainPattern('*.local'), id, true],
  [trustDomainPattern('c*b'), 'spiffe://cl/ns/b/x', false],
  [trustDomainPattern('*'), id, true],
]

test('peer patterns match as Istio compiles them', () => {
  for (const [pattern, text, expected] of cases) {
    assert.equal(peerTest(pattern)(text), expected, `${JSON.stringify(pattern)} on ${text}`)
  }
})

test('the hand-written tests agree with the regular expressions that Istio writes', () => {
  const piece = fc.constantFrom('a', 'b', '*', '.', '-', 'ns', 'sa')
  const value = fc.array(piece, { minLength: 1, maxLength: 3 }).map((pieces) => pieces.join(''))
  const segment = fc.constantFrom('a', 'b', 'ab', '.', 'ns', 'sa', 'a-b', '')
  const ids = fc.array(segment, { maxLength: 9 }).map((segments) => `spiffe://${segments.join('/')}`)
  const pattern = fc.oneof(
    value.map(principalPattern),
    value.map(namespacePattern),
    fc.tuple(value, fc.constantFrom('a', 'b')).map(([v, ns]) => serviceAccountPattern(v.replaceAll('*', ''), ns)),
    value.filter((v) => v.split('*').length <= 2).map(trustDomainPattern),
  )
  fc.assert(
    fc.property(pattern, ids, (p, text) => {
      assert.equal(peerTest(p)(text), new RegExp(`^(?:${peerRegex(p)})$`, 'u').test(text), peerRegex(p))
    }),
    { numRuns: 20_000 },
  )
})
