import type { Scalar } from 'yaml'
import { isMap, isSeq } from 'yaml'
import type { Path, Position } from '../document.ts'
import { LineTable } from '../lines.ts'
import type { Tree } from './compose.ts'
import { compose } from './compose.ts'
import { find } from './find.ts'
import { outerOffset } from './inner-text.ts'
import { split } from './split.ts'

/** The part of a text that holds one document. */
export interface ChunkText {
  readonly text: string
}

interface Visited {
  readonly chunk: ChunkText
  readonly lines: LineTable
  tree: Tree | null
}

/**
 * Finds places in documents again. A document is parsed once more when somebody asks, and the last one asked for is
 * remembered, since questions come in runs. Offsets and positions count within the document's own text.
 */
export class Locator {
  #last: Visited | null = null
  #lastInner: { readonly scalar: Scalar.Parsed; readonly inner: Inner | null } | null = null

  position(chunk: ChunkText, offset: number): Position {
    return this.#visit(chunk).lines.position(offset)
  }

  /** The offset of the key or the value at `path`, which may lead on into YAML text inside a string. */
  offset(chunk: ChunkText, path: Path, at: 'key' | 'value'): number {
    const found = find(this.#tree(chunk), path)
    const inner = found.scalar === null || found.rest.length === 0 ? null : this.#inner(found.scalar)
    if (inner === null || found.scalar === null) return found[at]
    const offset = inner.start + inner.locator.offset(inner, found.rest, at)
    return outerOffset(chunk.text, found.scalar, offset)
  }

  /** The offset of a character of the string at `path`. */
  offsetInside(chunk: ChunkText, path: Path, inner: number): number {
    const found = find(this.#tree(chunk), path)
    if (found.scalar === null) return found.value
    if (found.rest.length === 0) return outerOffset(chunk.text, found.scalar, inner)
    const nested = this.#inner(found.scalar)
    if (nested === null) return found.value
    const offset = nested.start + nested.locator.offsetInside(nested, found.rest, inner)
    return outerOffset(chunk.text, found.scalar, offset)
  }

  #visit(chunk: ChunkText): Visited {
    if (this.#last?.chunk !== chunk) this.#last = { chunk, lines: new LineTable(chunk.text), tree: null }
    return this.#last
  }

  #tree(chunk: ChunkText): Tree {
    const visited = this.#visit(chunk)
    visited.tree ??= compose(chunk.text)
    return visited.tree
  }

  #inner(scalar: Scalar.Parsed): Inner | null {
    if (this.#lastInner?.scalar !== scalar) this.#lastInner = { scalar, inner: innerDocument(scalar.source) }
    return this.#lastInner.inner
  }
}

interface Inner extends ChunkText {
  readonly locator: Locator
  /** Where it starts in the string. */
  readonly start: number
}

/** The first document of a string, if it is one with places to find. */
function innerDocument(text: string): Inner | null {
  for (const { start, end } of split(text)) {
    const chunk = text.slice(start, end)
    const { root } = compose(chunk)
    if (root !== null && (isMap(root) || isSeq(root))) return { locator: new Locator(), text: chunk, start }
  }
  return null
}
