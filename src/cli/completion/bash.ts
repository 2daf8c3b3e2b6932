import { COMMON, type Command, type Option, type Program } from '../command.ts'
import { namesOf } from './names.ts'

/** For bash from 3.2 on, without the bash-completion package. */
export function bash({ commands }: Program): string {
  const names = commands.map((command) => command.name).join(' ')
  return `# bash completion for sallyport: source <(sallyport completion bash)
_sallyport() {
  local IFS=$' \\t\\n' current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=( $(compgen -W '${names} --help --version' -- "$current") )
    return
  fi
  case \${COMP_WORDS[1]} in
${commands.map(commandCase).join('\n')}
  esac
}
complete -o filenames -F _sallyport sallyport
`
}

function commandCase(command: Command): string {
  const options = [...command.options, ...COMMON]
  const valued = options.filter((option) => option.value !== undefined)
  const cases = valued.map((option) => `        ${namesOf(option).join('|')}) ${completionOf(option)} return ;;`)
  const words = options.flatMap(namesOf).join(' ')
  return `    ${command.name})
      case $previous in
${cases.join('\n')}
      esac
      if [[ $current == -* ]]; then
        COMPREPLY=( $(compgen -W '${words}' -- "$current") )
      else
        ${positionalOf(command)}
      fi
      ;;`
}

const FILES = `IFS=$'\\n'; COMPREPLY=( $(compgen -f -- "$current") );`
const FOLDERS = `IFS=$'\\n'; COMPREPLY=( $(compgen -d -- "$current") );`

function completionOf({ choices, path }: Option): string {
  if (choices !== undefined) return words(choices)
  if (path === undefined) return ''
  return path === 'folder' ? FOLDERS : FILES
}

function positionalOf({ positionals }: Command): string {
  if (positionals === null) return ':'
  return positionals.kind === 'paths' ? FILES : words(positionals.choices)
}

function words(choices: readonly string[]): string {
  return `COMPREPLY=( $(compgen -W '${choices.join(' ')}' -- "$current") );`
}
