import type { TextKey } from './anchor.ts'
import type { Owner } from './owner.ts'
import { changeRadix, getRadix, type RadixNode } from './radix.ts'
import { changeTable, getTable, type TextTable } from './text-table.ts'

/** Values by what a text must look like. Immutable but for its trees' owner. */
export interface TextIndex<V> {
  readonly exact: TextTable<V> | null
  /** By how texts begin. */
  readonly forwards: RadixNode<V> | null
  /** Of reversed texts, for suffixes. */
  readonly backwards: RadixNode<V> | null
  readonly any: V | null
}

export function changeText<V>(
  index: TextIndex<V> | null,
  key: TextKey,
  owner: Owner,
  change: (value: V | null) => V | null,
): TextIndex<V> | null {
  const { exact, forwards, backwards, any } = index ?? NOTHING
  switch (key.shape) {
    case 'exact':
      return made(changeTable(exact, key.text, owner, change), forwards, backwards, any)
    case 'prefix':
      return made(exact, changeRadix(forwards, key.text, owner, change), backwards, any)
    case 'suffix':
      return made(exact, forwards, changeRadix(backwards, reverse(key.text), owner, change), any)
    case 'any':
      return made(exact, forwards, backwards, change(any))
    default:
      return key satisfies never
  }
}

export function getText<V>(index: TextIndex<V> | null, key: TextKey): V | null {
  if (index === null) return null
  switch (key.shape) {
    case 'exact':
      return index.exact === null ? null : getTable(index.exact, key.text, 0, key.text.length)
    case 'prefix':
      return getRadix(index.forwards, key.text)
    case 'suffix':
      return getRadix(index.backwards, reverse(key.text))
    case 'any':
      return index.any
    default:
      return key satisfies never
  }
}

const NOTHING = { exact: null, forwards: null, backwards: null, any: null }

function made<V>(
  exact: TextTable<V> | null,
  forwards: RadixNode<V> | null,
  backwards: RadixNode<V> | null,
  any: V | null,
): TextIndex<V> | null {
  const isEmpty = exact === null && forwards === null && backwards === null && any === null
  return isEmpty ? null : { exact, forwards, backwards, any }
}

/** By UTF-16 unit, as walks go. */
export function reverse(text: string): string {
  let reversed = ''
  for (let i = text.length - 1; i >= 0; i--) reversed += text[i]
  return reversed
}
