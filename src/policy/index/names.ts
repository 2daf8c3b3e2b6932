import type { Owner } from './owner.ts'
import { changeRadix, getRadix, type RadixNode } from './radix.ts'

export interface Named<V> {
  readonly name: string
  readonly value: V
}

/**
 * Values by name, such as a header's. While they are few, a request is asked for each of them; when they are many
 * (`list` is then empty), each name of the request is looked up.
 */
export interface Names<V> {
  readonly list: readonly Named<V>[]
  readonly tree: RadixNode<V> | null
}

const FEW = 8

export function changeName<V>(
  names: Names<V> | null,
  name: string,
  owner: Owner,
  change: (value: V | null) => V | null,
): Names<V> | null {
  if (names !== null && names.tree !== null) {
    const tree = changeRadix(names.tree, name, 'exact', owner, change)
    return tree === null ? null : { list: [], tree }
  }
  const list = changeList(names?.list ?? [], name, change)
  if (list.length <= FEW) return list.length === 0 ? null : { list, tree: null }
  let tree: RadixNode<V> | null = null
  for (const { name: one, value } of list) tree = changeRadix(tree, one, 'exact', owner, () => value)
  return { list: [], tree }
}

export function getName<V>(names: Names<V> | null, name: string): V | null {
  if (names === null) return null
  return names.tree === null ? getListed(names.list, name) : getRadix(names.tree, name, 'exact')
}

export function changeList<V>(
  list: readonly Named<V>[],
  name: string,
  change: (value: V | null) => V | null,
): readonly Named<V>[] {
  const value = change(getListed(list, name))
  const others = list.filter((named) => named.name !== name)
  return value === null ? others : [...others, { name, value }]
}

export function getListed<V>(list: readonly Named<V>[], name: string): V | null {
  return list.find((named) => named.name === name)?.value ?? null
}
