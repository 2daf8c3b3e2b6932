import type { Owner } from './owner.ts'

/**
 * A compressed tree of texts. Walking it costs a step a character of the text at most, however many texts it holds, and
 * allocates nothing. Changing it copies the nodes on one way down. A tree is its root, whose edge is empty, or null.
 */
export interface RadixNode<V> {
  readonly owner: Owner
  edge: string
  /** For every text that begins so. */
  value: V | null
  /** How the edges of the children begin, ascending; arrays, because a walk through cold memory pays for each step. */
  codes: number[]
  children: RadixNode<V>[]
}

/** The tree with `change` applied to the value under `text`; null is no value. */
export function changeRadix<V>(
  root: RadixNode<V> | null,
  text: string,
  owner: Owner,
  change: (value: V | null) => V | null,
): RadixNode<V> | null {
  const top: RadixNode<V> = root === null ? leaf(owner, '') : own(root, owner)
  const way = [top]
  let node = top
  for (let at = 0; at < text.length; at += node.edge.length) {
    const code = text.charCodeAt(at)
    const place = placeOf(node.codes, code)
    if (node.codes[place] === code) {
      const next = split(node.children[place] as RadixNode<V>, text, at, owner)
      node.children[place] = next
      node = next
    } else {
      const next = leaf<V>(owner, text.slice(at))
      node.codes = node.codes.toSpliced(place, 0, code)
      node.children = node.children.toSpliced(place, 0, next)
      node = next
    }
    way.push(node)
  }
  node.value = change(node.value)
  for (let i = way.length - 1; i > 0; i--) {
    if (!tidy(way[i] as RadixNode<V>, way[i - 1] as RadixNode<V>, owner)) break
  }
  return isEmpty(top) ? null : top
}

export function childOf<V>({ codes, children }: RadixNode<V>, code: number): RadixNode<V> | null {
  if (codes.length <= 8) {
    for (let i = 0; i < codes.length; i++) if (codes[i] === code) return children[i] as RadixNode<V>
    return null
  }
  const place = placeOf(codes, code)
  return codes[place] === code ? (children[place] as RadixNode<V>) : null
}

export function getRadix<V>(root: RadixNode<V> | null, text: string): V | null {
  let node = root
  for (let at = 0; node !== null && at < text.length; ) {
    const child: RadixNode<V> | null = childOf(node, text.charCodeAt(at))
    if (child === null || !text.startsWith(child.edge, at)) return null
    at += child.edge.length
    node = child
  }
  return node === null ? null : node.value
}

/**
 * Whether `holds` says so of a value that is kept for every text that begins like the one that is read from `from`, by
 * `step`, to `end`, which is outside.
 */
export function someOpen<V>(
  tree: RadixNode<V> | null,
  text: string,
  from: number,
  end: number,
  step: 1 | -1,
  holds: (value: V, text: string) => boolean,
): boolean {
  let at = from
  for (let node = tree; node !== null; ) {
    if (node.value !== null && holds(node.value, text)) return true
    const child: RadixNode<V> | null = at === end ? null : childOf(node, text.charCodeAt(at))
    if (child === null) return false
    const { edge } = child
    at += step
    for (let i = 1; i < edge.length; i++, at += step) {
      if (at === end || text.charCodeAt(at) !== edge.charCodeAt(i)) return false
    }
    node = child
  }
  return false
}

function placeOf(codes: readonly number[], code: number): number {
  let low = 0
  let high = codes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((codes[middle] as number) < code) low = middle + 1
    else high = middle
  }
  return low
}

const NONE: never[] = []

function leaf<V>(owner: Owner, edge: string): RadixNode<V> {
  return made<V>(owner, edge, null, NONE, NONE)
}

function own<V>(node: RadixNode<V>, owner: Owner): RadixNode<V> {
  if (node.owner === owner) return node
  const { edge, value, codes, children } = node
  // The codes are replaced rather than changed.
  return made(owner, edge, value, codes, children.length === 0 ? NONE : children.slice())
}

/** The only place where nodes are made, so that walks meet objects of one shape. */
function made<V>(owner: Owner, edge: string, value: V | null, codes: number[], children: RadixNode<V>[]): RadixNode<V> {
  return { owner, edge, value, codes, children }
}

/** The child, or its upper part where `text` leaves its edge. */
function split<V>(child: RadixNode<V>, text: string, at: number, owner: Owner): RadixNode<V> {
  const { edge } = child
  const most = Math.min(edge.length, text.length - at)
  let shared = 1
  while (shared < most && edge.charCodeAt(shared) === text.charCodeAt(at + shared)) shared++
  const lower = own(child, owner)
  if (shared === edge.length) return lower
  const upper = leaf<V>(owner, edge.slice(0, shared))
  lower.edge = edge.slice(shared)
  upper.codes = [lower.edge.charCodeAt(0)]
  upper.children = [lower]
  return upper
}

/** Takes a node without values away, or joins it with its only child. Says whether the parent lost a child. */
function tidy<V>(node: RadixNode<V>, parent: RadixNode<V>, owner: Owner): boolean {
  if (node.value !== null) return false
  const place = placeOf(parent.codes, node.edge.charCodeAt(0))
  if (isEmpty(node)) {
    parent.codes = parent.codes.toSpliced(place, 1)
    parent.children = parent.children.toSpliced(place, 1)
    return true
  }
  if (node.children.length > 1) return false
  const joined = own(node.children[0] as RadixNode<V>, owner)
  joined.edge = node.edge + joined.edge
  parent.children[place] = joined
  return false
}

function isEmpty<V>(node: RadixNode<V>): boolean {
  return node.value === null && node.children.length === 0
}
