import type { Diagnostic } from './diagnostic.ts'
import { diagnostic } from './diagnostic.ts'
import type { Position, SourceDocument } from './document.ts'
import { LineTable } from './lines.ts'
import { TextDocument } from './text-document.ts'
import { Locator } from './yaml/locator.ts'
import type { Problem } from './yaml/problem.ts'
import { parseStream } from './yaml/stream.ts'

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
  const { documents, problems } = parseStream(text)
  const source = { file, lines: new LineTable(text), locator: new Locator(text) }
  return {
    documents: documents.map((parsed, index) => new TextDocument(source, index, parsed, parsed.value)),
    diagnostics: problems.map((problem) => fromProblem(file, problem, source.lines.position(problem.offset))),
  }
}

/** A problem of a text as a diagnostic, once its position is known. */
export function fromProblem(file: string, problem: Problem, at: Position): Diagnostic {
  const extra = problem.help === undefined ? {} : { help: problem.help }
  return diagnostic(problem.code, { file, ...at }, problem.message, extra)
}
