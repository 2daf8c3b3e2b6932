import { compileRegex, type RegexProgram } from '../regex/program.ts'
import { findAll, findMatch, type Match } from '../regex/search.ts'
import { RegexError } from '../regex/syntax.ts'
import { type Arguments, BuiltinError, type Builtins } from './builtin.ts'
import { BoundedCache } from './cache.ts'
import { smallWhole, text } from './operands.ts'

const known = new BoundedCache<RegexProgram>(100)

function program(pattern: string): RegexProgram {
  try {
    return known.get(pattern, () => compileRegex(pattern))
  } catch (error) {
    if (error instanceof RegexError) throw new BuiltinError(error.message)
    throw error
  }
}

function split(args: Arguments): string[] {
  const [pattern, base] = [text(args, 0), text(args, 1)]
  const compiled = program(pattern)
  if (pattern !== '' && base === '') return ['']
  const parts: string[] = []
  let begin = 0
  let end = 0
  for (const match of findAll(compiled, base, -1)) {
    const [start, after] = match as unknown as [number, number]
    end = start
    if (after !== 0) parts.push(base.slice(begin, end))
    begin = after
  }
  if (end !== base.length) parts.push(base.slice(begin))
  return parts
}

function find(args: Arguments): string[] {
  const compiled = program(text(args, 0))
  const base = text(args, 1)
  return findAll(compiled, base, smallWhole(args, 2)).map((match) => base.slice(match[0], match[1]))
}

function replace(args: Arguments): string {
  const [base, pattern, replacement] = [text(args, 0), text(args, 1), text(args, 2)]
  const compiled = program(pattern)
  const pieces: string[] = []
  let at = 0
  for (const match of findAll(compiled, base, -1)) {
    const [start, end] = match as unknown as [number, number]
    pieces.push(base.slice(at, start), expand(replacement, compiled.names, base, match))
    at = end
  }
  return pieces.join('') + base.slice(at)
}

/** `$1`, `$name`, `${name}` and `$$`; a name goes on as long as it can. */
function expand(template: string, names: readonly string[], base: string, match: Match): string {
  return template.replace(
    /\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu,
    (whole, braced?: string, bare?: string) => {
      if (whole === '$$') return '$'
      const name = (braced ?? bare) as string
      const index = /^(?:0|[1-9][0-9]{0,7})$/.test(name)
        ? Number(name)
        : names.findIndex((one, i) => one === name && (match[i * 2] ?? -1) >= 0)
      const [start, end] = [match[index * 2] ?? -1, match[index * 2 + 1] ?? -1]
      return start < 0 ? '' : base.slice(start, end)
    },
  )
}

/** `regex.template_match`: text around expressions that stand between two delimiters. */
function templateMatch(args: Arguments): boolean {
  const [template, base, open, close] = [text(args, 0), text(args, 1), text(args, 2), text(args, 3)]
  if (!/^[\0-\x7f]$/.test(open) || !/^[\0-\x7f]$/.test(close)) throw new BuiltinError('a delimiter is one character')
  let pattern = '^'
  let level = 0
  let start = 0
  for (let i = 0; i < template.length; i++) {
    if (template[i] === open) {
      if (level++ === 0) {
        pattern += quoteMeta(template.slice(start, i))
        start = i + 1
      }
    } else if (template[i] === close) {
      if (--level < 0) throw new BuiltinError('unbalanced delimiters')
      if (level > 0) continue
      const inner = template.slice(start, i)
      program(`^${inner}$`)
      pattern += `(${inner})`
      start = i + 1
    }
  }
  if (level !== 0) throw new BuiltinError('unbalanced delimiters')
  return findMatch(program(`${pattern}${quoteMeta(template.slice(start))}$`), base, 0) !== null
}

function quoteMeta(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}

export const regexBuiltins: Builtins = {
  'regex.split': split,
  'regex.find_n': find,
  'regex.replace': replace,
  'regex.template_match': templateMatch,
}
