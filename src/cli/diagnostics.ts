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
  const first = `${paint.bold(place)}: ${color(one.severity)}: ${one.message} ${paint.dim(`[${one.code}]`)}\n`
  const help = one.help === undefined ? '' : `${one.help.replace(/^/gm, '    ')}\n`
  const example = one.example === undefined ? '' : `    ${paint.dim('for example')} ${JSON.stringify(one.example)}\n`
  return first + help + example
}

/** Text that cannot be read or decoded at all, which stops every command. */
export function isUnreadable(one: Diagnostic): boolean {
  return one.severity === 'error' && /^SP[01]/.test(one.code)
}

/** Text that no parser understood, the only thing that stops `analyze`. */
export function isUnparsable(one: Diagnostic): boolean {
  return one.severity === 'error' && one.code.startsWith('SP0')
}
