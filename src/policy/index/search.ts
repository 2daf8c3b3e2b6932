import type { HeaderMap } from '../../match/header-map.ts'
import type { IpAddress } from '../../match/ip.ts'
import type { Json } from '../../source/document.ts'
import type { Test } from '../compile-match.ts'
import type { Claims, Facts } from '../facts.ts'
import { joinLines } from '../header-lines.ts'
import type { RuleIr } from '../ir.ts'
import { type BitNode, bitAt, startsWith } from './bit-tree.ts'
import type { ClaimNode } from './claim-index.ts'
import type { Named, Names } from './names.ts'
import type { Bucket, IpIndex, Rest, RuleNode } from './node.ts'
import { childOf, type RadixNode } from './radix.ts'
import type { Ranks } from './slots.ts'
import type { TextIndex } from './text-index.ts'
import { getTable } from './text-table.ts'
import { get, type Vector } from './vector.ts'

/** A rule and its test. */
export interface Entry {
  readonly rule: RuleIr
  readonly test: Test
}

/** One version of an index, as decisions read it. All by slot. */
export interface Search {
  readonly entries: Vector<Entry>
  readonly ranks: Ranks
  /** When a rule was last tested: no decision tests one twice, however many of its anchors a request has. */
  readonly tested: Float64Array
  /** The number of the decision under way. */
  readonly clock: Float64Array
}

/** The rank of the first matching rule of the node, or `best` when none is lower. No closures: it allocates nothing. */
export function searchNode(node: RuleNode, facts: Facts, search: Search, start: number): number {
  const now = search.clock[0] as number
  if (node.visited === now) return start
  node.visited = now
  let best = start
  const { peer, sni } = facts
  if (peer !== '') {
    if (node.peer !== null) best = searchText(node.peer, peer, 0, peer.length, facts, search, best)
    if (node.namespace !== null) best = searchBehind(node.namespace, '/ns/', true, facts, search, best)
    if (node.account !== null) best = searchBehind(node.account, '/sa/', false, facts, search, best)
  }
  if (facts.http) best = searchRequest(node, facts, search, best)
  if (node.sni !== null) best = searchText(node.sni, sni, 0, sni.length, facts, search, best)
  best = searchIp(node.sourceIp, facts.sourceIp, facts, search, best)
  best = searchIp(node.remoteIp, facts.remoteIp, facts, search, best)
  best = searchIp(node.destinationIp, facts.destinationIp, facts, search, best)
  if (node.ports !== null) {
    best = searchBits(node.ports, facts.destinationPort << 16, 0, 0, 0, facts, search, best)
  }
  if (node.metadata !== null && facts.metadata !== null) {
    best = searchClaims(node.metadata, facts.metadata, facts, search, best)
  }
  return node.rest === null ? best : searchRest(node.rest, facts, search, best)
}

function searchRequest(node: RuleNode, facts: Facts, search: Search, start: number): number {
  const { urlPath, path, lowerHost, host, method, scheme, headers, claims } = facts
  let best = start
  if (node.path !== null) best = searchText(node.path, urlPath, 0, urlPath.length, facts, search, best)
  if (node.target !== null) best = searchText(node.target, path, 0, path.length, facts, search, best)
  if (node.host !== null) best = searchText(node.host, lowerHost, 0, lowerHost.length, facts, search, best)
  if (node.authority !== null) best = searchText(node.authority, host, 0, host.length, facts, search, best)
  if (node.method !== null) best = searchText(node.method, method, 0, method.length, facts, search, best)
  if (node.scheme !== null) best = searchText(node.scheme, scheme, 0, scheme.length, facts, search, best)
  if (node.segments.length > 0) best = searchSegments(node.segments, facts, search, best)
  if (headers !== null) {
    if (node.headers !== null) best = searchHeaders(node.headers, headers, facts, search, best)
    if (node.joinedHeaders.length > 0) best = searchJoinedHeaders(node.joinedHeaders, headers, facts, search, best)
  }
  return node.claims === null || claims === null ? best : searchClaims(node.claims, claims, facts, search, best)
}

