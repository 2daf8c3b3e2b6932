import type { Code } from '../../source/catalog.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { Json, Path } from '../../source/document.ts'
import { valueAt } from '../../source/value.ts'
import type { Origin } from '../resource.ts'

/** Collects what is wrong with one resource; paths start at the resource's root. */
export class Findings {
  readonly #origin: Origin
  readonly #diagnostics: Diagnostic[]

  constructor(origin: Origin, diagnostics: Diagnostic[]) {
    this.#origin = origin
    this.#diagnostics = diagnostics
  }

  /** Reports at a key. */
  atKey(code: Code, path: Path, message: string, help: string): void {
    this.#report(code, path, 'key', message, help)
  }

  /** Reports at a value. */
  atValue(code: Code, path: Path, message: string, help: string): void {
    this.#report(code, path, 'value', message, help)
  }

  /** What the user wrote, where the decoded form does not tell absent from empty. Null counts as absent. */
  written(path: Path): Json | undefined {
    const value = valueAt(this.#origin.document.value, [...this.#origin.path, ...path])
    return value === null ? undefined : value
  }

  #report(code: Code, path: Path, at: 'key' | 'value', message: string, help: string): void {
    const { document, path: root } = this.#origin
    this.#diagnostics.push(diagnostic(code, { document, path: [...root, ...path], at }, message, { help }))
  }
}
