import type { HeaderMap } from '../../match/header-map.ts'
import { compileRule, type Test } from '../compile-rule.ts'
import type { Facts } from '../facts.ts'
import { isJoinedHeader } from '../header-lines.ts'
import type { Ruleset } from '../ir.ts'
import { type Anchor, anchorName, anchorsOf, candidateAnchors } from './anchor.ts'
import { ClaimIndex } from './claim-index.ts'
import { IpTree } from './ip-tree.ts'
import type { RuleList, Scan } from './radix.ts'
import { TextIndex } from './text-index.ts'

/**
 * Finds the first rule that matches, at a cost that does not grow with the number of rules: each rule is kept under what
 * a request must have for it to match, and only the rules found so are tested. Rules without such an anchor (only `not`
 * fields, or conditions that any request meets) are tested one after the other.
 */
export class RuleIndex {
  readonly #count: number
  readonly #scan: Scan<Facts>
  #path: TextIndex | null = null
  #host: TextIndex | null = null
  #method: TextIndex | null = null
  #sni: TextIndex | null = null
  #peer: TextIndex | null = null
  #namespace: TextIndex | null = null
  #account: TextIndex | null = null
  /** By number of the path's segment. */
  readonly #segments: (TextIndex | undefined)[] = []
  #headers: Map<string, TextIndex> | null = null
  #claims: ClaimIndex | null = null
  #ports: Map<number, number[]> | null = null
  #sourceIp: IpTree | null = null
  #remoteIp: IpTree | null = null
  #destinationIp: IpTree | null = null
  readonly #rest: number[] = []

  constructor(rules: Ruleset) {
    const tests: readonly Test[] = rules.map(compileRule)
    this.#count = rules.length
    this.#scan = (list: RuleList, facts: Facts, best: number) => {
      for (let i = 0; i < list.length; i++) {
        const rule = list[i] as number
        if (rule >= best) return best
        if ((tests[rule] as Test)(facts)) return rule
      }
      return best
    }
    const counts = new Map<string, number>()
    for (const rule of rules) {
      for (const name of new Set(candidateAnchors(rule).map(anchorName))) counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    const shared = (anchor: Anchor) => counts.get(anchorName(anchor)) ?? 0
    for (const [number, rule] of rules.entries()) {
      const anchors = anchorsOf(rule, shared)
      if (anchors === null) this.#rest.push(number)
      else for (const anchor of anchors) this.#add(anchor, number)
    }
  }

