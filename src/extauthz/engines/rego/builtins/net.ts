import {
  contains,
  cover,
  isV4,
  type Network,
  network,
  parseAddress,
  parseNetwork,
  printAddress,
  printNetwork,
} from '../go/ip.ts'
import { isArray, isObject, RegoSet, type RegoValue } from '../value.ts'
import { type Arguments, BuiltinError, type Builtins, Halt } from './builtin.ts'
import { asText, collection, operand, text } from './operands.ts'

/** As many addresses as a network of IPv4 with 16 bits has. */
const MAX_EXPANDED = 65_536

function networkOf(value: RegoValue): Network {
  const found = parseNetwork(asText(value))
  if (found === null) throw new BuiltinError('no CIDR')
  return found
}

/** Whether a network holds an address or another network. */
function cidrContains(outer: Network, inner: RegoValue): boolean {
  const address = parseAddress(asText(inner))
  if (address !== null) return contains(outer, address)
  const { first, last, v4 } = networkOf(inner)
  return v4 === outer.v4 && first >= outer.first && last <= outer.last
}

/** The networks of a string, a list, a set or an object, each with what it is known by. */
function* indexed(value: RegoValue): Generator<readonly [cidr: RegoValue, index: RegoValue]> {
  if (typeof value === 'string') yield [value, value]
  else if (value instanceof RegoSet) for (const item of value.items) yield [cidrOf(item), item]
  else if (isArray(value)) for (const [index, item] of value.entries()) yield [cidrOf(item), index]
  else if (isObject(value)) for (const [key, item] of value) yield [cidrOf(item), key]
}

/** A string, or what a list begins with. */
function cidrOf(value: RegoValue): RegoValue {
  const found = isArray(value) ? value[0] : value
  if (found === undefined || (!isArray(value) && typeof value !== 'string')) {
    throw new BuiltinError('element must be string or non-empty array')
  }
  return found
}

function containsMatches(args: Arguments): RegoSet {
  const found: RegoValue[] = []
  for (const [outer, outerIndex] of indexed(operand(args, 0))) {
    for (const [inner, innerIndex] of indexed(operand(args, 1))) {
      if (cidrContains(networkOf(outer), inner)) found.push([outerIndex, innerIndex])
    }
  }
  return new RegoSet(found)
}

function expand(args: Arguments): RegoSet {
  const { first, last } = networkOf(operand(args, 0))
  if (last - first >= BigInt(MAX_EXPANDED)) throw new Halt(`net.cidr_expand: more than ${MAX_EXPANDED} addresses`)
  const addresses: string[] = []
  for (let address = first; address <= last; address++) addresses.push(printAddress(address))
  return new RegoSet(addresses)
}

/** `text` is how the network is written as long as it is merged with no other. */
interface Range {
  readonly first: bigint
  readonly last: bigint
  readonly text: string | null
}

/** A lone address of IPv4 stands for the network of its class, which is what Go takes it for. */
function rangeOf(value: RegoValue): Range {
  const written = asText(value)
  const address = parseAddress(written)
  if (address === null) {
    const found = networkOf(written)
    return { first: found.first, last: found.last, text: printNetwork(found) }
  }
  if (!isV4(address)) throw new BuiltinError('IPv6 invalid: needs prefix length')
  const top = Number((address >> 24n) & 0xffn)
  const bits = top < 128 ? 8 : top < 192 ? 16 : 24
  const { first, last } = network(address, bits + 96)
  return { first, last, text: `${printAddress(address)}/${bits}` }
}

function merge(args: Arguments): RegoSet {
  const ranges = collection(operand(args, 0)).map(rangeOf)
  ranges.sort((a, b) => compare(a.last, b.last) || compare(a.first, b.first))
  for (let i = ranges.length - 1; i > 0; i--) {
    const range = ranges[i] as Range
    const before = ranges[i - 1] as Range
    if (previous(range.first) > before.last) continue
    const { first } = compare(before.first, range.first) < 0 ? before : range
    ranges.splice(i - 1, 2, { first, last: range.last, text: null })
  }
  const written = ranges.flatMap(({ first, last, text }) => text ?? cover(first, last).map(printNetwork))
  return new RegoSet(written)
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The first address of either family has none before it. */
function previous(address: bigint): bigint {
  return address === 0n || address === 0xffffn << 32n ? address : address - 1n
}

export const netBuiltins: Builtins = {
  'net.cidr_contains_matches': containsMatches,
  'net.cidr_expand': expand,
  'net.cidr_is_valid': (args) => typeof operand(args, 0) === 'string' && parseNetwork(text(args, 0)) !== null,
  'net.cidr_merge': merge,
}
