import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { blockContains, type IpBlock, parseIp, parseIpBlock } from '../../match/ip.ts'
import { matchesPathTemplate, parsePathTemplate } from '../../match/path-template.ts'
import {
  namespacePattern,
  type PeerPattern,
  peerTest,
  principalPattern,
  serviceAccountPattern,
  trustDomainPattern,
} from '../../match/spiffe.ts'
import { matchesString, parseStringMatch } from '../../match/string-match.ts'
import type { PresenceMatch } from '../ir.ts'
import { compileBlocks } from './block-set.ts'
import { compilePeers } from './peer-set.ts'
import { compileTemplates } from './template-set.ts'
import { compileTexts } from './text-set.ts'

/** Values that are looked up must find what trying them one after the other finds. */
const runs = { numRuns: 3000 }

const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', 'é', '\n'), maxLength: 5 })

test('texts', () => {
  const match: fc.Arbitrary<PresenceMatch> = fc.oneof(
    {
      weight: 9,
      arbitrary: fc
        .tuple(fc.constantFrom('', '*'), text, fc.constantFrom('', '*'))
        .map((parts) => parseStringMatch(parts.join(''))),
    },
    { weight: 1, arbitrary: fc.constant<PresenceMatch>({ kind: 'present' }) },
  )
  fc.assert(
    fc.property(fc.array(match, { maxLength: 8 }), text, fc.constantFrom(0, 1, 3), (matches, subject, many) => {
      const expected = matches.some((one) => one.kind === 'present' || matchesString(one, subject))
      assert.equal(compileTexts(matches, many)(subject), expected)
    }),
    runs,
  )
})

test('blocks', () => {
  const address = fc.constantFrom('10.0.0.1', '10.128.0.1', '255.255.255.255', '::', '::1', '2001:db8::1', 'ffff::')
  const block = fc
    .tuple(address, fc.nat({ max: 128 }))
    .map(([text, bits]) => parseIpBlock(`${text}/${text.includes(':') ? bits : bits % 33}`) as IpBlock)
  fc.assert(
    fc.property(fc.array(block, { maxLength: 8 }), address, (blocks, text) => {
      const ip = parseIp(text)
      assert.ok(ip)
      const expected = blocks.some((one) => blockContains(one, ip))
      assert.equal(compileBlocks(blocks, 0)(ip), expected)
      assert.equal(compileBlocks(blocks, 99)(ip), expected)
    }),
    runs,
  )
})

test('peers', () => {
  const segment = fc.constantFrom('a', 'b', 'ab', 'ns', 'sa', '')
  const value = fc.tuple(fc.constantFrom('', '*'), fc.array(segment, { maxLength: 3 }), fc.constantFrom('', '*'))
  const pattern: fc.Arbitrary<PeerPattern> = fc.oneof(
    value.map(([head, parts, tail]) => principalPattern(head + parts.join('/') + tail)),
    value.map(([head, parts, tail]) => namespacePattern(head + parts.join('') + tail)),
    segment.map((name) => serviceAccountPattern(name, 'a')),
    segment.map(trustDomainPattern),
  )
  const id = fc
    .array(segment, { maxLength: 7 })
    .map((segments) => (segments.length === 0 ? '' : `spiffe://${segments.join('/')}`))
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 8 }), id, (patterns, peer) => {
      const expected = patterns.some((one) => peerTest(one)(peer))
      for (const many of [0, 99])
        assert.equal(
          compilePeers(patterns, many).some((test) => test(peer)),
          expected,
        )
    }),
    runs,
  )
})

test('templates', () => {
  const part = fc.constantFrom('{*}', '{**}', 'a', 'b')
  const template = fc
    .array(part, { minLength: 1, maxLength: 4 })
    .map((parts) => parsePathTemplate(`/${parts.join('/')}`))
    .filter((parsed) => parsed !== null)
    .filter(({ segments }) => segments.some(({ kind }) => kind !== 'literal'))
  const path = fc
    .array(fc.constantFrom('a', 'b', '', '['), { maxLength: 5 })
    .map((segments) => `/${segments.join('/')}`)
  fc.assert(
    fc.property(fc.array(template, { maxLength: 8 }), path, (templates, subject) => {
      const expected = templates.some((one) => matchesPathTemplate(one, subject))
      for (const many of [0, 99])
        assert.equal(
          compileTemplates(templates, many).some((test) => test(subject)),
          expected,
        )
    }),
    runs,
  )
})
