import type { Buffer } from 'node:buffer'
import { textOf } from './reader.ts'

/** A longer name is made anew each time. */
const LONGEST = 32
const SLOTS = 512

/**
 * Names that come in every message, so that each is made a string once. A slot holds the last name that fell into it, so
 * that there are never more than the slots.
 */
export class Names {
  readonly #slots: string[] = new Array(SLOTS).fill('')

  /** The text between `from` and `to`, which must be UTF-8. */
  read(bytes: Buffer, from: number, to: number): string {
    const length = to - from
    if (length > LONGEST || length === 0) return textOf(bytes, from, to)
    let hash = length
    for (let i = from; i < to; i++) hash = (hash * 31 + (bytes[i] as number)) | 0
    const slot = (hash ^ (hash >>> 9)) & (SLOTS - 1)
    const known = this.#slots[slot] as string
    if (known.length === length && same(known, bytes, from)) return known
    const name = textOf(bytes, from, to)
    // Of other names, units are no octets.
    if (name.length === length) this.#slots[slot] = name
    return name
  }
}

function same(name: string, bytes: Buffer, from: number): boolean {
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== bytes[from + i]) return false
  return true
}
