import type { Code } from '../../source/catalog.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Json, Path } from '../../source/document.ts'
import { valueAt } from '../../source/value.ts'
import type { Origin } from '../resource.ts'

/** What a cluster's API server refuses by the schema of the kind, and Istio's own validation does not. */
export function bySchema(message: string): string {
  return `refused by the API server: ${message}`
}

/** Collects what is wrong with one resource; paths start at the resource's root. */
export class Findings {
  readonly #origin: Origin
  readonly #diagnostics: Diagnostic[]

  constructor(origin: Origin, diagnostics: Diagnostic[]) {
    this.#origin = origin
    this.#diagnostics = diagnostics
  }

  /** Whether a mapping has another field than these: a misspelt one, reported as such, may be the one that is missing. */
  hasOther(path: Path, fields: readonly string[]): boolean {
    const value = this.written(path)
    return value !== null && typeof value === 'object' && Object.keys(value).some((field) => !fields.includes(field))
  }

  /** Reports at a key, or at an item of a list. */
  report(code: Code, path: Path, message: string, help: string): void {
    const { document, path: root } = this.#origin
    this.#diagnostics.push(diagnostic(code, { document, path: [...root, ...path] }, message, { help }))
  }

  /** What the user wrote, where the decoded form does not tell absent from empty. Null counts as absent. */
  written(path: Path): Json | undefined {
    const value = valueAt(this.#origin.document.value, [...this.#origin.path, ...path])
    return value === null ? undefined : value
  }
}
