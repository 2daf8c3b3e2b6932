import type { Diagnostic } from '../../source/diagnostic.ts'

/** GitHub workflow commands, which become annotations of a pull request. */
export function github(findings: readonly Diagnostic[]): string {
  return findings.map(annotation).join('')
}

function annotation(one: Diagnostic): string {
  const level = one.severity === 'info' ? 'notice' : one.severity
  const place = [
    `file=${property(one.file)}`,
    ...(one.line === undefined ? [] : [`line=${one.line}`, `col=${one.column}`]),
    `title=${property(one.code)}`,
  ]
  const message = one.help === undefined ? one.message : `${one.message}\n${one.help}`
  return `::${level} ${place.join(',')}::${data(message)}\n`
}

function data(text: string): string {
  return text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A')
}

function property(text: string): string {
  return data(text).replace(/:/g, '%3A').replace(/,/g, '%2C')
}
