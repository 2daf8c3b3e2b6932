import type { Owner } from './owner.ts'
import { changeTable, getTable, type TextTable } from './text-table.ts'

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
  readonly table: TextTable<V> | null
}

/** Each header that is asked for means a look through all of the request's. */
export const FEW_HEADERS = 8

/** To look up each claim, a token's names must be listed first, which costs more than its claims do. */
export const FEW_CLAIMS = 64

/** `few`: how many names are asked for one by one. */
export function changeName<V>(
  names: Names<V> | null,
  name: string,
  few: number,
  owner: Owner,
  change: (value: V | null) => V | null,
): Names<V> | null {
  if (names !== null && names.table !== null) {
    const table = changeTable(names.table, name, owner, change)
    return table === null ? null : { list: [], table }
  }
  const list = changeList(names?.list ?? [], name, change)
  if (list.length <= few) return list.length === 0 ? null : { list, table: null }
  let table: TextTable<V> | null = null
  for (const { name: one, value } of list) table = changeTable(table, one, owner, () => value)
  return { list: [], table }
}

export function getName<V>(names: Names<V> | null, name: string): V | null {
  if (names === null) return null
  return names.table === null ? getListed(names.list, name) : getTable(names.table, name, 0, name.length)
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
