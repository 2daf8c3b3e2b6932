import type { Test } from '../compile-match.ts'
import { isJoinedHeader } from '../header-lines.ts'
import type { Anchor } from './anchor.ts'
import { type BitNode, type Bits, changeBits, getBits } from './bit-tree.ts'
import { type ClaimNode, changeClaim, getClaim } from './claim-index.ts'
import { changeList, changeName, FEW_HEADERS, getListed, getName, type Named, type Names } from './names.ts'
import type { Owner } from './owner.ts'
import { changeText, getText, type TextIndex } from './text-index.ts'

/** Rules that share an anchor: the slot of one, or several. */
export type Bucket = number | SharedBucket

/** In Envoy's order; when they are many, divided further. */
export interface SharedBucket {
  readonly owner: Owner
  readonly rules: number[]
  inner: RuleNode | null
}

/** Rules that a hit of the same `not` value keeps from matching. */
export interface Group {
  readonly owner: Owner
  readonly name: string
  readonly kill: Test
  readonly rules: number[]
}

/** Rules that no request can be spared: found under nothing, they are tested in order. */
export interface Rest {
  readonly owner: Owner
  readonly plain: number[]
  /** By their first rule. */
  readonly groups: Group[]
  /** At how many plain rules they are next looked through for new groups. */
  limit: number
}

/** Rules by what a request must have for them to match. */
export interface RuleNode {
  readonly owner: Owner
  /** When a decision last came here, by the clock of the index: more than one anchor of a request may lead here. */
  visited: number
  path: TextIndex<Bucket> | null
  target: TextIndex<Bucket> | null
  host: TextIndex<Bucket> | null
  authority: TextIndex<Bucket> | null
  method: TextIndex<Bucket> | null
  scheme: TextIndex<Bucket> | null
  sni: TextIndex<Bucket> | null
  peer: TextIndex<Bucket> | null
  namespace: TextIndex<Bucket> | null
  account: TextIndex<Bucket> | null
  /** By number of the path's segment. */
  segments: readonly (TextIndex<Bucket> | null)[]
  headers: Names<TextIndex<Bucket>> | null
  /** Headers whose lines are one value; there are not many of that kind. */
  joinedHeaders: readonly Named<TextIndex<Bucket>>[]
  claims: ClaimNode<Bucket> | null
  metadata: ClaimNode<Bucket> | null
  ports: BitNode<Bucket> | null
  sourceIp: IpIndex
  remoteIp: IpIndex
  destinationIp: IpIndex
  rest: Rest | null
}

export interface IpIndex {
  readonly v4: BitNode<Bucket> | null
  readonly v6: BitNode<Bucket> | null
}

const noIps: IpIndex = { v4: null, v6: null }

/** The only place where nodes are made, so that searches meet objects of one shape. */
export function emptyNode(owner: Owner): RuleNode {
  return {
    owner,
    visited: 0,
    path: null,
    target: null,
    host: null,
    authority: null,
    method: null,
    scheme: null,
    sni: null,
    peer: null,
    namespace: null,
    account: null,
    segments: [],
    headers: null,
    joinedHeaders: [],
    claims: null,
    metadata: null,
    ports: null,
    sourceIp: noIps,
    remoteIp: noIps,
    destinationIp: noIps,
    rest: null,
  }
}

export function sizeOf(bucket: Bucket | null): number {
  return bucket === null ? 0 : typeof bucket === 'number' ? 1 : bucket.rules.length
}

export function ownNode(node: RuleNode, owner: Owner): RuleNode {
  if (node.owner === owner) return node
  return Object.assign(emptyNode(owner), { ...node, owner })
}

/** Applies `change` to the bucket of an anchor, in a node that is the owner's. */
export function changeBucket(
  node: RuleNode,
  anchor: Anchor,
  owner: Owner,
  change: (bucket: Bucket | null) => Bucket | null,
): void {
  const changeIndex = (key: Parameters<typeof changeText>[1]) => (index: TextIndex<Bucket> | null) =>
    changeText(index, key, owner, change)
  switch (anchor.kind) {
    case 'text':
      node[anchor.field] = changeText(node[anchor.field], anchor.key, owner, change)
      return
    case 'namespace':
    case 'account':
      node[anchor.kind] = changeText(node[anchor.kind], anchor.key, owner, change)
      return
    case 'segment': {
      const { index, text } = anchor
      const segments = [...node.segments]
      while (segments.length <= index) segments.push(null)
      segments[index] = changeText(segments[index] ?? null, { shape: 'exact', text }, owner, change)
      while (segments.at(-1) === null) segments.pop()
      node.segments = segments
      return
    }
    case 'header':
      if (isJoinedHeader(anchor.name)) {
        node.joinedHeaders = changeList(node.joinedHeaders, anchor.name, changeIndex(anchor.key))
      } else {
        node.headers = changeName(node.headers, anchor.name, FEW_HEADERS, owner, changeIndex(anchor.key))
      }
      return
    case 'claim':
      node.claims = changeClaim(node.claims, anchor.path, anchor.key, owner, change)
      return
    case 'metadata':
      node.metadata = changeClaim(node.metadata, anchor.path, anchor.key, owner, change)
      return
    case 'port':
      node.ports = changeBits(node.ports, portBits(anchor.port), owner, change)
      return
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp': {
      const { address, bits } = anchor.block
      const { v4, v6 } = node[anchor.kind]
      const key = { ...address, bits }
      node[anchor.kind] = address.v6
        ? { v4, v6: changeBits(v6, key, owner, change) }
        : { v4: changeBits(v4, key, owner, change), v6 }
      return
    }
    default:
      anchor satisfies never
  }
}

export function bucketOf(node: RuleNode, anchor: Anchor): Bucket | null {
  switch (anchor.kind) {
    case 'text':
      return getText(node[anchor.field], anchor.key)
    case 'namespace':
    case 'account':
      return getText(node[anchor.kind], anchor.key)
    case 'segment':
      return getText(node.segments[anchor.index] ?? null, { shape: 'exact', text: anchor.text })
    case 'header': {
      const { name, key } = anchor
      return getText(isJoinedHeader(name) ? getListed(node.joinedHeaders, name) : getName(node.headers, name), key)
    }
    case 'claim':
      return getClaim(node.claims, anchor.path, anchor.key)
    case 'metadata':
      return getClaim(node.metadata, anchor.path, anchor.key)
    case 'port':
      return getBits(node.ports, portBits(anchor.port))
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp': {
      const { address, bits } = anchor.block
      return getBits(node[anchor.kind][address.v6 ? 'v6' : 'v4'], { ...address, bits })
    }
    default:
      return anchor satisfies never
  }
}

/** Whether any rule of the node is found by what that anchor looks at. */
export function isUsed(node: RuleNode, anchor: Anchor): boolean {
  switch (anchor.kind) {
    case 'text':
      return node[anchor.field] !== null
    case 'namespace':
    case 'account':
      return node[anchor.kind] !== null
    case 'segment':
      return (node.segments[anchor.index] ?? null) !== null
    case 'header':
      return node.headers !== null || node.joinedHeaders.length > 0
    case 'claim':
      return node.claims !== null
    case 'metadata':
      return node.metadata !== null
    case 'port':
      return node.ports !== null
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return node[anchor.kind].v4 !== null || node[anchor.kind].v6 !== null
    default:
      return anchor satisfies never
  }
}

/** A port as 16 bits. */
function portBits(port: number): Bits {
  return { a: port << 16, b: 0, c: 0, d: 0, bits: 16 }
}
