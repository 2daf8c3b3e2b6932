import { type Argument, type Flags, formatArgument } from './format-argument.ts'

/** Formats as Go's `fmt.Sprintf` does, mistakes in the format included: they show in the text. */
export function sprintf(format: string, args: readonly Argument[]): string {
  return new Formatter(format, args).run()
}

/** Go reads no larger number as a width or an index. */
const LARGEST = 1_000_000

/** An index such as `[3]`; `good`: it is one, of an argument that is there. */
interface Index {
  readonly found: boolean
  readonly good: boolean
}

class Formatter {
  readonly #format: string
  readonly #args: readonly Argument[]
  #at = 0
  #next = 0
  #reordered = false
  #out = ''

  constructor(format: string, args: readonly Argument[]) {
    this.#format = format
    this.#args = args
  }

  run(): string {
    const format = this.#format
    while (this.#at < format.length) {
      const percent = format.indexOf('%', this.#at)
      if (percent === -1) {
        this.#out += format.slice(this.#at)
        break
      }
      this.#out += format.slice(this.#at, percent)
      this.#at = percent + 1
      if (!this.#directive()) break
    }
    if (!this.#reordered && this.#next < this.#args.length) {
      const extra = this.#args.slice(this.#next).map(described)
      this.#out += `%!(EXTRA ${extra.join(', ')})`
    }
    return this.#out
  }

  /** False at the end of the format. */
  #directive(): boolean {
    const signs = this.#signs()
    let index = this.#index()
    let good = index.good
    const width = this.#number('%!(BADWIDTH)')
    if (width.read === 'digits' && index.found) good = false
    if (width.read === 'argument') index = none
    let precision: Read = { read: 'nothing', value: -1 }
    if (this.#format[this.#at] === '.' && this.#at + 1 < this.#format.length) {
      this.#at++
      if (index.found) good = false
      index = this.#index()
      good &&= index.good
      precision = this.#number('%!(BADPREC)')
      if (precision.read === 'argument') index = none
      if (precision.read === 'nothing') precision = { read: 'digits', value: 0 }
    }
    if (!index.found) good = this.#index().good && good
    const verb = this.#verb()
    if (verb === null) {
      this.#out += '%!(NOVERB)'
      return false
    }
    const minus = signs.includes('-') || width.value < 0
    const flags: Flags = {
      sharp: signs.includes('#'),
      literal: false,
      zero: signs.includes('0') && width.value >= 0,
      plus: signs.includes('+'),
      minus,
      space: signs.includes(' '),
      width: Math.abs(width.value),
      precision: precision.value,
    }
    this.#out += this.#formatted(verb, flags, good)
    return true
  }

  #formatted(verb: string, flags: Flags, good: boolean): string {
    if (verb === '%') return '%'
    if (!good) return `%!${verb}(BADINDEX)`
    const argument = this.#args[this.#next]
    if (argument === undefined) return `%!${verb}(MISSING)`
    this.#next++
    const own = verb === 'v' ? { ...flags, plus: false, sharp: false, literal: flags.sharp } : flags
    return formatArgument(argument, verb, own) ?? bad(verb, argument, flags)
  }

  #signs(): string {
    const start = this.#at
    while (this.#at < this.#format.length && '#0+- '.includes(this.#format[this.#at] as string)) this.#at++
    return this.#format.slice(start, this.#at)
  }

  #index(): Index {
    if (this.#format[this.#at] !== '[') return none
    this.#reordered = true
    const rest = this.#format.slice(this.#at)
    const close = rest.indexOf(']')
    if (rest.length < 3 || close === -1) {
      this.#at++
      return { found: false, good: false }
    }
    this.#at += close + 1
    const text = rest.slice(1, close)
    const index = /^[0-9]{1,7}$/.test(text) ? Number(text) - 1 : -1
    if (index < 0 || index >= this.#args.length) return { found: /^[0-9]+$/.test(text), good: false }
    this.#next = index
    return { found: true, good: true }
  }

  /** Digits, or `*` for an argument that is the number. */
  #number(complaint: string): Read {
    if (this.#format[this.#at] === '*') {
      this.#at++
      const argument = this.#args[this.#next]
      if (argument !== undefined) this.#next++
      const value = argument?.type === 'int64' ? Number(argument.value) : Number.NaN
      const isPrecision = complaint === '%!(BADPREC)'
      if (Math.abs(value) <= LARGEST && !(isPrecision && value < 0)) return { read: 'argument', value }
      this.#out += complaint
      return { read: 'argument', value: isPrecision ? -1 : 0 }
    }
    const digits = /^[0-9]*/.exec(this.#format.slice(this.#at, this.#at + 20))?.[0] ?? ''
    if (digits === '') return { read: 'nothing', value: 0 }
    const value = Number(digits)
    // A number that is too large takes the rest of the format with it.
    if (value > LARGEST * 10) {
      this.#at = this.#format.length
      return { read: 'nothing', value: 0 }
    }
    this.#at += digits.length
    return { read: 'digits', value }
  }

  #verb(): string | null {
    const code = this.#format.codePointAt(this.#at)
    if (code === undefined) return null
    const verb = String.fromCodePoint(code)
    this.#at += verb.length
    return verb
  }
}

interface Read {
  readonly read: 'digits' | 'argument' | 'nothing'
  readonly value: number
}

const none: Index = { found: false, good: true }

const noFlags: Flags = {
  sharp: false,
  literal: false,
  zero: false,
  plus: false,
  minus: false,
  space: false,
  width: 0,
  precision: -1,
}

function described(argument: Argument): string {
  return `${argument.type}=${formatArgument(argument, 'v', noFlags)}`
}

function bad(verb: string, argument: Argument, flags: Flags): string {
  return `%!${verb}(${argument.type}=${formatArgument(argument, 'v', flags)})`
}
