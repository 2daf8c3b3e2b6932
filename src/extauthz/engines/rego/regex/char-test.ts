import { RegexError } from './syntax.ts'

/** Which characters are meant, by code point. */
export interface CharTest {
  /** Of the first 128. */
  readonly ascii: readonly boolean[]
  readonly other: (code: number) => boolean
}

/** Part of a class, in JavaScript's notation for the inside of one. */
export interface ClassItem {
  readonly source: string
  readonly negated: boolean
}

/** Any of the items, or none of them. */
export function charTest(items: readonly ClassItem[], negated: boolean, ignoreCase: boolean): CharTest {
  const tests = items.map(({ source, negated }) => ({ regex: compile(source, ignoreCase), negated }))
  const test = (code: number): boolean => {
    const char = String.fromCodePoint(code)
    return tests.some(({ regex, negated }) => regex.test(char) !== negated) !== negated
  }
  return { ascii: Array.from({ length: 128 }, (_, code) => test(code)), other: test }
}

/** JavaScript folds cases as Unicode says, and so does RE2. */
function compile(source: string, ignoreCase: boolean): RegExp {
  try {
    return new RegExp(`^[${source}]$`, ignoreCase ? 'iu' : 'u')
  } catch {
    throw new RegexError('invalid character class')
  }
}

/** A range of code points for the inside of a class. */
export function range(first: number, last: number): ClassItem {
  return { source: `${literal(first)}-${literal(last)}`, negated: false }
}

function literal(code: number): string {
  return `\\u{${code.toString(16)}}`
}

const perl: Readonly<Record<string, string>> = { d: '0-9', s: '\\t\\n\\f\\r ', w: '0-9A-Za-z_' }

/** `\d`, `\S` and their like; undefined for another letter. */
export function perlClass(letter: string): ClassItem | undefined {
  const source = perl[letter.toLowerCase()]
  return source === undefined ? undefined : { source, negated: letter !== letter.toLowerCase() }
}

const posix: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: '\\t ',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`\\{-~',
  space: '\\t-\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
}

/** `[:alpha:]` by its name, which may begin with `^`. */
export function posixClass(name: string): ClassItem {
  const negated = name.startsWith('^')
  const source = posix[negated ? name.slice(1) : name]
  if (source === undefined) throw new RegexError('invalid character class range')
  return { source, negated }
}

/** `\p{Greek}` by its name, a category or a script. */
export function unicodeClass(name: string, negated: boolean): ClassItem {
  if (name.startsWith('^')) return unicodeClass(name.slice(1), !negated)
  if (name === 'Any') return { source: '\\u{0}-\\u{10ffff}', negated }
  for (const source of [`\\p{gc=${name}}`, `\\p{sc=${name}}`]) {
    try {
      new RegExp(source, 'u')
      return { source, negated }
    } catch {
      // Of neither kind, or of the other.
    }
  }
  throw new RegexError('invalid character class range')
}