/** What follows each `marker` of the peer's id, to its end or to the next slash. */
function searchBehind(
  index: TextIndex<Bucket>,
  marker: string,
  toEnd: boolean,
  facts: Facts,
  search: Search,
  start: number,
): number {
  const { peer } = facts
  let best = start
  for (let i = peer.indexOf(marker); i !== -1; i = peer.indexOf(marker, i + 1)) {
    const from = i + marker.length
    const slash = toEnd ? -1 : peer.indexOf('/', from)
    best = searchText(index, peer, from, slash === -1 ? peer.length : slash, facts, search, best)
  }
  return best
}

function searchSegments(
  segments: readonly (TextIndex<Bucket> | null)[],
  facts: Facts,
  search: Search,
  start: number,
): number {
  const { urlPath } = facts
  let best = start
  let from = 1
  for (let i = 0; i < segments.length && from <= urlPath.length; i++) {
    const slash = urlPath.indexOf('/', from)
    const to = slash === -1 ? urlPath.length : slash
    const index = segments[i] as TextIndex<Bucket> | null
    if (index !== null) best = searchText(index, urlPath, from, to, facts, search, best)
    from = to + 1
  }
  return best
}

function searchHeaders(
  names: Names<TextIndex<Bucket>>,
  headers: HeaderMap,
  facts: Facts,
  search: Search,
  start: number,
): number {
  const { list, table } = names
  let best = start
  for (let n = 0; n < list.length; n++) {
    const { name, value: index } = list[n] as Named<TextIndex<Bucket>>
    for (let i = headers.indexOf(name); i !== -1; i = headers.indexOf(name, i + 1)) {
      const value = headers.valueAt(i)
      best = searchText(index, value, 0, value.length, facts, search, best)
    }
  }
  if (table === null) return best
  for (let i = 0; i < headers.size; i++) {
    const name = headers.nameAt(i)
    const index = getTable(table, name, 0, name.length)
    if (index === null) continue
    const value = headers.valueAt(i)
    best = searchText(index, value, 0, value.length, facts, search, best)
  }
  return best
}

function searchJoinedHeaders(
  list: readonly Named<TextIndex<Bucket>>[],
  headers: HeaderMap,
  facts: Facts,
  search: Search,
  start: number,
): number {
  let best = start
  for (let n = 0; n < list.length; n++) {
    const { name, value: index } = list[n] as Named<TextIndex<Bucket>>
    const i = headers.indexOf(name)
    if (i === -1) continue
    const value = headers.indexOf(name, i + 1) === -1 ? headers.valueAt(i) : joinLines(headers.all(name))
    best = searchText(index, value, 0, value.length, facts, search, best)
  }
  return best
}

function searchClaims(node: ClaimNode<Bucket>, object: Claims, facts: Facts, search: Search, start: number): number {
  const { members } = node
  if (members === null) return start
  const { list, table } = members
  let best = start
  for (let n = 0; n < list.length; n++) {
    const { name, value: member } = list[n] as Named<ClaimNode<Bucket>>
    if (Object.hasOwn(object, name)) best = searchClaim(member, object[name] as Json, facts, search, best)
  }
  if (table === null) return best
  for (const name in object) {
    const member = getTable(table, name, 0, name.length)
    if (member !== null && Object.hasOwn(object, name)) {
      best = searchClaim(member, object[name] as Json, facts, search, best)
    }
  }
  return best
}

/** A text, or each text of a list. */
function searchClaim(node: ClaimNode<Bucket>, value: Json, facts: Facts, search: Search, start: number): number {
  const { value: index } = node
  if (typeof value === 'string') {
    return index === null ? start : searchText(index, value, 0, value.length, facts, search, start)
  }
  if (typeof value !== 'object' || value === null) return start
  if (!Array.isArray(value)) return searchClaims(node, value as Claims, facts, search, start)
  let best = start
  for (let i = 0; i < value.length && index !== null; i++) {
    const item = value[i]
    if (typeof item === 'string') best = searchText(index, item, 0, item.length, facts, search, best)
  }
  return best
}

