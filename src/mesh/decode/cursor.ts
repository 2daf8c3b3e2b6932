import type { Code } from '../../source/catalog.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Json, Path, SourceDocument } from '../../source/document.ts'
import type { Shape } from './shape.ts'

/** What one document's decoding shares: where diagnostics go, and the shape of the whole resource. */
export interface Decoding {
  readonly document: SourceDocument
  readonly diagnostics: Diagnostic[]
  readonly shape: Shape
}

/** A value on its way through the decoders, with the way that led to it. */
export class Cursor {
  readonly value: Json
  readonly decoding: Decoding
  readonly #parent: Cursor | null
  readonly #step: string | number

  private constructor(value: Json, decoding: Decoding, parent: Cursor | null, step: string | number) {
    this.value = value
    this.decoding = decoding
    this.#parent = parent
    this.#step = step
  }

  /** A cursor at `path`, which must exist; `value` stands there. */
  static at(value: Json, path: Path, decoding: Decoding): Cursor {
    let cursor = new Cursor(value, decoding, null, '')
    for (const step of path) cursor = new Cursor(value, decoding, cursor, step)
    return cursor
  }

  child(step: string | number, value: Json): Cursor {
    return new Cursor(value, this.decoding, this, step)
  }

  /** The innermost key, or null in a list or at the root. */
  get key(): string | null {
    return typeof this.#step === 'string' && this.#parent !== null ? this.#step : null
  }

  get path(): Path {
    const path: (string | number)[] = []
    for (let at: Cursor = this; at.#parent !== null; at = at.#parent) path.unshift(at.#step)
    return path
  }

  /** Reports a problem at this value's key, or at the value itself where it stands in a list. */
  report(code: Code, message: string, options: { readonly help?: string } = {}): void {
    const place = { document: this.decoding.document, path: this.path }
    this.decoding.diagnostics.push(diagnostic(code, place, message, options))
  }
}
