import { suggest } from '../source/suggest.ts'
import { type Args, COMMON, type Command, type Option, UsageError } from './command.ts'

/**
 * Reads a command's arguments: `--name value`, `--name=value`, `-f value`, `-fvalue`, and `--` before positionals that
 * start with a dash. Throws UsageError, with a suggestion for a misspelt option or value.
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
      if (given.length > 0 && option.repeats === undefined) throw new UsageError(`--${option.name} was given twice`)
      given.push(checked(option, inline ?? following(options, option, argv[++i])))
    }
    values.set(option.name, given)
  }
  if (!values.has('help')) {
    checkPositionals(command, positionals)
    checkStandardInput(command, positionals, values)
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
    throw unknownOption(`--${name}`, options, `of \`${command.name}\``)
  }
  const option = options.find((one) => one.short === word[1])
  if (option === undefined) throw unknownOption(word.slice(0, 2), options, `of \`${command.name}\``)
  return { option, inline: word.length === 2 ? null : word.slice(2).replace(/^=/, '') }
}

/** With a suggestion for a long one. */
export function unknownOption(word: string, options: readonly Pick<Option, 'name'>[], where: string): UsageError {
  const names = options.map((one) => one.name)
  const close = word.startsWith('--') ? suggest(word.slice(2), names) : null
  return new UsageError(`unknown option \`${word}\` ${where}`, close === null ? undefined : `did you mean --${close}?`)
}

/** The next word, unless it is the next option: then the value was forgotten. */
function following(options: readonly Option[], { name, value }: Option, next: string | undefined): string {
  const isOption = options.some((one) => next === `--${one.name}` || next === `-${one.short}`)
  if (next === undefined || isOption) throw new UsageError(`--${name} needs a value: --${name} ${value}`)
  return next
}

function checked({ name, choices, path, value }: Option, text: string): string {
  if (path !== undefined && text === '') throw new UsageError(`--${name} needs a value: --${name} ${value}`)
  if (choices === undefined || choices.includes(text)) return text
  throw unknownWord(`--${name}`, text, choices)
}

function unknownWord(where: string, text: string, choices: readonly string[]): UsageError {
  const close = suggest(text, choices)
  const hint = close === null ? `one of ${choices.join(', ')}` : `did you mean \`${close}\`?`
  return new UsageError(`${where}: \`${text}\` is not one of those that there are`, hint)
}

function checkPositionals({ positionals: wanted }: Command, given: readonly string[]): void {
  const [first, second] = given
  if (first === undefined) return
  if (wanted === null) throw new UsageError(`unexpected argument \`${first}\``, 'files are given with -f PATH')
  if (wanted.kind === 'paths') {
    if (given.includes('')) throw new UsageError('an empty path')
    return
  }
  if (!wanted.choices.includes(first)) throw unknownWord(wanted.name, first, wanted.choices)
  if (second !== undefined) throw new UsageError(`unexpected argument \`${second}\``)
}

/** Whoever reads standard input first leaves nothing to the next. */
function checkStandardInput(
  { options, positionals: kind }: Command,
  positionals: readonly string[],
  values: ReadonlyMap<string, readonly string[]>,
): void {
  const readers = options.flatMap(({ name, path }) =>
    path === undefined || path === 'folder'
      ? []
      : (values.get(name) ?? []).filter(isStandardInput).map(() => `--${name}`),
  )
  if (kind?.kind === 'paths') readers.push(...positionals.filter((word) => word === '-').map(() => kind.name))
  if (readers.length < 2) return
  throw new UsageError(`standard input (\`-\`) can be read once, not by ${[...new Set(readers)].join(' and ')}`)
}

/** Also in `ISSUER=-`. */
function isStandardInput(value: string): boolean {
  return value === '-' || value.endsWith('=-')
}
