import type { TextKey } from './anchor.ts'
import type { Owner } from './owner.ts'
import { changeRadix, getRadix, type RadixNode } from './radix.ts'

/** Values by what a text must look like. Immutable but for its trees' owner. */
export interface TextIndex<V> {
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
  const { forwards, backwards, any } = index ?? { forwards: null, backwards: null, any: null }
  switch (key.shape) {
    case 'exact':
      return made(changeRadix(forwards, key.text, 'exact', owner, change), backwards, any)
    case 'prefix':
      return made(changeRadix(forwards, key.text, 'open', owner, change), backwards, any)
    case 'suffix':
      return made(forwards, changeRadix(backwards, reverse(key.text), 'open', owner, change), any)
    case 'any':
      return made(forwards, backwards, change(any))
    default:
      return key satisfies never
  }
}

export function getText<V>(index: TextIndex<V> | null, key: TextKey): V | null {
  if (index === null) return null
  switch (key.shape) {
    case 'exact':
      return getRadix(index.forwards, key.text, 'exact')
    case 'prefix':
      return getRadix(index.forwards, key.text, 'open')
    case 'suffix':
      return getRadix(index.backwards, reverse(key.text), 'open')
    case 'any':
      return index.any
    default:
      return key satisfies never
  }
}

function made<V>(forwards: RadixNode<V> | null, backwards: RadixNode<V> | null, any: V | null): TextIndex<V> | null {
  return forwards === null && backwards === null && any === null ? null : { forwards, backwards, any }
}

/** By UTF-16 unit, as walks go. */
export function reverse(text: string): string {
  let reversed = ''
  for (let i = text.length - 1; i >= 0; i--) reversed += text[i]
  return reversed
}
