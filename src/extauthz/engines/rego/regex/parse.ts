import { type ClassItem, charTest, perlClass, posixClass, range, unicodeClass } from './char-test.ts'
import { type Expression, type ParsedRegex, type Place, RegexError } from './syntax.ts'

/** The most that a counted repetition may ask for, nested ones multiplied. */
const MAX_REPEAT = 1000
const MAX_DEPTH = 500

interface Flags {
  readonly i: boolean
  readonly m: boolean
  readonly s: boolean
  readonly U: boolean
}

/** Throws `RegexError` for what Go would not compile. */
export function parseRegex(text: string): ParsedRegex {
  return new Parser(text).parse()
}

const empty: Expression = { kind: 'empty' }

class Parser {
  readonly #chars: readonly string[]
  readonly #names: string[] = ['']
  #at = 0
  #depth = 0
  #flags: Flags = { i: false, m: false, s: false, U: false }

  constructor(text: string) {
    this.#chars = [...text]
  }

  parse(): ParsedRegex {
    const expression = this.#choice()
    if (this.#at < this.#chars.length) throw new RegexError('unexpected )')
    return { expression, names: this.#names }
  }

  #choice(): Expression {
    if (++this.#depth > MAX_DEPTH) throw new RegexError('expression nests too deeply')
    const options = [this.#sequence()]
    while (this.#take('|')) options.push(this.#sequence())
    this.#depth--
    return options.length === 1 ? (options[0] as Expression) : { kind: 'choice', options }
  }

  #sequence(): Expression {
    const parts: Expression[] = []
    while (this.#at < this.#chars.length && this.#peek() !== '|' && this.#peek() !== ')') {
      const part = this.#repeated(this.#atom())
      if (part.kind === 'sequence') parts.push(...part.parts)
      else parts.push(part)
    }
    return parts.length === 1 ? (parts[0] as Expression) : { kind: 'sequence', parts }
  }

  #repeated(inner: Expression): Expression {
    const counts = this.#counts()
    if (counts === null) return inner
    const lazy = this.#take('?')
    // Nothing may be repeated twice in a row, and `{` that counts nothing is a character.
    const before = this.#at
    if (this.#counts() !== null) throw new RegexError('invalid nested repetition operator')
    this.#at = before
    const repeat: Expression = { kind: 'repeat', inner, ...counts, greedy: lazy === this.#flags.U }
    if (largestRepeat(repeat) > MAX_REPEAT) throw new RegexError('invalid repeat count')
    return repeat
  }

  #counts(): { readonly least: number; readonly most: number | null } | null {
    if (this.#take('*')) return { least: 0, most: null }
    if (this.#take('+')) return { least: 1, most: null }
    if (this.#take('?')) return { least: 0, most: 1 }
    if (this.#peek() !== '{') return null
    const end = this.#chars.indexOf('}', this.#at)
    const parts = end === -1 ? null : /^([0-9]+)(,?)([0-9]*)$/.exec(this.#chars.slice(this.#at + 1, end).join(''))
    if (parts === null || (parts[2] === '' && parts[3] !== '') || /^0[0-9]/.test(parts[1] as string)) return null
    if (/^0[0-9]/.test(parts[3] as string)) return null
    this.#at = end + 1
    const least = Number(parts[1])
    const most = parts[2] === '' ? least : parts[3] === '' ? null : Number(parts[3])
    if (least > MAX_REPEAT || (most !== null && (most > MAX_REPEAT || most < least))) {
      throw new RegexError('invalid repeat count')
    }
    return { least, most }
  }

  #atom(): Expression {
    const char = this.#next()
    switch (char) {
      case '(':
        return this.#group()
      case '[':
        return { kind: 'char', test: this.#class() }
      case '.':
        return this.#char(this.#flags.s ? [] : [{ source: '\\n', negated: false }], true)
      case '^':
        return place(this.#flags.m ? 'lineStart' : 'textStart')
      case '$':
        return place(this.#flags.m ? 'lineEnd' : 'textEnd')
      case '*':
      case '+':
      case '?':
        throw new RegexError('missing argument to repetition operator')
      case '\\':
        return this.#escape()
      default:
        return this.#literal(char)
    }
  }

  #char(items: readonly ClassItem[], negated = false): Expression {
    return { kind: 'char', test: charTest(items, negated, this.#flags.i) }
  }

  #literal(char: string): Expression {
    const code = char.codePointAt(0) as number
    return this.#char([range(code, code)])
  }

  #group(): Expression {
    if (!this.#take('?')) return this.#capture('')
    if (this.#ahead('P<') || this.#ahead('<')) {
      this.#at = this.#chars.indexOf('<', this.#at) + 1
      const name = this.#until('>')
      if (!/^[A-Za-z0-9_]+$/.test(name)) throw new RegexError('invalid named capture')
      return this.#capture(name)
    }
    const outer = this.#flags
    this.#flags = this.#readFlags()
    // Without a colon they hold for the rest of the group around them.
    if (this.#chars[this.#at - 1] === ')') return empty
    const inner = this.#choice()
    this.#close()
    this.#flags = outer
    return inner
  }

  #capture(name: string): Expression {
    const index = this.#names.push(name) - 1
    const outer = this.#flags
    const inner = this.#choice()
    this.#close()
    this.#flags = outer
    return { kind: 'group', index, inner }
  }

  #close(): void {
    if (!this.#take(')')) throw new RegexError('missing closing )')
  }

  /** `i-s:` or `i)`. */
  #readFlags(): Flags {
    const flags = { ...this.#flags }
    let on = true
    let read = false
    for (;;) {
      const char = this.#next()
      if (char === 'i' || char === 'm' || char === 's' || char === 'U') {
        flags[char] = on
        read = true
      } else if (char === '-' && on) {
        on = false
        read = false
      } else if ((char === ':' || char === ')') && (on || read)) return flags
      else throw new RegexError('invalid or unsupported Perl syntax')
    }
  }

  #escape(): Expression {
    const char = this.#next()
    switch (char) {
      case 'A':
        return place('textStart')
      case 'z':
        return place('textEnd')
      case 'b':
        return place('wordBoundary')
      case 'B':
        return place('noWordBoundary')
      case 'Q':
        return this.#quoted()
      default: {
        const item = this.#classEscape(char)
        return item === null ? this.#literal(String.fromCodePoint(this.#codeEscape(char))) : this.#char([item])
      }
    }
  }

  #quoted(): Expression {
    const parts: Expression[] = []
    while (this.#at < this.#chars.length && !this.#ahead('\\E')) parts.push(this.#literal(this.#next()))
    if (this.#at < this.#chars.length) this.#at += 2
    // What follows repeats the last character only.
    const last = parts.pop()
    if (last === undefined) return empty
    return { kind: 'sequence', parts: [...parts, this.#repeated(last)] }
  }

  #classEscape(char: string): ClassItem | null {
    if (char === 'p' || char === 'P') {
      const name = this.#take('{') ? this.#until('}') : this.#next()
      return unicodeClass(name, char === 'P')
    }
    return perlClass(char) ?? null
  }

  #codeEscape(char: string): number {
    const control = 'afnrtv'.indexOf(char)
    if (control !== -1) return [7, 12, 10, 13, 9, 11][control] as number
    if (/[0-7]/.test(char)) {
      let digits = char
      // A digit alone would refer to a group, which nothing here can.
      if (char !== '0' && !/[0-7]/.test(this.#peek())) throw new RegexError('invalid escape sequence')
      while (digits.length < 3 && /[0-7]/.test(this.#peek())) digits += this.#next()
      return Number.parseInt(digits, 8)
    }
    if (char === 'x') {
      const digits = this.#take('{') ? this.#until('}') : this.#next() + this.#next()
      const code = /^[0-9a-fA-F]+$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN
      if (!(code <= 0x10ffff)) throw new RegexError('invalid escape sequence')
      return code
    }
    if (char < '\x80' && !/[0-9A-Za-z]/.test(char)) return char.charCodeAt(0)
    throw new RegexError('invalid escape sequence')
  }

  #class() {
    const negated = this.#take('^')
    const items: ClassItem[] = []
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#at >= this.#chars.length) throw new RegexError('missing closing ]')
      items.push(this.#classItem())
    }
    this.#at++
    return charTest(items, negated, this.#flags.i)
  }

  #classItem(): ClassItem {
    if (this.#ahead('[:')) {
      const end = this.#chars.findIndex((char, i) => i > this.#at + 1 && char === ':' && this.#chars[i + 1] === ']')
      if (end !== -1) {
        const name = this.#chars.slice(this.#at + 2, end).join('')
        this.#at = end + 2
        return posixClass(name)
      }
    }
    const first = this.#classChar()
    if (typeof first !== 'number') return first
    if (this.#peek() !== '-' || this.#chars[this.#at + 1] === ']' || this.#at + 1 >= this.#chars.length) {
      return range(first, first)
    }
    this.#at++
    const last = this.#classChar()
    if (typeof last !== 'number' || last < first) throw new RegexError('invalid character class range')
    return range(first, last)
  }

  #classChar(): ClassItem | number {
    const char = this.#next()
    if (char !== '\\') return char.codePointAt(0) as number
    const escaped = this.#next()
    return this.#classEscape(escaped) ?? this.#codeEscape(escaped)
  }

  #peek(): string {
    return this.#chars[this.#at] ?? ''
  }

  #next(): string {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw new RegexError('the expression ends early')
    return char
  }

  #take(char: string): boolean {
    if (this.#chars[this.#at] !== char) return false
    this.#at++
    return true
  }

  #ahead(text: string): boolean {
    return [...text].every((char, i) => this.#chars[this.#at + i] === char)
  }

  #until(char: string): string {
    const end = this.#chars.indexOf(char, this.#at)
    if (end === -1) throw new RegexError('the expression ends early')
    const text = this.#chars.slice(this.#at, end).join('')
    this.#at = end + 1
    return text
  }
}

function place(where: Place): Expression {
  return { kind: 'place', place: where }
}

/** How often the innermost part may have to be written out. */
function largestRepeat(expression: Expression): number {
  switch (expression.kind) {
    case 'repeat': {
      const count = expression.most ?? expression.least
      return Math.max(count, 1) * largestRepeat(expression.inner)
    }
    case 'group':
      return largestRepeat(expression.inner)
    case 'sequence':
      return Math.max(1, ...expression.parts.map(largestRepeat))
    case 'choice':
      return Math.max(1, ...expression.options.map(largestRepeat))
    default:
      return 1
  }
}
