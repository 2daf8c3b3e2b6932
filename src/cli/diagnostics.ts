import type { Diagnostic } from '../source/diagnostic.ts'
import type { Style } from './style.ts'

/** Errors before warnings before notes, then by file and place. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const rank = { error: 0, warning: 1, info: 2 }
  return [...diagnostics].sort(
    (a, b) =>
      (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0) ||
      rank[a.severity] - rank[b.severity],
  )
}

/** `file:line:column: severity: message [code]` and, below it, what to write instead. */
export function printDiagnostic(one: Diagnostic, paint: Style): string {
  const color = one.severity === 'error' ? paint.red : one.severity === 'warning' ? paint.yellow : paint.cyan
  const place = one.line === undefined ? one.file : `${one.file}:${one.line}:${one.column}`
  const first = `${paint.bold(visible(place))}: ${color(one.severity)}: ${visible(one.message)} ${paint.dim(`[${one.code}]`)}\n`
  const help = one.help === undefined ? '' : `${one.help.split('\n').map(visible).join('\n').replace(/^/gm, '    ')}\n`
  const example = one.example === undefined ? '' : `    ${paint.dim('for example')} ${JSON.stringify(one.example)}\n`
  return first + help + example
}

/** A user's words can hold what would move the cursor, end the line, or turn the direction of the text. */
function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Text that cannot be read or decoded at all, which stops every command. */
export function isUnreadable(one: Diagnostic): boolean {
  return one.severity === 'error' && /^SP[01]/.test(one.code)
}

/** Text that no parser understood, the only thing that stops `analyze`. */
export function isUnparsable(one: Diagnostic): boolean {
  return one.severity === 'error' && one.code.startsWith('SP0')
}
