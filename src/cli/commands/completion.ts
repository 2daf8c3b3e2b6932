import { type Args, type Command, type Program, UsageError } from '../command.ts'
import { bash } from '../completion/bash.ts'
import { fish } from '../completion/fish.ts'
import { zsh } from '../completion/zsh.ts'
import { EXIT, type ExitCode, type Io } from '../io.ts'

const shells: Readonly<Record<string, (program: Program) => string>> = { bash, zsh, fish }

export const completion: Command = {
  name: 'completion',
  summary: 'print a completion script for a shell',
  description:
    'Prints a script that completes commands, options, their values and files. Source it where the shell starts.',
  usage: ['completion bash|zsh|fish'],
  positionals: { kind: 'word', name: 'SHELL', choices: Object.keys(shells) },
  options: [],
  examples: [
    ['source <(sallyport completion bash)', 'in ~/.bashrc; for zsh the same with zsh, in ~/.zshrc'],
    ['sallyport completion fish > ~/.config/fish/completions/sallyport.fish', 'once, for fish'],
  ],
  run,
}

async function run(args: Args, io: Io, program: Program): Promise<ExitCode> {
  const [shell] = args.positionals
  const print = shell === undefined ? undefined : shells[shell]
  if (print === undefined) throw new UsageError('no shell', `one of ${Object.keys(shells).join(', ')}`)
  io.stdout(print(program))
  return EXIT.ok
}
