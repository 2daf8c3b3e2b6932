import { suggest } from '../source/suggest.ts'
import { parseArguments } from './arguments.ts'
import { type Command, UsageError } from './command.ts'
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
    return await dispatch(argv, commands, version, io)
  } catch (error) {
    const paint = style(io.color.stderr)
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
    io.stderr(`${label}: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    return EXIT.internal
  }
}

async function dispatch(
  argv: readonly string[],
  commands: readonly Command[],
  version: string,
  io: Io,
): Promise<ExitCode> {
  const [first, ...rest] = argv
  if (first === undefined) {
    io.stderr(programHelp(commands, version))
    return EXIT.usage
  }
  if (first === '--help' || first === '-h' || first === 'help') {
    const command = commands.find((one) => one.name === rest[0])
    io.stdout(command === undefined ? programHelp(commands, version) : commandHelp(command))
    return EXIT.ok
  }
  if (first === '--version') {
    io.stdout(`${version}\n`)
    return EXIT.ok
  }
  const command = commands.find((one) => one.name === first)
  if (command === undefined) {
    const close = suggest(
      first,
      commands.map((one) => one.name),
    )
    throw new UsageError(`unknown command \`${first}\``, close === null ? undefined : `did you mean \`${close}\`?`)
  }
  const args = parseArguments(command, rest)
  if (args.flag('help')) {
    io.stdout(commandHelp(command))
    return EXIT.ok
  }
  return command.run(args, io)
}

function isCommand(word: string, commands: readonly Command[]): boolean {
  return commands.some((one) => one.name === word)
}
