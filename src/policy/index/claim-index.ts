import type { Json } from '../../source/document.ts'
import type { Claims } from '../facts.ts'
import type { TextKey } from './anchor.ts'
import type { Scan } from './radix.ts'
import { TextIndex } from './text-index.ts'

/** The anchors on claims, as a tree of their names: only names that the token has are followed. */
export class ClaimIndex {
  readonly #root: Node = { value: null, members: null }

  add(path: readonly string[], key: TextKey, rule: number): void {
    let node = this.#root
    for (const name of path) {
      node.members ??= new Map()
      const member: Node = node.members.get(name) ?? { value: null, members: null }
      node.members.set(name, member)
      node = member
    }
    node.value ??= new TextIndex()
    node.value.add(key, rule)
  }

  visit<T>(claims: Claims, subject: T, scan: Scan<T>, best: number): number {
    return visitMembers(this.#root, claims, subject, scan, best)
  }
}

interface Node {
  value: TextIndex | null
  members: Map<string, Node> | null
}

function visitMembers<T>(node: Node, object: Claims, subject: T, scan: Scan<T>, best: number): number {
  const { members } = node
  if (members === null) return best
  let lowest = best
  for (const name in object) {
    const member = members.get(name)
    if (member !== undefined && Object.hasOwn(object, name)) {
      lowest = visitValue(member, object[name] as Json, subject, scan, lowest)
    }
  }
  return lowest
}

function visitValue<T>(node: Node, value: Json, subject: T, scan: Scan<T>, best: number): number {
  if (typeof value === 'string') {
    return node.value === null ? best : node.value.visit(value, 0, value.length, subject, scan, best)
  }
  if (typeof value !== 'object' || value === null) return best
  if (!Array.isArray(value)) return visitMembers(node, value as Claims, subject, scan, best)
  let lowest = best
  for (let i = 0; i < value.length && node.value !== null; i++) {
    const item = value[i]
    if (typeof item === 'string') lowest = node.value.visit(item, 0, item.length, subject, scan, lowest)
  }
  return lowest
}
