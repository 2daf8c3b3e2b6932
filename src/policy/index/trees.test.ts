import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { blockContains, type IpBlock, parseIp, parseIpBlock } from '../../match/ip.ts'
import { type BitNode, bitAt, changeBits, getBits, startsWith } from './bit-tree.ts'
import { changeName, getName, type Names } from './names.ts'
import { changeRadix, getRadix, type RadixNode, someOpen } from './radix.ts'
import { changeTable, getTable, type TextTable } from './text-table.ts'

/** Adds (or, with null, removes) under a key; the same owner goes on for a while, as in a long edit. */
interface Step<K> {
  readonly key: K
  readonly value: number | null
  readonly sameOwner: boolean
}

function steps<K>(key: fc.Arbitrary<K>): fc.Arbitrary<readonly Step<K>[]> {
  return fc.array(
    fc.record({ key, value: fc.option(fc.nat({ max: 9 }), { nil: null, freq: 2 }), sameOwner: fc.boolean() }),
    { maxLength: 30 },
  )
}

/** Runs the steps beside a plain map, and holds each version that an owner left against what it was then. */
function follow<K, T>(
  all: readonly Step<K>[],
  nameOf: (key: K) => string,
  change: (tree: T | null, key: K, owner: object, change: () => number | null) => T | null,
  check: (tree: T | null, values: ReadonlyMap<string, { readonly key: K; readonly value: number }>) => void,
): void {
  let tree: T | null = null
  let owner = {}
  let values = new Map<string, { readonly key: K; readonly value: number }>()
  const versions: (() => void)[] = []
  for (const { key, value, sameOwner } of all) {
    if (!sameOwner) {
      const [left, then] = [tree, new Map(values)]
      versions.push(() => check(left, then))
      owner = {}
    }
    tree = change(tree, key, owner, () => value)
    values = new Map(values)
    if (value === null) values.delete(nameOf(key))
    else values.set(nameOf(key), { key, value })
    check(tree, values)
  }
  for (const version of versions) version()
  for (const [name, { key }] of values) {
    tree = change(tree, key, owner, () => null)
    values.delete(name)
    check(tree, values)
  }
  assert.equal(tree, null, 'nothing is left of an empty tree')
}

const word = fc.string({ unit: fc.constantFrom('a', 'b', '/', 'é'), maxLength: 6 })

test('texts are kept by how others begin', () => {
  fc.assert(
    fc.property(steps(word), fc.array(word, { maxLength: 5 }), (all, others) => {
      follow<string, RadixNode<number>>(
        all,
        (text) => text,
        (tree, text, owner, change) => changeRadix(tree, text, owner, change),
        (tree, values) => {
          for (const { key, value } of values.values()) assert.equal(getRadix(tree, key), value)
          for (const text of others) {
            assert.equal(getRadix(tree, text), values.get(text)?.value ?? null)
            const found: number[] = []
            const collect = (value: number) => found.push(value) === 0
            someOpen(tree, text, 0, text.length, 1, collect)
            const begins = [...values.values()].filter(({ key }) => text.startsWith(key))
            assert.deepEqual(found.sort(), begins.map(({ value }) => value).sort())
          }
        },
      )
    }),
    { numRuns: 2000 },
  )
})

test('whole texts are found in a table, however it grew or shrank', () => {
  const name = fc.nat({ max: 60 }).map((n) => `text-${n}`)
  fc.assert(
    fc.property(fc.array(name, { maxLength: 700 }), steps(name), (many, all) => {
      const filling = many.map((key): Step<string> => ({ key, value: 1, sameOwner: true }))
      follow<string, TextTable<number>>(
        [...filling.slice(0, 60), ...all],
        (key) => key,
        (table, key, owner, change) => changeTable(table, key, owner, change),
        (table, values) => {
          const get = (text: string, from: number, to: number) =>
            table === null ? null : getTable(table, text, from, to)
          for (let n = 0; n <= 60; n++) {
            const text = `text-${n}`
            assert.equal(get(`<${text}>`, 1, text.length + 1), values.get(text)?.value ?? null)
          }
        },
      )
    }),
    { numRuns: 200 },
  )
})

test('a table of many parts takes its texts back one by one', () => {
  let table: TextTable<number> | null = null
  const versions: (TextTable<number> | null)[] = []
  const check = (of: TextTable<number> | null, count: number) => {
    for (let n = 0; n < 3000; n += 7) {
      const text = `t${n}`
      assert.equal(of === null ? null : getTable(of, text, 0, text.length), n < count ? n : null)
    }
  }
  for (let n = 0; n < 3000; n++) {
    table = changeTable(table, `t${n}`, versions, () => n)
    if (n % 500 === 499) check(table, n + 1)
  }
  for (let n = 2999; n >= 0; n--) {
    table = changeTable(table, `t${n}`, {}, () => null)
    if (n % 500 === 0) versions.push(table)
  }
  for (const [i, version] of versions.entries()) check(version, 2500 - i * 500)
})

test('names are found whether they are few or many', () => {
  const name = fc.nat({ max: 20 }).map((n) => `name-${n}`)
  fc.assert(
    fc.property(steps(name), (all) => {
      follow<string, Names<number>>(
        all,
        (key) => key,
        (names, key, owner, change) => changeName(names, key, 8, owner, change),
        (names, values) => {
          for (let n = 0; n <= 20; n++) {
            assert.equal(getName(names, `name-${n}`), values.get(`name-${n}`)?.value ?? null)
          }
          assert.ok(names === null || names.table === null || names.list.length === 0)
        },
      )
    }),
    { numRuns: 500 },
  )
})

const network = fc
  .tuple(
    fc.constantFrom('10.0.0.1', '10.128.0.1', '11.0.0.1', '::', '::1', '2001:db8::1', '255.255.255.255'),
    fc.nat({ max: 128 }),
  )
  .map(([text, bits]) => parseIpBlock(`${text}/${text.includes(':') ? bits : bits % 33}`) as IpBlock)

test('networks are found by their bits, and all that hold an address on one way down', () => {
  const address = fc.constantFrom('10.0.0.1', '10.128.0.1', '::', '::1', '2001:db8::1', '255.255.255.255')
  fc.assert(
    fc.property(steps(network), fc.boolean(), address, (all, v6, text) => {
      const family = all.filter(({ key }) => key.address.v6 === v6)
      const ip = parseIp(text)
      assert.ok(ip)
      follow<IpBlock, BitNode<number>>(
        family,
        ({ address: { a, b, c, d }, bits }) => [a, b, c, d, bits].join(),
        (tree, { address, bits }, owner, change) => changeBits(tree, { ...address, bits }, owner, change),
        (tree, values) => {
          const found: number[] = []
          for (let node = tree; node !== null && startsWith(ip.a, ip.b, ip.c, ip.d, node); ) {
            if (node.value !== null) found.push(node.value)
            node = bitAt(ip.a, ip.b, ip.c, ip.d, node.bits) === 0 ? node.zero : node.one
          }
          const expected: number[] = []
          for (const { key, value } of values.values()) {
            assert.equal(getBits(tree, { ...key.address, bits: key.bits }), value)
            if (ip.v6 === v6 && blockContains(key, ip)) expected.push(value)
          }
          if (ip.v6 === v6) assert.deepEqual(found.sort(), expected.sort())
        },
      )
    }),
    { numRuns: 2000 },
  )
})
