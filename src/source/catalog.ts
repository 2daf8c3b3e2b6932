import type { Severity } from './diagnostic.ts'

interface Entry {
  readonly severity: Severity
  /** One line for `docs/diagnostics.md`. */
  readonly title: string
}

function entry(severity: Severity, title: string): Entry {
  return { severity, title }
}

/**
 * Every diagnostic that the product can print. Codes are stable: a retired one stays listed and is never used for
 * something else. SP0xx text, SP1xx decoding, SP2xx Istio's validation, SP3xx the mesh as a whole, SP4xx analysis.
 */
export const catalog = {
  SP001: entry('error', 'a file or folder cannot be read'),
  SP002: entry('error', 'a document is not valid YAML or JSON'),
  SP003: entry('error', 'a document or file is larger or deeper than the limits'),
  SP101: entry('error', 'a document is no object with apiVersion and kind'),
  SP102: entry('error', 'a kind is misspelt'),
  SP103: entry('error', 'a field is unknown'),
  SP104: entry('error', 'a value has the wrong type'),
  SP105: entry('error', 'a required field is missing'),
  SP106: entry('error', 'a value is not one of those allowed'),
  SP107: entry('error', 'an API version is not one that Istio accepts for the kind'),
  SP108: entry('info', 'a kind is not used and was skipped'),
  SP109: entry('error', 'two documents declare the same resource with different contents'),
  SP110: entry('info', 'a resource is declared twice with the same contents'),
  SP111: entry('error', 'two unrelated workloads have one name'),
} as const satisfies Record<string, Entry>

export type Code = keyof typeof catalog
