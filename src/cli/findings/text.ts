import type { Diagnostic } from '../../source/diagnostic.ts'
import { printDiagnostic } from '../diagnostics.ts'
import type { Style } from '../style.ts'

/** For people: each finding with what to write instead, and a count. */
export function text(findings: readonly Diagnostic[], paint: Style): string {
  const count = (severity: Diagnostic['severity']) => findings.filter((one) => one.severity === severity).length
  const parts = [plural(count('error'), 'error'), plural(count('warning'), 'warning')]
  if (count('info') > 0) parts.push(plural(count('info'), 'note'))
  const summary = findings.length === 0 ? 'nothing found' : parts.join(', ')
  return `${findings.map((one) => printDiagnostic(one, paint)).join('')}${paint.bold(summary)}\n`
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
