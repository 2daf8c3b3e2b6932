import { type ClassItem, charTest, perlClass, posixClass, range, unicodeClass } from './char-test.ts'
import { Cursor } from './cursor.ts'
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

/** `2`, `2,` or `2,3`, without zeros before. */
const counted = /^(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?$/

const empty: Expression = { kind: 'empty' }

class Parser {
  readonly #cursor: Cursor
  readonly #names: string[] = ['']
  #depth = 0
  #flags: Flags = { i: false, m: false, s: false, U: false }

  constructor(text: string) {
    this.#cursor = new Cursor(text)
  }

  parse(): ParsedRegex {
    const expression = this.#choice()
    if (!this.#cursor.isAtEnd) throw new RegexError('unexpected )')
    return { expression, names: this.#names }
  }

  #choice(): Expression {
    if (++this.#depth > MAX_DEPTH) throw new RegexError('expression nests too deeply')
    const options = [this.#sequence()]
    while (this.#cursor.take('|')) options.push(this.#sequence())
    this.#depth--
    return options.length === 1 ? (options[0] as Expression) : { kind: 'choice', options }
  }

  #sequence(): Expression {
    const parts: Expression[] = []
    while (!this.#cursor.isAtEnd && this.#cursor.peek() !== '|' && this.#cursor.peek() !== ')') {
      const part = this.#repeated(this.#atom())
      if (part.kind === 'sequence') parts.push(...part.parts)
      else parts.push(part)
    }
    return parts.length === 1 ? (parts[0] as Expression) : { kind: 'sequence', parts }
  }

  #repeated(inner: Expression): Expression {
    const counts = this.#counts()
    if (counts === null) return inner
    const lazy = this.#cursor.take('?')
    // Nothing may be repeated twice in a row, and `{` that counts nothing is a character.
    const before = this.#cursor.mark
    if (this.#counts() !== null) throw new RegexError('invalid nested repetition operator')
    this.#cursor.back(before)
    const repeat: Expression = { kind: 'repeat', inner, ...counts, greedy: lazy === this.#flags.U }
    if (largestRepeat(repeat) > MAX_REPEAT) throw new RegexError('invalid repeat count')
    return repeat
  }

  #counts(): { readonly least: number; readonly most: number | null } | null {
    if (this.#cursor.take('*')) return { least: 0, most: null }
    if (this.#cursor.take('+')) return { least: 1, most: null }
    if (this.#cursor.take('?')) return { least: 0, most: 1 }
    const start = this.#cursor.mark
    const text = this.#cursor.take('{') ? this.#cursor.takeUntil('}') : null
    const parts = text === null ? null : counted.exec(text)
    if (parts === null) {
      this.#cursor.back(start)
      return null
    }
    const least = Number(parts[1])
    const most = parts[2] === undefined ? least : parts[3] === undefined ? null : Number(parts[3])
    if (least > MAX_REPEAT || (most !== null && (most > MAX_REPEAT || most < least))) {
      throw new RegexError('invalid repeat count')
    }
    return { least, most }
  }

  #atom(): Expression {
    const char = this.#cursor.next()
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
    if (!this.#cursor.take('?')) return this.#capture('')
    if (this.#cursor.takeText('P<') || this.#cursor.takeText('<')) {
      const name = this.#until('>')
      if (!/^[A-Za-z0-9_]+$/.test(name)) throw new RegexError('invalid named capture')
      return this.#capture(name)
    }
    const outer = this.#flags
    // Without a colon they hold for the rest of the group around them.
    if (this.#readFlags() === ')') return empty
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
    if (!this.#cursor.take(')')) throw new RegexError('missing closing )')
  }

  /** `i-s:` or `i)`: what it ends with. */
  #readFlags(): string {
    const flags = { ...this.#flags }
    let on = true
    let read = false
    for (;;) {
      const char = this.#cursor.next()
      if (char === 'i' || char === 'm' || char === 's' || char === 'U') {
        flags[char] = on
        read = true
      } else if (char === '-' && on) {
        on = false
        read = false
      } else if ((char === ':' || char === ')') && (on || read)) {
        this.#flags = flags
        return char
      } else throw new RegexError('invalid or unsupported Perl syntax')
    }
  }

  #escape(): Expression {
    const char = this.#cursor.next()
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
    while (!this.#cursor.isAtEnd && !this.#cursor.takeText('\\E')) parts.push(this.#literal(this.#cursor.next()))
    // What follows repeats the last character only.
    const last = parts.pop()
    if (last === undefined) return empty
    return { kind: 'sequence', parts: [...parts, this.#repeated(last)] }
  }

  #classEscape(char: string): ClassItem | null {
    if (char === 'p' || char === 'P') {
      const name = this.#cursor.take('{') ? this.#until('}') : this.#cursor.next()
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
      if (char !== '0' && !/[0-7]/.test(this.#cursor.peek())) throw new RegexError('invalid escape sequence')
      while (digits.length < 3 && /[0-7]/.test(this.#cursor.peek())) digits += this.#cursor.next()
      return Number.parseInt(digits, 8)
    }
    if (char === 'x') {
      const digits = this.#cursor.take('{') ? this.#until('}') : this.#cursor.next() + this.#cursor.next()
      const code = /^[0-9a-fA-F]+$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN
      if (!(code <= 0x10ffff)) throw new RegexError('invalid escape sequence')
      return code
    }
    if (char < '\x80' && !/[0-9A-Za-z]/.test(char)) return char.charCodeAt(0)
    throw new RegexError('invalid escape sequence')
  }

  #class() {
    const negated = this.#cursor.take('^')
    const items: ClassItem[] = []
    for (let first = true; first || this.#cursor.peek() !== ']'; first = false) {
      if (this.#cursor.isAtEnd) throw new RegexError('missing closing ]')
      items.push(this.#classItem())
    }
    this.#cursor.next()
    return charTest(items, negated, this.#flags.i)
  }

  #classItem(): ClassItem {
    const start = this.#cursor.mark
    if (this.#cursor.takeText('[:')) {
      const name = this.#cursor.takeUntil(':]')
      if (name !== null) return posixClass(name)
      this.#cursor.back(start)
    }
    const first = this.#classChar()
    if (typeof first !== 'number') return first
    // A hyphen at the end stands for itself.
    if (this.#cursor.peek() !== '-' || ['', ']'].includes(this.#cursor.peek(1))) return range(first, first)
    this.#cursor.next()
    const last = this.#classChar()
    if (typeof last !== 'number' || last < first) throw new RegexError('invalid character class range')
    return range(first, last)
  }

  #classChar(): ClassItem | number {
    const char = this.#cursor.next()
    if (char !== '\\') return char.codePointAt(0) as number
    const escaped = this.#cursor.next()
    return this.#classEscape(escaped) ?? this.#codeEscape(escaped)
  }

  #until(char: string): string {
    const text = this.#cursor.takeUntil(char)
    if (text === null) throw new RegexError('the expression ends early')
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
