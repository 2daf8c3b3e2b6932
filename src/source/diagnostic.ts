import type { Code } from './catalog.ts'
import { catalog } from './catalog.ts'
import { conceal } from './conceal.ts'
import type { Path, SourceDocument } from './document.ts'

export type Severity = 'error' | 'warning' | 'info'

/**
 * One problem in a user's file. Diagnostics are data: producing one never stops the work, so that a single run
 * reports all of them.
 *
 * `line` and `column` count from 1 and point at the offending key, at the item itself in a list, and at the mapping that
 * lacks it for a missing field. They are absent only where there is no text to point at (a file that cannot be read).
 */
export interface Diagnostic {
  readonly code: Code
  readonly severity: Severity
  readonly file: string
  readonly line?: number
  readonly column?: number
  /** What is wrong: lower case, no final period, the user's own words in backticks. */
  readonly message: string
  /** What to write instead. */
  readonly help?: string
  /** A request that shows the effect, in the format of `sallyport explain`. */
  readonly example?: unknown
}

/** Where a diagnostic points: a place inside a document, or a whole file. */
export type Place =
  | { readonly document: SourceDocument; readonly path: Path }
  | { readonly file: string; readonly line?: number; readonly column?: number }

/** Builds a diagnostic with the severity that the catalog gives its code. */
export function diagnostic(
  code: Code,
  place: Place,
  message: string,
  extra: { readonly help?: string; readonly example?: unknown } = {},
): Diagnostic {
  const at = 'document' in place ? place.document.locate(place.path, 'key') : place
  const file = 'document' in place ? place.document.file : place.file
  return {
    code,
    severity: catalog[code].severity,
    file,
    ...(at.line === undefined ? {} : { line: at.line }),
    ...(at.column === undefined ? {} : { column: at.column }),
    message: conceal(clip(message)),
    ...(extra.help === undefined ? extra : { ...extra, help: conceal(clip(extra.help)) }),
  }
}

/** A message repeats a user's words, which can be a megabyte; beginning and end say what is wrong with them. */
const LONGEST = 2000
const KEPT_AT_END = 400

function clip(text: string): string {
  if (text.length <= LONGEST) return text
  return `${text.slice(0, LONGEST - KEPT_AT_END)} .. ${text.slice(-KEPT_AT_END)}`
}
