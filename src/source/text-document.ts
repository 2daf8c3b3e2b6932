import type { Json, Path, Position, SourceDocument } from './document.ts'
import type { ChunkText, Locator } from './yaml/locator.ts'

/** The part of a file that holds one document. */
export interface FilePart extends ChunkText {
  readonly file: string
  /** Line ends in it. */
  readonly lines: number
  /** Its offset in the file, and the lines before it: what changes when something before it does. */
  start: number
  linesBefore: number
}

/** A document of a file, or one inside a string of such a document (then `prefix` leads to the string). */
export class TextDocument implements SourceDocument {
  readonly value: Json
  readonly #part: FilePart
  readonly #locator: Locator
  /** The offset of its content. */
  readonly #root: number
  readonly #prefix: Path

  constructor(part: FilePart, locator: Locator, root: number, value: Json, prefix: Path = []) {
    this.#part = part
    this.#locator = locator
    this.#root = root
    this.value = value
    this.#prefix = prefix
  }

  get file(): string {
    return this.#part.file
  }

  get linesBefore(): number {
    return this.#part.linesBefore
  }

  locate(path: Path, at: 'key' | 'value'): Position {
    if (path.length === 0 && this.#prefix.length === 0) return this.#position(this.#root)
    return this.#position(this.#locator.offset(this.#part, [...this.#prefix, ...path], at))
  }

  /** The position of a character of the string at `path`. */
  locateInside(path: Path, offset: number): Position {
    return this.#position(this.#locator.offsetInside(this.#part, [...this.#prefix, ...path], offset))
  }

  /** A document that was read from the string at `path`. */
  inner(path: Path, value: Json): TextDocument {
    return new TextDocument(this.#part, this.#locator, this.#root, value, [...this.#prefix, ...path])
  }

  #position(offset: number): Position {
    return inFile(this.#part, this.#locator.position(this.#part, offset))
  }
}

/** A position in a part as one in its file. */
export function inFile({ linesBefore }: FilePart, { line, column }: Position): Position {
  return { line: linesBefore + line, column }
}
