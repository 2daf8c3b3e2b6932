import type { RegoValue } from '../value.ts'

/** What lasts for one evaluation of a policy. */
export interface Query {
  /** Nanoseconds since the epoch, the same throughout. */
  readonly now: bigint
  /** Whatever a built-in must answer twice alike, such as a random number: by the built-in and its arguments. */
  readonly drawn: Map<string, RegoValue>
  /** Takes what the policy prints. */
  readonly print: (text: string) => void
}

export type Arguments = readonly RegoValue[]

/**
 * A built-in function of Rego. Undefined is Rego's undefined; so is a thrown `BuiltinError`, as in OPA unless it is told
 * to be strict. A `Halt`, or anything else that is thrown, ends the evaluation.
 */
export type Builtin = (args: Arguments, query: Query) => RegoValue | undefined

export type Builtins = Readonly<Record<string, Builtin>>

/** The built-in cannot answer for these arguments. Its message is for tests and debugging; it may quote an argument. */
export class BuiltinError extends Error {}

/** The evaluation cannot go on: a limit is reached. Its message is logged, and quotes nothing of the input. */
export class Halt extends Error {}
