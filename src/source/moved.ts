import type { Diagnostic } from './diagnostic.ts'

/** A diagnostic of a document that stands so many lines further down than when it was made. */
export function moved(diagnostic: Diagnostic, lines: number): Diagnostic {
  return lines === 0 || diagnostic.line === undefined ? diagnostic : { ...diagnostic, line: diagnostic.line + lines }
}
