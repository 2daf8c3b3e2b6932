import type { CharTest } from './char-test.ts'

/** Where a match may begin or end without taking a character. */
export type Place = 'textStart' | 'textEnd' | 'lineStart' | 'lineEnd' | 'wordBoundary' | 'noWordBoundary'

/** A regular expression of RE2, which is what Go and OPA understand. */
export type Expression =
  | { readonly kind: 'empty' }
  | { readonly kind: 'char'; readonly test: CharTest }
  | { readonly kind: 'place'; readonly place: Place }
  | { readonly kind: 'group'; readonly index: number; readonly inner: Expression }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  | {
      readonly kind: 'repeat'
      readonly inner: Expression
      readonly least: number
      /** Null for any number. */
      readonly most: number | null
      readonly greedy: boolean
    }

export interface ParsedRegex {
  readonly expression: Expression
  /** Of each group, the whole match first; empty where a group has no name. */
  readonly names: readonly string[]
}

/** The text is no regular expression. */
export class RegexError extends Error {}
