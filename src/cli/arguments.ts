import { suggest } from '../source/suggest.ts'
import { type Args, COMMON, type Command, type Option, UsageError } from './command.ts'

/**
 * Reads a command's arguments: `--name value`, `--name=value`, `-f value`, `-fvalue`, and `--` before positionals that
 * start with a dash. Throws UsageError, with a suggestion for a misspelt option.
 */
export function parseArguments(command: Command, argv: readonly string[]): Args {
  const options = [...command.options, ...COMMON]
  const values = new Map<string, string[]>()
  const positionals: string[] = []
  let rest = false
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string
    if (rest || word === '-' || !word.startsWith('-')) {
      positionals.push(word)
      continue
    }
    if (word === '--') {
      rest = true
      continue
    }
    const { option, inline } = readOption(command, options, word)
    const given = values.get(option.name) ?? []
    if (option.value === undefined) {
      if (inline !== null) throw new UsageError(`--${option.name} takes no value`)
      given.push('')
    } else {
      const next = inline ?? argv[++i]
      if (next === undefined) throw new UsageError(`--${option.name} needs a value: --${option.name} ${option.value}`)
      if (given.length > 0 && option.repeats === undefined) throw new UsageError(`--${option.name} was given twice`)
      given.push(next)
    }
    values.set(option.name, given)
  }
  if (command.positionals === null && positionals.length > 0 && !values.has('help')) {
    throw new UsageError(`unexpected argument \`${positionals[0]}\``, 'files are given with -f PATH')
  }
  return {
    positionals,
    value: (name) => values.get(name)?.at(-1),
    values: (name) => values.get(name) ?? [],
    flag: (name) => values.has(name),
  }
}

function readOption(command: Command, options: readonly Option[], word: string) {
  if (word.startsWith('--')) {
    const equals = word.indexOf('=')
    const name = equals === -1 ? word.slice(2) : word.slice(2, equals)
    const option = options.find((one) => one.name === name)
    if (option !== undefined) return { option, inline: equals === -1 ? null : word.slice(equals + 1) }
    const close = suggest(
      name,
      options.map((one) => one.name),
    )
    throw new UsageError(
      `unknown option \`--${name}\` of \`${command.name}\``,
      close === null ? undefined : `did you mean --${close}?`,
    )
  }
  const option = options.find((one) => one.short === word[1])
  if (option === undefined) throw new UsageError(`unknown option \`${word.slice(0, 2)}\` of \`${command.name}\``)
  return { option, inline: word.length === 2 ? null : word.slice(2).replace(/^=/, '') }
}
