import { COMMON, type Command, type Option, type Program } from '../command.ts'
import { quoted } from './names.ts'

/** To be sourced, or saved as `sallyport.fish` in fish's folder of completions. */
export function fish({ commands }: Program): string {
  return [
    '# fish completion for sallyport: sallyport completion fish | source',
    'complete -c sallyport -f',
    'complete -c sallyport -n __fish_use_subcommand -l help -d "show help"',
    'complete -c sallyport -n __fish_use_subcommand -l version -d "show the version"',
    ...commands.map(
      ({ name, summary }) => `complete -c sallyport -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
    ),
    ...commands.flatMap(commandLines),
    '',
  ].join('\n')
}

function commandLines(command: Command): string[] {
  const start = `complete -c sallyport -n '__fish_seen_subcommand_from ${command.name}'`
  const { positionals } = command
  const lines = [...command.options, ...COMMON].map(
    (option) => `${start} ${optionWords(option)} -d ${quoted(option.help)}`,
  )
  if (positionals?.kind === 'paths') lines.push(`${start} -F`)
  if (positionals?.kind === 'word') lines.push(`${start} -a ${quoted(positionals.choices.join(' '))}`)
  return lines
}

function optionWords({ name, short, value, choices, path }: Option): string {
  const names = short === undefined ? `-l ${name}` : `-s ${short} -l ${name}`
  if (value === undefined) return names
  if (choices !== undefined) return `${names} -x -a ${quoted(choices.join(' '))}`
  if (path === 'folder') return `${names} -x -a '(__fish_complete_directories)'`
  return path === undefined ? `${names} -x` : `${names} -r -F`
}
