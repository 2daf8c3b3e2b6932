/** A number in JSON's notation, exactly: `digits` times ten to the power of `exponent`. */
export interface Decimal {
  readonly digits: bigint
  readonly exponent: number
}

/** Beyond this an exponent makes numbers that nothing here can hold. */
const MAX_EXPONENT = 10_000

/** Null for what is no number, or one too large or too small to handle. */
export function parseDecimal(text: string): Decimal | null {
  const parts = /^(-?)([0-9]+)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/.exec(text)
  if (parts === null) return null
  const [, sign = '', whole = '', fraction = '', power = '0'] = parts
  const exponent = Number(power) - fraction.length
  if (Math.abs(exponent) > MAX_EXPONENT) return null
  const digits = BigInt(whole + fraction)
  return { digits: sign === '-' ? -digits : digits, exponent }
}

/** Negative, 0 or positive; a number that cannot be handled counts as its double. */
export function compareDecimals(a: string, b: string): number {
  const left = parseDecimal(a)
  const right = parseDecimal(b)
  if (left === null || right === null) return Number(a) - Number(b)
  const exponent = Math.min(left.exponent, right.exponent)
  const difference = scaled(left, exponent) - scaled(right, exponent)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** The whole number that a text says, `1e3` and `1.0` included; null when it has a fraction. */
export function wholeNumber(text: string): bigint | null {
  const decimal = parseDecimal(text)
  if (decimal === null) return null
  if (decimal.exponent >= 0) return scaled(decimal, 0)
  const divisor = 10n ** BigInt(-decimal.exponent)
  return decimal.digits % divisor === 0n ? decimal.digits / divisor : null
}

function scaled({ digits, exponent }: Decimal, to: number): bigint {
  return digits * 10n ** BigInt(exponent - to)
}

/** The binary exponent beyond which OPA takes no number, in decimal digits: arithmetic with one could cost anything. */
const MAX_DIGITS = 30_102

/** Whether a number in JSON's notation is so large, or so near to zero, that OPA refuses it. */
export function isOutOfRange(text: string): boolean {
  const parts = /^-?([0-9]+)(?:\.([0-9]+))?[eE]([+-]?[0-9]+)$/.exec(text)
  if (parts === null) return false
  const [, whole = '', fraction = '', power = '0'] = parts
  const significant = (whole + fraction).replace(/^0+/, '')
  if (significant === '') return false
  return Math.abs(Number(power) - fraction.length + significant.length) > MAX_DIGITS
}
