import { suggest } from '../source/suggest.ts'
import { parseArguments, unknownOption } from './arguments.ts'
import { COMMON, type Command, type Program, UsageError } from './command.ts'
import { commandHelp, programHelp } from './help.ts'
import { InvalidInput } from './input.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { style } from './style.ts'

/** Runs one command line. Never throws: what goes wrong is said on stderr and in the exit code. */
export async function run(
  argv: readonly string[],
  commands: readonly Command[],
  version: string,
  io: Io,
): Promise<ExitCode> {
  try {
    return await dispatch(argv, { commands, version }, io)
  } catch (error) {
    const paint = style(io.color.stderr && !argv.includes('--no-color'))
    const label = paint.red('error')
    if (error instanceof UsageError) {
      io.stderr(`${label}: ${error.message}\n`)
      if (error.hint !== undefined) io.stderr(`  ${error.hint}\n`)
      io.stderr(
        paint.dim(
          `  see sallyport ${argv[0] !== undefined && isCommand(argv[0], commands) ? `${argv[0]} ` : ''}--help\n`,
        ),
      )
      return EXIT.usage
    }
    if (error instanceof InvalidInput) {
      io.stderr(`${label}: ${error.message}\n`)
      return EXIT.invalid
    }
    io.stderr(`${label}: internal error: ${describe(error, argv)}\n`)
    return EXIT.internal
  }
}

async function dispatch(argv: readonly string[], program: Program, io: Io): Promise<ExitCode> {
  const { commands, version } = program
  const [first, ...rest] = argv
  if (first === undefined) {
    io.stderr(programHelp(commands, version))
    return EXIT.usage
  }
  if (first === '--help' || first === '-h' || first === 'help') {
    const name = rest.find((word) => !word.startsWith('-'))
    io.stdout(name === undefined ? programHelp(commands, version) : commandHelp(findCommand(name, commands)))
    return EXIT.ok
  }
  if (first === '--version') {
    io.stdout(`${version}\n`)
    return EXIT.ok
  }
  if (first.startsWith('-')) throw misplaced(first, commands)
  const command = findCommand(first, commands)
  const args = parseArguments(command, rest)
  if (args.flag('help')) {
    io.stdout(commandHelp(command))
    return EXIT.ok
  }
  return command.run(args, io, program)
}

function findCommand(name: string, commands: readonly Command[]): Command {
  const command = commands.find((one) => one.name === name)
  if (command !== undefined) return command
  const names = commands.map((one) => one.name)
  const close = suggest(name, names)
  const hint = close === null ? `there are: ${names.join(', ')}` : `did you mean \`${close}\`?`
  throw new UsageError(`unknown command \`${name}\``, hint)
}

/** An option where the command should stand: one of some command, or of none. */
function misplaced(word: string, commands: readonly Command[]): UsageError {
  const name = word.replace(/=.*$/, '')
  const known = [...COMMON, ...commands.flatMap((command) => command.options)]
  if (known.some((option) => name === `--${option.name}` || name === `-${option.short}`)) {
    return new UsageError(
      `\`${name}\` stands before the command`,
      'options follow the command: sallyport COMMAND [OPTIONS]',
    )
  }
  return unknownOption(name, [{ name: 'help' }, { name: 'version' }], 'where a command is expected')
}

function isCommand(word: string, commands: readonly Command[]): boolean {
  return commands.some((one) => one.name === word)
}

/** A broken invariant of ours. The stack is for whoever reports it, and asked for with -v. */
function describe(error: unknown, argv: readonly string[]): string {
  if (!(error instanceof Error)) return String(error)
  if (argv.includes('-v') || argv.includes('--verbose')) return error.stack ?? error.message
  return `${error.message}\n  this is a mistake in sallyport: please report it with the output of -v`
}
