import type { Json, Path, Position, SourceDocument } from './document.ts'
import type { LineTable } from './lines.ts'
import type { Locator } from './yaml/locator.ts'
import type { ParsedDocument } from './yaml/stream.ts'

/** A file's text, with what finds places in it. */
export interface SourceText {
  readonly file: string
  readonly lines: LineTable
  readonly locator: Locator
}

/** A document of a text, or one inside a string of such a document (then `prefix` leads to the string). */
export class TextDocument implements SourceDocument {
  readonly index: number
  readonly value: Json
  readonly #source: SourceText
  readonly #place: ParsedDocument
  readonly #prefix: Path

  constructor(source: SourceText, index: number, place: ParsedDocument, value: Json, prefix: Path = []) {
    this.#source = source
    this.index = index
    this.#place = place
    this.value = value
    this.#prefix = prefix
  }

  get file(): string {
    return this.#source.file
  }

  locate(path: Path, at: 'key' | 'value'): Position {
    const { lines, locator } = this.#source
    if (path.length === 0 && this.#prefix.length === 0) return lines.position(this.#place.root)
    return lines.position(locator.offset(this.#place, [...this.#prefix, ...path], at))
  }

  /** The position of a character of the string at `path`. */
  locateInside(path: Path, offset: number): Position {
    const { lines, locator } = this.#source
    return lines.position(locator.offsetInside(this.#place, [...this.#prefix, ...path], offset))
  }

  /** A document that was read from the string at `path`. */
  inner(path: Path, value: Json): TextDocument {
    return new TextDocument(this.#source, this.index, this.#place, value, [...this.#prefix, ...path])
  }
}
