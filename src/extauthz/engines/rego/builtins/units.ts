import { Numeral } from '../value.ts'
import { type Arguments, BuiltinError, type Builtins } from './builtin.ts'
import { text } from './operands.ts'

const steps = ['k', 'm', 'g', 't', 'p', 'e']

/** How many bytes a unit is, by its lower-case name: `k`, `kb` and `ki`, `kib`. */
const bytes = new Map<string, bigint>([['', 1n]])
for (const [index, step] of steps.entries()) {
  const power = BigInt(index + 1)
  for (const name of [step, `${step}b`]) bytes.set(name, 1000n ** power)
  for (const name of [`${step}i`, `${step}ib`]) bytes.set(name, 1024n ** power)
}

/** A number as a fraction. */
interface Ratio {
  readonly over: bigint
  readonly under: bigint
}

/** Splits `1.5Ki` into number and unit. */
function split(text: string): { readonly amount: Ratio; readonly unit: string } {
  if (text.includes(' ')) throw new BuiltinError('spaces not allowed in resource strings')
  const [number = '', , , power = ''] = /^((?:[0-9.+-]|[eE](?=[0-9+-])([+-]?)([0-9]*))*)/.exec(text) ?? []
  if (power.length > 6) throw new BuiltinError('exponent too large')
  return { amount: ratio(number), unit: text.slice(number.length) }
}

/** Exponents beyond this make numbers that nobody means. */
const MAX_EXPONENT = 1000

function ratio(number: string): Ratio {
  const parts = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/.exec(number)
  const [, sign = '', whole = '', fraction = '', power = '0'] = parts ?? []
  if (parts === null || whole + fraction === '') throw new BuiltinError('could not parse amount to a number')
  const exponent = Number(power) - fraction.length
  if (Math.abs(exponent) > MAX_EXPONENT) throw new BuiltinError('exponent too large')
  const digits = BigInt(sign + whole + fraction)
  const scale = 10n ** BigInt(Math.abs(exponent))
  return exponent < 0 ? { over: digits, under: scale } : { over: digits * scale, under: 1n }
}

function number(text: string): number | Numeral {
  const value = Number(text)
  return String(value) === text ? value : new Numeral(text)
}

/** `units.parse`: what has no whole value has ten digits after its point. */
function parseUnits(args: Arguments): number | Numeral {
  const { amount, unit } = split(text(args, 0).replaceAll('"', ''))
  const factor = unitFactor(unit)
  const over = amount.over * factor.over
  const under = amount.under * factor.under
  if (over % under === 0n) return number((over / under).toString())
  const sign = over < 0n ? '-' : ''
  const scaled = (sign === '' ? over : -over) * 10n ** 10n
  const rounded = (scaled * 2n + under) / (under * 2n)
  const digits = rounded.toString().padStart(11, '0')
  return new Numeral(`${sign}${digits.slice(0, -10)}.${digits.slice(-10)}`)
}

/** Only the case of the first letter counts: `m` is a thousandth, `M` a million. */
function unitFactor(unit: string): Ratio {
  const name = unit.slice(0, 1) + unit.slice(1).toLowerCase()
  // The double that is nearest to a thousandth, exactly.
  if (name === 'm') return { over: 1152921504606847n, under: 1n << 60n }
  const factor = name.endsWith('b') ? undefined : bytes.get(name.toLowerCase())
  if (factor === undefined) throw new BuiltinError('unit not recognized')
  return { over: factor, under: 1n }
}

/** `units.parse_bytes`: whole bytes. */
function parseBytes(args: Arguments): number | Numeral {
  const { amount, unit } = split(text(args, 0).toLowerCase().replaceAll('"', ''))
  const factor = bytes.get(unit)
  if (factor === undefined) throw new BuiltinError('byte unit not recognized')
  const product = inSixtyFourBits({ over: factor, under: 1n }, inSixtyFourBits(amount))
  return number((product.over / product.under).toString())
}

/** A number, or a product, as near as 64 significant bits come, which is how exactly OPA counts bytes. */
function inSixtyFourBits(value: Ratio, times: Ratio = { over: 1n, under: 1n }): Ratio {
  const over = value.over * times.over
  const under = value.under * times.under
  const size = over < 0n ? -over : over
  const shift = BigInt(64 - (size.toString(2).length - under.toString(2).length))
  // One bit more or less than 64 is made up for below.
  for (const bits of [shift + 1n, shift, shift - 1n]) {
    const scaled = bits >= 0n ? { over: size << bits, under } : { over: size, under: under << -bits }
    const double = (scaled.over * 2n) / scaled.under
    const exact = (scaled.over * 2n) % scaled.under === 0n
    const odd = double % 2n === 1n
    const up = odd && (!exact || (double / 2n) % 2n === 1n)
    const mantissa = double / 2n + (up ? 1n : 0n)
    if (mantissa >> 64n !== 0n && mantissa !== 1n << 64n) continue
    const sign = over < 0n ? -1n : 1n
    return bits >= 0n ? { over: sign * mantissa, under: 1n << bits } : { over: sign * (mantissa << -bits), under: 1n }
  }
  return { over, under }
}

export const unitBuiltins: Builtins = {
  'units.parse': parseUnits,
  'units.parse_bytes': parseBytes,
}
