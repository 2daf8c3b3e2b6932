import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { blockContains, parseIp, parseIpBlock } from '../../match/ip.ts'
import { IpTree } from './ip-tree.ts'
import { Radix, type Scan } from './radix.ts'

/** Collects every rule that is looked at. */
function collector() {
  const found = new Set<number>()
  const scan: Scan<null> = (rules, _subject, best) => {
    for (const rule of rules) found.add(rule)
    return best
  }
  return { found, scan }
}

const word = fc.string({ unit: fc.constantFrom('a', 'b', '/', 'é'), maxLength: 6 })
const entry = fc.record({ text: word, kind: fc.constantFrom<'exact' | 'open'>('exact', 'open') })

for (const direction of ['forwards', 'backwards'] as const) {
  test(`a walk ${direction} finds the texts that fit, and no other`, () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), word, word, word, (entries, before, text, after) => {
        const radix = new Radix(direction)
        for (const [rule, { text: key, kind }] of entries.entries()) radix.add(key, kind, rule)
        const { found, scan } = collector()
        radix.visit(before + text + after, before.length, before.length + text.length, null, scan, 0)
        const fits = (key: string) => (direction === 'forwards' ? text.startsWith(key) : text.endsWith(key))
        const expected = entries.flatMap(({ text: key, kind }, rule) =>
          (kind === 'exact' ? key === text : fits(key)) ? [rule] : [],
        )
        assert.deepEqual([...found].sort(), expected.sort())
      }),
      { numRuns: 3000 },
    )
  })
}

test('a walk down the bits finds every network that holds an address', () => {
  const address = fc.constantFrom('10.0.0.1', '10.128.0.1', '11.0.0.1', '::', '::1', '2001:db8::1', '255.255.255.255')
  const network = fc
    .tuple(address, fc.nat({ max: 128 }))
    .map(([text, bits]) => `${text}/${text.includes(':') ? bits : bits % 33}`)
  fc.assert(
    fc.property(fc.array(network, { maxLength: 20 }), address, (networks, text) => {
      const blocks = networks.map((one) => parseIpBlock(one)).filter((block) => block !== null)
      const ip = parseIp(text)
      assert.ok(ip !== null && blocks.length === networks.length)
      const tree = new IpTree()
      for (const [rule, block] of blocks.entries()) tree.add(block, rule)
      const { found, scan } = collector()
      tree.visit(ip, null, scan, 0)
      const expected = blocks.flatMap((block, rule) => (blockContains(block, ip) ? [rule] : []))
      assert.deepEqual([...found].sort(), expected.sort())
    }),
    { numRuns: 3000 },
  )
})
