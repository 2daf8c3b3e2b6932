import type { Scalar } from 'yaml'
import { isMap, isSeq } from 'yaml'
import type { Path } from '../document.ts'
import type { Tree } from './compose.ts'
import { compose } from './compose.ts'
import { find } from './find.ts'
import { outerOffset } from './inner-text.ts'
import type { Chunk } from './split.ts'
import { split } from './split.ts'

/**
 * Finds places in a text again. A document is parsed once more when somebody asks, and the last one asked for is
 * remembered, since questions come in runs.
 */
export class Locator {
  readonly #text: string
  #last: { readonly start: number; readonly text: string; readonly tree: Tree } | null = null
  #lastInner: { readonly scalar: Scalar.Parsed; readonly inner: Inner | null } | null = null

  constructor(text: string) {
    this.#text = text
  }

  /** The offset of the key or the value at `path`, which may lead on into YAML text inside a string. */
  offset(chunk: Chunk, path: Path, at: 'key' | 'value'): number {
    const { text, tree } = this.#document(chunk)
    const found = find(tree, path)
    const inner = found.scalar === null || found.rest.length === 0 ? null : this.#inner(found.scalar)
    if (inner === null || found.scalar === null) return chunk.start + found[at]
    return chunk.start + outerOffset(text, found.scalar, inner.locator.offset(inner.chunk, found.rest, at))
  }

  /** The offset of a character of the string at `path`. */
  offsetInside(chunk: Chunk, path: Path, inner: number): number {
    const { text, tree } = this.#document(chunk)
    const found = find(tree, path)
    if (found.scalar === null) return chunk.start + found.value
    if (found.rest.length === 0) return chunk.start + outerOffset(text, found.scalar, inner)
    const nested = this.#inner(found.scalar)
    if (nested === null) return chunk.start + found.value
    const offset = nested.locator.offsetInside(nested.chunk, found.rest, inner)
    return chunk.start + outerOffset(text, found.scalar, offset)
  }

  #document(chunk: Chunk): { readonly text: string; readonly tree: Tree } {
    if (this.#last?.start !== chunk.start) {
      const text = this.#text.slice(chunk.start, chunk.end)
      this.#last = { start: chunk.start, text, tree: compose(text) }
    }
    return this.#last
  }

  #inner(scalar: Scalar.Parsed): Inner | null {
    if (this.#lastInner?.scalar !== scalar) this.#lastInner = { scalar, inner: innerDocument(scalar.source) }
    return this.#lastInner.inner
  }
}

interface Inner {
  readonly locator: Locator
  readonly chunk: Chunk
}

/** The first document of a string, if it is one with places to find. */
function innerDocument(text: string): Inner | null {
  for (const chunk of split(text)) {
    const { root } = compose(text.slice(chunk.start, chunk.end))
    if (root !== null && (isMap(root) || isSeq(root))) return { locator: new Locator(text), chunk }
  }
  return null
}
