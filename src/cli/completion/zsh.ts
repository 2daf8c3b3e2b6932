import { COMMON, type Command, type Option, type Program } from '../command.ts'
import { namesOf, quoted } from './names.ts'

/** To be sourced, or saved as `_sallyport` in a folder of `fpath`. */
export function zsh({ commands }: Program): string {
  const described = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary.replaceAll(':', '\\:')}`)}`)
  return `#compdef sallyport
# zsh completion for sallyport: source <(sallyport completion zsh)
_sallyport() {
  local -a commands
  commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe -t commands command commands
    compadd -- --help --version
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${commands.map(commandCase).join('\n')}
  esac
}
if [[ $funcstack[1] == _sallyport ]]; then
  _sallyport "$@"
else
  compdef _sallyport sallyport
fi
`
}

function commandCase(command: Command): string {
  const specs = [...command.options, ...COMMON].map(spec)
  const { positionals } = command
  if (positionals?.kind === 'paths') specs.push(`'*:${positionals.name}:_files'`)
  if (positionals?.kind === 'word') specs.push(`'1:${positionals.name}:(${positionals.choices.join(' ')})'`)
  return `    ${command.name})\n      _arguments -s \\\n${specs.map((one) => `        ${one}`).join(' \\\n')}\n      ;;`
}

/** An option as \`_arguments\` wants it: what excludes it, its names, what it is for, what its value is. */
function spec(option: Option): string {
  const names = namesOf(option)
  const help = option.help.replace(/[[\]\\:]/g, '\\$&')
  const value = option.value === undefined ? '' : `:${option.value.replace(/[[\]\\:]/g, '\\$&')}:${completer(option)}`
  const once = option.repeats === true ? `'*'` : `'(${names.join(' ')})'`
  return `${once}${names.length > 1 ? `{${names.join(',')}}` : names[0]}${quoted(`[${help}]${value}`)}`
}

function completer({ choices, path }: Option): string {
  if (choices !== undefined) return `(${choices.join(' ')})`
  if (path === undefined) return ' '
  return path === 'folder' ? '_files -/' : '_files'
}