  /** The number of the first rule that matches, or -1. */
  first(facts: Facts): number {
    const scan = this.#scan
    let best = this.#count
    if (this.#peer !== null || this.#namespace !== null || this.#account !== null) best = this.#visitPeer(facts, best)
    if (facts.http) best = this.#visitRequest(facts, best)
    if (this.#sni !== null) best = this.#sni.visit(facts.sni, 0, facts.sni.length, facts, scan, best)
    if (this.#sourceIp !== null) best = this.#sourceIp.visit(facts.sourceIp, facts, scan, best)
    if (this.#remoteIp !== null) best = this.#remoteIp.visit(facts.remoteIp, facts, scan, best)
    if (this.#destinationIp !== null) best = this.#destinationIp.visit(facts.destinationIp, facts, scan, best)
    if (this.#ports !== null) {
      const list = this.#ports.get(facts.destinationPort)
      if (list !== undefined) best = scan(list, facts, best)
    }
    if (this.#rest.length > 0) best = scan(this.#rest, facts, best)
    return best === this.#count ? -1 : best
  }

  #visitPeer(facts: Facts, start: number): number {
    const { peer } = facts
    if (peer === '') return start
    let best = start
    if (this.#peer !== null) best = this.#peer.visit(peer, 0, peer.length, facts, this.#scan, best)
    if (this.#namespace !== null) best = this.#visitBehind(this.#namespace, '/ns/', facts, best)
    return this.#account === null ? best : this.#visitBehind(this.#account, '/sa/', facts, best)
  }

  /** Each whole segment of the peer's id that follows `marker`. */
  #visitBehind(index: TextIndex, marker: string, facts: Facts, start: number): number {
    const { peer } = facts
    let best = start
    for (let i = peer.indexOf(marker); i !== -1; i = peer.indexOf(marker, i + 1)) {
      const from = i + marker.length
      const slash = peer.indexOf('/', from)
      best = index.visit(peer, from, slash === -1 ? peer.length : slash, facts, this.#scan, best)
    }
    return best
  }

  #visitRequest(facts: Facts, start: number): number {
    const scan = this.#scan
    const { urlPath, lowerHost, method, headers, claims } = facts
    let best = start
    if (this.#path !== null) best = this.#path.visit(urlPath, 0, urlPath.length, facts, scan, best)
    if (this.#host !== null) best = this.#host.visit(lowerHost, 0, lowerHost.length, facts, scan, best)
    if (this.#method !== null) best = this.#method.visit(method, 0, method.length, facts, scan, best)
    if (this.#segments.length > 0) best = this.#visitSegments(facts, best)
    if (this.#headers !== null && headers !== null) best = this.#visitHeaders(this.#headers, headers, facts, best)
    return this.#claims === null || claims === null ? best : this.#claims.visit(claims, facts, scan, best)
  }

  #visitSegments(facts: Facts, start: number): number {
    const { urlPath } = facts
    let best = start
    let from = 1
    for (let i = 0; i < this.#segments.length && from <= urlPath.length; i++) {
      const slash = urlPath.indexOf('/', from)
      const to = slash === -1 ? urlPath.length : slash
      const index = this.#segments[i]
      if (index !== undefined) best = index.visit(urlPath, from, to, facts, this.#scan, best)
      from = to + 1
    }
    return best
  }

  #visitHeaders(indexes: ReadonlyMap<string, TextIndex>, headers: HeaderMap, facts: Facts, start: number): number {
    let best = start
    for (let i = 0; i < headers.size; i++) {
      const name = headers.nameAt(i)
      const index = indexes.get(name)
      if (index === undefined) continue
      const value = headers.valueAt(i)
      best = index.visit(value, 0, value.length, facts, this.#scan, best)
      if (isJoinedHeader(name) && headers.indexOf(name, i + 1) !== -1) {
        const joined = headers.all(name).join(',')
        best = index.visit(joined, 0, joined.length, facts, this.#scan, best)
      }
    }
    return best
  }

  #add(anchor: Anchor, rule: number): void {
    switch (anchor.kind) {
      case 'path':
        this.#path ??= new TextIndex()
        this.#path.add(anchor.key, rule)
        return
      case 'host':
        this.#host ??= new TextIndex()
        this.#host.add(anchor.key, rule)
        return
      case 'method':
        this.#method ??= new TextIndex()
        this.#method.add(anchor.key, rule)
        return
      case 'sni':
        this.#sni ??= new TextIndex()
        this.#sni.add(anchor.key, rule)
        return
      case 'peer':
        this.#peer ??= new TextIndex()
        this.#peer.add(anchor.key, rule)
        return
      case 'namespace':
        this.#namespace ??= new TextIndex()
        this.#namespace.add({ shape: 'exact', text: anchor.text }, rule)
        return
      case 'account':
        this.#account ??= new TextIndex()
        this.#account.add({ shape: 'exact', text: anchor.text }, rule)
        return
      case 'segment': {
        const index = this.#segments[anchor.index] ?? new TextIndex()
        this.#segments[anchor.index] = index
        index.add({ shape: 'exact', text: anchor.text }, rule)
        return
      }
      case 'header': {
        this.#headers ??= new Map()
        const index = this.#headers.get(anchor.name) ?? new TextIndex()
        this.#headers.set(anchor.name, index)
        index.add(anchor.key, rule)
        return
      }
      case 'claim':
        this.#claims ??= new ClaimIndex()
        this.#claims.add(anchor.path, anchor.key, rule)
        return
      case 'port': {
        this.#ports ??= new Map()
        const list = this.#ports.get(anchor.port) ?? []
        this.#ports.set(anchor.port, list)
        if (list.at(-1) !== rule) list.push(rule)
        return
      }
      case 'sourceIp':
        this.#sourceIp ??= new IpTree()
        this.#sourceIp.add(anchor.block, rule)
        return
      case 'remoteIp':
        this.#remoteIp ??= new IpTree()
        this.#remoteIp.add(anchor.block, rule)
        return
      case 'destinationIp':
        this.#destinationIp ??= new IpTree()
        this.#destinationIp.add(anchor.block, rule)
        return
      default:
        anchor satisfies never
    }
  }
}
