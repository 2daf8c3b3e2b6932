/** A double exactly as `digits` times ten to the power of `exponent`; `digits` is not negative. */
interface Exact {
  readonly digits: bigint
  readonly exponent: number
}

const view = new DataView(new ArrayBuffer(8))

function exact(value: number): Exact {
  view.setFloat64(0, Math.abs(value))
  const bits = view.getBigUint64(0)
  const biased = Number(bits >> 52n)
  const fraction = bits & 0xfffffffffffffn
  const mantissa = biased === 0 ? fraction : fraction | 0x10000000000000n
  const power = Math.max(biased, 1) - 1075
  if (power >= 0) return { digits: mantissa << BigInt(power), exponent: 0 }
  // Two to a negative power is five to the positive one, over ten to it.
  return { digits: mantissa * 5n ** BigInt(-power), exponent: power }
}

/** Divides by a power of ten and rounds to the nearest, a tie to the even one. */
function shifted({ digits, exponent }: Exact, to: number): bigint {
  if (exponent >= to) return digits * 10n ** BigInt(exponent - to)
  const divisor = 10n ** BigInt(to - exponent)
  const quotient = digits / divisor
  const twice = (digits % divisor) * 2n
  const up = twice > divisor || (twice === divisor && quotient % 2n === 1n)
  return up ? quotient + 1n : quotient
}

/** The first digits of a number: `0.DIGITS` times ten to the power of `point`. */
interface Digits {
  readonly digits: string
  readonly point: number
}

/** As few digits as tell the number from every other double. */
function shortest(value: number): Digits {
  const [mantissa = '0', power = '0'] = Math.abs(value).toExponential().split('e')
  return { digits: mantissa.replace('.', ''), point: value === 0 ? 1 : Number(power) + 1 }
}

/** So many digits, at least one. */
function rounded(value: number, count: number): Digits {
  if (value === 0) return { digits: '0'.repeat(count), point: 1 }
  const number = exact(value)
  const length = number.digits.toString().length
  const point = length + number.exponent
  const digits = shifted(number, point - count).toString()
  // 9.99 rounds to one digit more.
  return digits.length > count ? { digits: digits.slice(0, count), point: point + 1 } : { digits, point }
}

/** So many digits after the point. */
function fixed(value: number, precision: number): string {
  const digits = shifted(exact(value), -precision)
    .toString()
    .padStart(precision + 1, '0')
  return precision === 0 ? digits : `${digits.slice(0, -precision)}.${digits.slice(-precision)}`
}

/**
 * A finite double as Go's `strconv.FormatFloat` writes it, without its sign. `precision` is -1 for as many digits as are
 * needed.
 */
export function formatFloat(value: number, verb: 'e' | 'f' | 'g', precision: number): string {
  if (verb === 'f') return precision < 0 ? plain(shortest(value)) : fixed(value, precision)
  if (verb === 'e') return scientific(precision < 0 ? shortest(value) : rounded(value, precision + 1))
  const significant = precision === 0 ? 1 : precision
  const number = trimmed(precision < 0 ? shortest(value) : rounded(value, significant))
  const { digits, point } = number
  const limit = precision < 0 ? 6 : significant > digits.length && digits.length >= point ? digits.length : significant
  return point - 1 < -4 || point - 1 >= limit ? scientific(number) : plain(number)
}

function trimmed({ digits, point }: Digits): Digits {
  const short = digits.replace(/0+$/, '')
  return { digits: short === '' ? '0' : short, point }
}

function scientific({ digits, point }: Digits): string {
  const exponent = point - 1
  const power = String(Math.abs(exponent)).padStart(2, '0')
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
  return `${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${power}`
}

function plain({ digits, point }: Digits): string {
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`
  const whole = digits.slice(0, point).padEnd(point, '0')
  return digits.length > point ? `${whole}.${digits.slice(point)}` : whole
}
