import type { ParsedNode, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { isAlias, isMap, isScalar, isSeq } from 'yaml'
import type { Path } from '../document.ts'
import type { Tree } from './compose.ts'
import { isMergeKey } from './convert.ts'
import { resolvePlain } from './scalar.ts'

/** Where a path leads in a tree. */
export interface Found {
  readonly key: number
  readonly value: number
  /** What remains of the path where a scalar was reached before its end. */
  readonly rest: Path
  readonly scalar: Scalar.Parsed | null
}

type MapNode = YAMLMap<ParsedNode, ParsedNode | null>

/** Follows a path as far as it leads. */
export function find(tree: Tree, path: Path): Found {
  if (tree.root === null) return { key: 0, value: 0, rest: [], scalar: null }
  let node = tree.root
  let key = node.range[0]
  let value = key
  for (const [index, step] of path.entries()) {
    const target = isAlias(node) ? (tree.aliases.get(node) ?? node) : node
    if (isScalar(target)) return { key, value, rest: path.slice(index), scalar: target as Scalar.Parsed }
    const next = enter(tree, target, step)
    if (next === null) break
    key = next.key
    if (next.node === null) return { key, value: key, rest: [], scalar: null }
    node = next.node
    // A null that is not written out has no place of its own.
    value = isScalar(node) && node.source === '' && node.range[0] === node.range[1] ? key : node.range[0]
  }
  return { key, value, rest: [], scalar: isScalar(node) ? (node as Scalar.Parsed) : null }
}

interface Entered {
  readonly key: number
  readonly node: ParsedNode | null
}

function enter(tree: Tree, node: ParsedNode, step: string | number): Entered | null {
  if (isSeq(node)) {
    const item = (node as YAMLSeq<ParsedNode>).items[Number(step)]
    return item === undefined ? null : { key: item.range[0], node: item }
  }
  if (!isMap(node)) return null
  const map = node as MapNode
  const own = pairsOf(tree, map).get(String(step))
  if (own !== undefined) return { key: own.key.range[0], node: own.value }
  for (const pair of map.items) {
    if (pair.value === null || !isMergeKey(pair.key)) continue
    const sources = isSeq(pair.value) ? (pair.value as YAMLSeq<ParsedNode>).items : [pair.value]
    for (const source of sources) {
      const target = isAlias(source) ? tree.aliases.get(source) : source
      const entered = target === undefined || target === node ? null : enter(tree, target, step)
      if (entered !== null) return entered
    }
  }
  return null
}

const pairs = new WeakMap<MapNode, ReadonlyMap<string, MapNode['items'][number]>>()

/** The pairs of a mapping by key. One of 100,000 keys is asked for as many times as it has something wrong in it. */
function pairsOf(tree: Tree, map: MapNode): ReadonlyMap<string, MapNode['items'][number]> {
  const known = pairs.get(map)
  if (known !== undefined) return known
  const made = new Map<string, MapNode['items'][number]>()
  for (const pair of map.items) {
    const text = isMergeKey(pair.key) ? null : keyText(tree, pair.key)
    if (text !== null && !made.has(text)) made.set(text, pair)
  }
  pairs.set(map, made)
  return made
}

function keyText(tree: Tree, node: ParsedNode): string | null {
  const key = isAlias(node) ? tree.aliases.get(node) : node
  if (!isScalar(key)) return null
  const { source, type, tag } = key as Scalar.Parsed
  if (type !== 'PLAIN' || tag !== undefined) return source
  const resolved = resolvePlain(source)
  if (resolved.kind === 'null' || resolved.kind === 'notJson') return source
  return resolved.kind === 'int' && !Number.isSafeInteger(resolved.value) ? source : String(resolved.value)
}
