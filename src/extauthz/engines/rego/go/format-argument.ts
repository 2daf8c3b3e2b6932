import { Buffer } from 'node:buffer'
import { BuiltinError } from '../builtins/builtin.ts'
import { formatFloat } from './float.ts'
import { isPrintable, quote } from './quote.ts'

/** What stands between `%` and the verb. */
export interface Flags {
  readonly sharp: boolean
  /** `%#v`, which is another thing than `#` elsewhere. */
  readonly literal: boolean
  readonly zero: boolean
  readonly plus: boolean
  readonly minus: boolean
  readonly space: boolean
  readonly width: number
  /** -1 when there is none. */
  readonly precision: number
}

/** What OPA hands to Go's formatter: an int64, a big.Int, a float64, or a string for anything else. */
export type Argument =
  | { readonly type: 'int64' | '*big.Int'; readonly value: bigint }
  | { readonly type: 'float64'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }

/** Null when the verb is none for the argument. */
export function formatArgument(argument: Argument, verb: string, flags: Flags): string | null {
  if (verb === 'T') return pad(truncate(argument.type, flags), flags)
  switch (argument.type) {
    case 'int64':
      return formatInteger(argument.value, verb, flags)
    case '*big.Int':
      return formatBig(argument.value, verb, flags)
    case 'float64':
      return formatDouble(argument.value, verb, flags)
    case 'string':
      return formatText(argument.value, verb, flags)
    default:
      return argument satisfies never
  }
}

function pad(text: string, { width, minus, zero }: Flags, zeros = zero): string {
  const missing = width - [...text].length
  if (missing <= 0) return text
  if (minus) return text + ' '.repeat(missing)
  return (zeros ? '0' : ' ').repeat(missing) + text
}

function truncate(text: string, { precision }: Flags): string {
  return precision < 0 ? text : [...text].slice(0, precision).join('')
}

function formatText(text: string, verb: string, flags: Flags): string | null {
  switch (verb) {
    case 'v':
      return pad(flags.literal ? quote(truncate(text, flags)) : truncate(text, flags), flags)
    case 's':
      return pad(truncate(text, flags), flags)
    case 'q':
      return pad(quoted(truncate(text, flags), flags), flags)
    case 'x':
      return hexadecimal(text, flags)
    case 'X':
      return hexadecimal(text, flags)?.toUpperCase()
    default:
      return null
  }
}

function quoted(text: string, { sharp, plus }: Flags): string {
  // What can stand between backquotes as it is.
  const plain = [...text].every((char) => char !== '`' && char !== '\ufeff' && (char === '\t' || isPrintable(char)))
  return sharp && plain ? `\`${text}\`` : quote(text, '"', plus)
}

function hexadecimal(text: string, flags: Flags): string {
  const bytes = Buffer.from(text).subarray(0, flags.precision < 0 ? undefined : flags.precision)
  const pairs = [...bytes].map((byte) => byte.toString(16).padStart(2, '0'))
  const prefix = flags.sharp && pairs.length > 0 ? '0x' : ''
  return pad(prefix + pairs.join(flags.space ? ` ${prefix}` : ''), flags)
}

const bases: Readonly<Record<string, number>> = { v: 10, d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 }

function formatInteger(value: bigint, verb: string, flags: Flags): string | null {
  if (verb === 'c' || verb === 'q' || verb === 'U') return formatRune(value, verb, flags)
  const base = bases[verb]
  if (base === undefined) return null
  const { sharp, precision } = flags
  if (precision === 0 && value === 0n) return pad('', flags, false)
  const sign = signOf(value, flags)
  const wanted = precision >= 0 ? precision : flags.zero && !flags.minus ? flags.width - sign.length : 0
  let digits = absolute(value).toString(base).padStart(wanted, '0')
  if (sharp) {
    if (base === 2) digits = `0b${digits}`
    if (base === 16) digits = `0x${digits}`
    if (base === 8 && !digits.startsWith('0')) digits = `0${digits}`
  }
  if (verb === 'O') digits = `0o${digits}`
  return pad(sign + (verb === 'X' ? digits.toUpperCase() : digits), flags, false)
}

function signOf(value: bigint | number, { plus, space }: Flags): string {
  if (value < 0 || Object.is(value, -0)) return '-'
  return plus ? '+' : space ? ' ' : ''
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value
}

function formatRune(value: bigint, verb: 'c' | 'q' | 'U', flags: Flags): string {
  // A negative number counts as one far above every character.
  const isCode = value >= 0n && value <= 0x10ffffn
  const isChar = isCode && !(value >= 0xd800n && value <= 0xdfffn)
  const char = isChar ? String.fromCodePoint(Number(value)) : '\ufffd'
  if (verb === 'c') return pad(char, flags)
  if (verb === 'q') return pad(quote(char, "'", flags.plus), flags)
  const code = BigInt.asUintN(64, value).toString(16).toUpperCase()
  const shown = flags.sharp && isChar && isPrintable(char) ? ` '${char}'` : ''
  return pad(`U+${code.padStart(Math.max(flags.precision, 4), '0')}${shown}`, flags, false)
}

function formatBig(value: bigint, verb: string, flags: Flags): string {
  const base = verb === 's' ? 10 : bases[verb]
  if (base === undefined) return `%!${verb}(big.Int=${value})`
  const { precision, sharp, width, minus, zero } = flags
  const digits = absolute(value).toString(base).padStart(precision, '0')
  const prefixes: Readonly<Record<string, string>> = sharp ? { b: '0b', o: '0', x: '0x', X: '0X' } : {}
  const head = signOf(value, flags) + (verb === 'O' ? '0o' : (prefixes[verb] ?? ''))
  const shown = verb === 'X' ? digits.toUpperCase() : digits
  if (zero && !minus && precision < 0) return head + shown.padStart(width - head.length, '0')
  return pad(head + shown, flags, false)
}

function formatDouble(value: number, verb: string, flags: Flags): string | null {
  const lower = verb === 'v' ? 'g' : verb.toLowerCase()
  // Go would write the bits.
  if (lower === 'x' || verb === 'b') throw new BuiltinError('a fraction has no such form here')
  if (lower !== 'e' && lower !== 'f' && lower !== 'g') return null
  const standard = lower === 'g' ? -1 : 6
  const precision = flags.precision < 0 ? standard : flags.precision
  const plain = formatFloat(value, lower, precision)
  const digits = flags.sharp ? withPoint(plain, lower, precision) : plain
  const sign = signOf(value, flags)
  const shown = verb === 'E' || verb === 'G' ? digits.toUpperCase() : digits
  if (flags.zero && !flags.minus) return sign + shown.padStart(flags.width - sign.length, '0')
  return pad(sign + shown, flags)
}

/** With a point even where none is needed, and for `g` with all its digits. */
function withPoint(text: string, verb: 'e' | 'f' | 'g', precision: number): string {
  const [mantissa = '', power] = text.split('e')
  const pointed = mantissa.includes('.') ? mantissa : `${mantissa}.`
  const significant = pointed.replace('.', '').replace(/^0+(?=.)/, '').length
  const missing = verb === 'g' ? Math.max((precision < 0 ? 6 : precision) - significant, 0) : 0
  return pointed + '0'.repeat(missing) + (power === undefined ? '' : `e${power}`)
}
