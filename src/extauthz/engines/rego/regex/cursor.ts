import { RegexError } from './syntax.ts'

/** A place in the text of a regular expression, character by character. */
export class Cursor {
  readonly #chars: readonly string[]
  #at = 0

  constructor(text: string) {
    this.#chars = [...text]
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#chars.length
  }

  /** To come back to with `back`. */
  get mark(): number {
    return this.#at
  }

  back(mark: number): void {
    this.#at = mark
  }

  /** The character here, or one further on; empty at the end. */
  peek(further = 0): string {
    return this.#chars[this.#at + further] ?? ''
  }

  next(): string {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw new RegexError('the expression ends early')
    return char
  }

  take(char: string): boolean {
    if (this.#chars[this.#at] !== char) return false
    this.#at++
    return true
  }

  /** Goes past a text if it stands here. */
  takeText(text: string): boolean {
    const chars = [...text]
    if (!chars.every((char, i) => this.#chars[this.#at + i] === char)) return false
    this.#at += chars.length
    return true
  }

  /** What stands before the next of these texts, going past both; null when there is none. */
  takeUntil(text: string): string | null {
    const [first = '', second] = text
    for (let end = this.#at; end < this.#chars.length; end++) {
      if (this.#chars[end] !== first || (second !== undefined && this.#chars[end + 1] !== second)) continue
      const before = this.#chars.slice(this.#at, end).join('')
      this.#at = end + text.length
      return before
    }
    return null
  }
}
