import { COMMON, type Command, type Option } from './command.ts'

/** The whole program's help. */
export function programHelp(commands: readonly Command[], version: string): string {
  return [
    `sallyport ${version}: Istio's authorization, run, served and explained, with or without a mesh`,
    '',
    'Usage: sallyport COMMAND [OPTIONS]',
    '',
    'Commands:',
    ...table(commands.map((command) => [command.name, command.summary])),
    '',
    'Options:',
    ...table([
      ['--help', 'show help, also after a command'],
      ['--version', 'show the version'],
    ]),
    '',
    'Exit codes: 0 fine, 1 findings or failed cases, 2 usage, 3 unreadable or invalid input, 4 internal error.',
    '',
    'Examples, which run in a clone of the project:',
    ...commands.flatMap(({ examples }) => examples.slice(0, 1).map(([line]) => `  ${line}`)),
    '',
  ].join('\n')
}

export function commandHelp(command: Command): string {
  return [
    command.description,
    '',
    'Usage:',
    ...command.usage.map((line) => `  sallyport ${line}`),
    '',
    'Options:',
    ...table([...command.options, ...COMMON].map((option) => [optionTerm(option), option.help])),
    '',
    'Examples, which run in a clone of the project:',
    ...command.examples.flatMap(([line, shows]) => [`  # ${shows}`, `  ${line}`, '']),
  ].join('\n')
}

function optionTerm(option: Option): string {
  const short = option.short === undefined ? '    ' : `-${option.short}, `
  return `${short}--${option.name}${option.value === undefined ? '' : ` ${option.value}`}`
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([term]) => term.length))
  return rows.map(([term, text]) => `  ${term.padEnd(width)}  ${text}`)
}