function searchIp(ips: IpIndex, { v6, a, b, c, d }: IpAddress, facts: Facts, search: Search, best: number): number {
  const root = v6 ? ips.v6 : ips.v4
  // As signed words, which are never boxed on the way.
  return root === null ? best : searchBits(root, a | 0, b | 0, c | 0, d | 0, facts, search, best)
}

function searchBits(
  root: BitNode<Bucket>,
  a: number,
  b: number,
  c: number,
  d: number,
  facts: Facts,
  search: Search,
  start: number,
): number {
  let best = start
  let node: BitNode<Bucket> | null = root
  while (node !== null && startsWith(a, b, c, d, node)) {
    if (node.value !== null) best = searchBucket(node.value, facts, search, best)
    node = bitAt(a, b, c, d, node.bits) === 0 ? node.zero : node.one
  }
  return best
}

/** Every bucket whose key fits `text` between `from` and `to`. */
function searchText(
  index: TextIndex<Bucket>,
  text: string,
  from: number,
  to: number,
  facts: Facts,
  search: Search,
  start: number,
): number {
  let best = start
  if (index.exact !== null) {
    const bucket = getTable(index.exact, text, from, to)
    if (bucket !== null) best = searchBucket(bucket, facts, search, best)
  }
  if (index.forwards !== null) best = searchRadix(index.forwards, text, from, to, 1, facts, search, best)
  if (index.backwards !== null) best = searchRadix(index.backwards, text, to - 1, from - 1, -1, facts, search, best)
  return index.any === null ? best : searchBucket(index.any, facts, search, best)
}

/** Reads `text` from `from` up (or, with `step` -1, down) to `end`, which is outside. */
function searchRadix(
  root: RadixNode<Bucket>,
  text: string,
  from: number,
  end: number,
  step: 1 | -1,
  facts: Facts,
  search: Search,
  start: number,
): number {
  let best = start
  let node = root
  let at = from
  for (;;) {
    if (node.value !== null) best = searchBucket(node.value, facts, search, best)
    const child = at === end ? null : childOf(node, text.charCodeAt(at))
    if (child === null) return best
    const { edge } = child
    at += step
    for (let i = 1; i < edge.length; i++, at += step) {
      if (at === end || text.charCodeAt(at) !== edge.charCodeAt(i)) return best
    }
    node = child
  }
}

/** A group is passed over where its `not` value hits. */
function searchRest({ groups, plain }: Rest, facts: Facts, search: Search, start: number): number {
  let best = start
  for (let i = 0; i < groups.length; i++) {
    const { rules, kill } = groups[i] as Rest['groups'][number]
    if ((search.ranks[rules[0] as number] as number) >= best) break
    if (!kill(facts)) best = searchList(rules, facts, search, best)
  }
  return plain.length === 0 ? best : searchList(plain, facts, search, best)
}

function searchBucket(bucket: Bucket, facts: Facts, search: Search, best: number): number {
  if (typeof bucket === 'number') return testRule(bucket, facts, search, best)
  const { rules, inner } = bucket
  if (inner === null) return searchList(rules, facts, search, best)
  return (search.ranks[rules[0] as number] as number) >= best ? best : searchNode(inner, facts, search, best)
}

function searchList(list: readonly number[], facts: Facts, search: Search, best: number): number {
  for (let i = 0; i < list.length; i++) {
    const slot = list[i] as number
    if ((search.ranks[slot] as number) >= best) return best
    const rank = testRule(slot, facts, search, best)
    if (rank < best) return rank
  }
  return best
}

function testRule(slot: number, facts: Facts, { ranks, entries, tested, clock }: Search, best: number): number {
  const rank = ranks[slot] as number
  const now = clock[0] as number
  if (rank >= best || tested[slot] === now) return best
  tested[slot] = now
  return get(entries, slot).test(facts) ? rank : best
}
