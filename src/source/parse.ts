import type { Diagnostic } from './diagnostic.ts'
import type { SourceDocument } from './document.ts'
import { SourceFile } from './source-file.ts'

export interface Parsed {
  /** The documents that could be read, without the empty ones. */
  readonly documents: SourceDocument[]
  readonly diagnostics: Diagnostic[]
}

/**
 * Parses a file's text, YAML or JSON, of any number of documents, as Kubernetes reads it (YAML 1.1 booleans and octal
 * numbers; duplicate keys refused). Never throws: what cannot be read becomes SP002 or, beyond the limits, SP003, and
 * the other documents of the text still come out.
 */
export function parseSource(file: string, text: string): Parsed {
  return new SourceFile(file).parse(text)
}
