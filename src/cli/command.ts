import type { ExitCode, Io } from './io.ts'

export interface Option {
  readonly name: string
  readonly short?: string
  /** The placeholder of its value; a flag has none. */
  readonly value?: string
  /** May be given more than once. */
  readonly repeats?: true
  /** The only values that it takes. */
  readonly choices?: readonly string[]
  /** Its value is a path; `-` is then standard input, except for a folder. */
  readonly path?: 'file' | 'folder' | 'fileOrFolder'
  readonly help: string
}

export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Usage lines, without the program's name. */
  readonly usage: readonly string[]
  /** What the command is for, in a few sentences. */
  readonly description: string
  readonly options: readonly Option[]
  /** Null when there are none. */
  readonly positionals: Positionals | null
  /** Commands to try in a clone, each with what it shows. */
  readonly examples: readonly (readonly [command: string, shows: string])[]
  readonly run: (args: Args, io: Io, program: Program) => Promise<ExitCode>
}

/** What positional arguments are: paths, or one of a few words. */
export type Positionals =
  | { readonly kind: 'paths'; readonly name: string }
  | { readonly kind: 'word'; readonly name: string; readonly choices: readonly string[] }

/** What runs: its version and all of its commands. */
export interface Program {
  readonly version: string
  readonly commands: readonly Command[]
}

/** Parsed arguments. Unknown names were refused before. */
export interface Args {
  readonly positionals: readonly string[]
  /** The value given, or undefined. */
  value(name: string): string | undefined
  /** Every value given, in order. */
  values(name: string): readonly string[]
  flag(name: string): boolean
}

/** A mistake in how a command was called: exit code 2. */
export class UsageError extends Error {
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

/** Options that every command has. */
export const COMMON: readonly Option[] = [
  { name: 'no-color', help: 'never write colour (as NO_COLOR in the environment)' },
  { name: 'verbose', short: 'v', help: 'also say what was skipped or assumed' },
  { name: 'help', short: 'h', help: 'show this help' },
]

export const FILE: Option = {
  name: 'file',
  short: 'f',
  value: 'PATH',
  repeats: true,
  path: 'fileOrFolder',
  help: 'a YAML or JSON file, a folder of them, or - for standard input; may be repeated',
}

export const NAMESPACE: Option = {
  name: 'namespace',
  short: 'n',
  value: 'NS',
  help: 'the namespace of resources and workloads that name none (default: default)',
}
