import { catalog } from '../../source/catalog.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'

const levels = { error: 'error', warning: 'warning', info: 'note' } as const

/** SARIF 2.1.0, what code scanners read. */
export function sarif(findings: readonly Diagnostic[], version: string): object {
  const codes = [...new Set(findings.map((one) => one.code))]
  const rules = codes.map((id) => ({
    id,
    shortDescription: { text: catalog[id].title },
    defaultConfiguration: { level: levels[catalog[id].severity] },
  }))
  const results = findings.map((one) => ({
    ruleId: one.code,
    ruleIndex: codes.indexOf(one.code),
    level: levels[one.severity],
    message: { text: one.help === undefined ? one.message : `${one.message}\n${one.help}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uriOf(one.file) },
          ...(one.line === undefined ? {} : { region: { startLine: one.line, startColumn: one.column ?? 1 } }),
        },
      },
    ],
  }))
  const driver = { name: 'sallyport', version, rules }
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }],
  }
}

/** A relative reference for a relative path, so that a scanner finds it in the repository. */
function uriOf(file: string): string {
  const path = encodeURI(file).replace(/[?#]/g, encodeURIComponent)
  if (path.startsWith('/')) return `file://${path}`
  // A colon in the first segment would make it a scheme (RFC 3986, 4.2).
  return /^[^/]*:/.test(path) ? `./${path}` : path
}
