const units: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

/** Hours of the units that OPA adds to Go's. */
const longer: Readonly<Record<string, number>> = { d: 24, w: 7 * 24, y: 365 * 24 }

const LIMIT = 1n << 63n

/** Reads a duration such as `1d2h30.5m`: nanoseconds, or null when it is none or too long. */
export function parseDuration(text: string): bigint | null {
  const sign = /^[+-]/.exec(text)?.[0] ?? ''
  const rest = text.slice(sign.length)
  if (rest === '0') return 0n
  if (!/^(?:[0-9.]+[^0-9.]+)+$/.test(rest)) return null
  let total = 0n
  for (const [, number = '', unit = ''] of rest.matchAll(/([0-9.]+)([^0-9.]+)/g)) {
    const hours = longer[unit]
    const part = hours === undefined ? inUnit(number, unit) : inHours(number, hours)
    if (part === null) return null
    total += part
    if (total > LIMIT) return null
  }
  if (sign === '-') return -total
  return total === LIMIT ? null : total
}

function inUnit(number: string, unit: string): bigint | null {
  const scale = units[unit]
  const parts = /^([0-9]*)(?:\.([0-9]*))?$/.exec(number)
  if (scale === undefined || parts === null) return null
  const [, whole = '', fraction = ''] = parts
  if (whole === '' && fraction === '') return null
  const exact = BigInt(whole || '0') * scale
  // Go's arithmetic, to the last bit.
  const digits = fraction.slice(0, 18)
  const part = Math.trunc(Number(digits || '0') * (Number(scale) / 10 ** digits.length))
  const sum = exact + BigInt(part)
  return sum > LIMIT ? null : sum
}

/** OPA multiplies as doubles do, then reads the product. */
function inHours(number: string, hours: number): bigint | null {
  if (!/^(?:[0-9]+\.?[0-9]*|\.[0-9]+)$/.test(number)) return null
  const product = Number(number) * hours
  return product < 1e15 ? inUnit(plain(product), 'h') : null
}

function plain(value: number): string {
  return value < 1e-6 && value > 0 ? value.toFixed(20).replace(/0+$/, '') : String(value)
}
