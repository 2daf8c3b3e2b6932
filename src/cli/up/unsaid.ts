import type { Diagnostic } from '../../source/diagnostic.ts'

/** Leaves out the warnings that were said of the files before: each reload would repeat them otherwise. */
export class Unsaid {
  #said: ReadonlySet<string> = new Set()

  /** All errors, and the warnings and notes that are new. */
  select(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
    const before = this.#said
    this.#said = new Set(diagnostics.map(keyOf))
    return diagnostics.filter((one) => one.severity === 'error' || !before.has(keyOf(one)))
  }
}

/** Without the line, which moves. */
function keyOf({ code, file, message }: Diagnostic): string {
  return JSON.stringify([code, file, message])
}
