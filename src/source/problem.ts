import type { Diagnostic } from './diagnostic.ts'
import { diagnostic } from './diagnostic.ts'
import type { Position } from './document.ts'
import type { Problem } from './yaml/problem.ts'

/** A problem of a text as a diagnostic, once its position is known. */
export function fromProblem(file: string, problem: Problem, at: Position): Diagnostic {
  const extra = problem.help === undefined ? {} : { help: problem.help }
  return diagnostic(problem.code, { file, ...at }, problem.message, extra)
}
