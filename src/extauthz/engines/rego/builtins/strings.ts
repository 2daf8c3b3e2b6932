import { Buffer } from 'node:buffer'
import { sprintf } from '../go/format.ts'
import type { Argument } from '../go/format-argument.ts'
import { showValue } from '../rego-text.ts'
import { isNumber, numberText, type RegoValue } from '../value.ts'
import { type Arguments, BuiltinError, type Builtins } from './builtin.ts'
import { asText, collection, list, operand, smallWhole, text } from './operands.ts'

/** A format may ask for a width: no text is longer than this many characters. */
const MAX_FORMATTED = 16 * 1024 * 1024

function formatted(args: Arguments): string {
  const format = text(args, 0)
  const result = sprintf(format, list(args, 1).map(toArgument))
  if (result.length > MAX_FORMATTED) throw new BuiltinError('the text is too long')
  return result
}

function toArgument(value: RegoValue): Argument {
  if (typeof value === 'string') return { type: 'string', value }
  if (!isNumber(value)) return { type: 'string', value: showValue(value) }
  const number = numberText(value)
  if (/[.eE]/.test(number)) return { type: 'float64', value: Number(number) }
  const whole = BigInt(number)
  return { type: BigInt.asIntN(64, whole) === whole ? 'int64' : '*big.Int', value: whole }
}

/** One string or several. */
function texts(value: RegoValue): readonly string[] {
  return typeof value === 'string' ? [value] : collection(value).map(asText)
}

function anyMatch(args: Arguments, matches: (text: string, affix: string) => boolean): boolean {
  const searched = texts(operand(args, 0))
  const affixes = texts(operand(args, 1))
  return searched.some((one) => affixes.some((affix) => matches(one, affix)))
}

function indexesOf(args: Arguments): number[] {
  const base = [...text(args, 0)]
  const search = [...text(args, 1)]
  if (search.length === 0) throw new BuiltinError('empty search character')
  const found: number[] = []
  for (let i = 0; i + search.length <= base.length; i++) {
    if (search.every((char, offset) => base[i + offset] === char)) found.push(i)
  }
  return found
}

/** Go counts an empty text before each character and at the end. */
function count(base: string, search: string): number {
  return search === '' ? [...base].length + 1 : base.split(search).length - 1
}

/** The first `n` parts, or the last `-n` for a negative number. */
function splitN(args: Arguments): string[] {
  const [base, separator] = [text(args, 0), text(args, 1)]
  const n = smallWhole(args, 2)
  const parts = separator === '' ? [...base] : base.split(separator)
  return n < 0 ? parts.slice(n) : parts.slice(0, n)
}

export const stringBuiltins: Builtins = {
  sprintf: formatted,
  indexof_n: indexesOf,
  'strings.any_prefix_match': (args) => anyMatch(args, (one, prefix) => one.startsWith(prefix)),
  'strings.any_suffix_match': (args) => anyMatch(args, (one, suffix) => one.endsWith(suffix)),
  'strings.count': (args) => count(text(args, 0), text(args, 1)),
  'strings.split_n': splitN,
  'base64url.encode_no_pad': (args) => Buffer.from(text(args, 0)).toString('base64url'),
  'hex.encode': (args) => Buffer.from(text(args, 0)).toString('hex'),
  'hex.decode': (args) => {
    const digits = text(args, 0)
    if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) throw new BuiltinError('illegal hex')
    return Buffer.from(digits, 'hex').toString('utf8')
  },
}
