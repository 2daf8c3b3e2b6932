import type { Owner } from './owner.ts'

/** The first `bits` bits of 128, most significant first, as signed words; the others are 0. */
export interface Bits {
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
  readonly bits: number
}

/**
 * Values by the first bits of a number, such as networks: every network that holds an address lies on one way down from
 * the root. Changing it copies the nodes on one way down.
 */
export interface BitNode<V> extends Bits {
  readonly owner: Owner
  value: V | null
  zero: BitNode<V> | null
  one: BitNode<V> | null
}

/** The tree with `change` applied to the value under `key`; null is no value. */
export function changeBits<V>(
  node: BitNode<V> | null,
  key: Bits,
  owner: Owner,
  change: (value: V | null) => V | null,
): BitNode<V> | null {
  if (node === null) return fresh(key, owner, change(null))
  const shared = sharedBits(node, key)
  if (shared === node.bits) {
    const own = node.owner === owner ? node : made(node, node.bits, owner, node.value, node.zero, node.one)
    if (key.bits === node.bits) own.value = change(own.value)
    else if (bitOf(key, node.bits) === 0) own.zero = changeBits(own.zero, key, owner, change)
    else own.one = changeBits(own.one, key, owner, change)
    return tidy(own)
  }
  const added = fresh(key, owner, change(null))
  if (added === null) return node
  const upper: BitNode<V> = shared === key.bits ? added : made<V>(key, shared, owner, null, null, null)
  if (bitOf(node, shared) === 0) upper.zero = node
  else upper.one = node
  if (upper !== added) {
    if (bitOf(key, shared) === 0) upper.zero = added
    else upper.one = added
  }
  return upper
}

export function getBits<V>(root: BitNode<V> | null, key: Bits): V | null {
  for (let node = root; node !== null; node = bitOf(key, node.bits) === 0 ? node.zero : node.one) {
    if (node.bits > key.bits || !startsWith(key.a, key.b, key.c, key.d, node)) return null
    if (node.bits === key.bits) return node.value
  }
  return null
}

/** Whether the number begins with these bits. */
export function startsWith(
  a: number,
  b: number,
  c: number,
  d: number,
  { a: e, b: f, c: g, d: h, bits }: Bits,
): boolean {
  if (bits <= 32) return ((a ^ e) & mask(bits)) === 0
  return (
    (a ^ e) === 0 &&
    ((b ^ f) & mask(bits - 32)) === 0 &&
    ((c ^ g) & mask(bits - 64)) === 0 &&
    ((d ^ h) & mask(bits - 96)) === 0
  )
}

/** 0 or 1; behind the last bit, 0. */
export function bitAt(a: number, b: number, c: number, d: number, i: number): number {
  const word = i < 32 ? a : i < 64 ? b : i < 96 ? c : i < 128 ? d : 0
  return (word >>> (31 - (i & 31))) & 1
}

function bitOf({ a, b, c, d }: Bits, i: number): number {
  return bitAt(a, b, c, d, i)
}

function fresh<V>(key: Bits, owner: Owner, value: V | null): BitNode<V> | null {
  return value === null ? null : made(key, key.bits, owner, value, null, null)
}

/** The only place where nodes are made, so that walks meet objects of one shape. */
function made<V>(
  key: Bits,
  bits: number,
  owner: Owner,
  value: V | null,
  zero: BitNode<V> | null,
  one: BitNode<V> | null,
): BitNode<V> {
  const cut = (word: number, from: number) => (word & mask(bits - from)) | 0
  return { a: cut(key.a, 0), b: cut(key.b, 32), c: cut(key.c, 64), d: cut(key.d, 96), bits, owner, value, zero, one }
}

/** A node without a value is there for its two children only. */
function tidy<V>(node: BitNode<V>): BitNode<V> | null {
  if (node.value !== null || (node.zero !== null && node.one !== null)) return node
  return node.zero ?? node.one
}

function sharedBits(one: Bits, other: Bits): number {
  const most = Math.min(one.bits, other.bits)
  const words = [one.a ^ other.a, one.b ^ other.b, one.c ^ other.c, one.d ^ other.d]
  const at = words.findIndex((word) => word !== 0)
  return at === -1 ? most : Math.min(most, at * 32 + Math.clz32(words[at] as number))
}

function mask(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? -1 : -1 << (32 - bits)
}
