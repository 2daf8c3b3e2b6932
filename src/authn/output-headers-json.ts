import type { Json } from '../source/document.ts'

/**
 * JSON as Protobuf's printer writes it, which Envoy uses for claims that are lists or objects. Members keep their order;
 * Envoy's come in an order of chance.
 */
export function printProtobufJson(value: Json): string {
  if (typeof value === 'string') return printString(value)
  if (typeof value === 'number') return printDouble(value)
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(printProtobufJson).join(',')}]`
  const members = Object.entries(value as { readonly [name: string]: Json })
  return `{${members.map(([name, member]) => `${printString(name)}:${printProtobufJson(member)}`).join(',')}}`
}

/** Beyond what JSON demands: what is dangerous in HTML, and what cannot be seen. */
const escaped =
  /[<>\u007f-\u009f\u00ad\u0600-\u0603\u06dd\u070f\u17b4\u17b5\u200b-\u200f\u2028-\u202e\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/gu

function printString(text: string): string {
  return JSON.stringify(text).replace(escaped, (char) => {
    let units = ''
    for (let i = 0; i < char.length; i++) units += `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`
    return units
  })
}

/** C's `%.15g`, or `%.17g` where the former is another number. */
function printDouble(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const short = printGeneral(value, 15)
  return Number(short) === value ? short : printGeneral(value, 17)
}

function printGeneral(value: number, precision: number): string {
  const [mantissa = '', exponent = '0'] = value.toExponential(precision - 1).split('e')
  const power = Number(exponent)
  if (power >= -4 && power < precision) return withoutZeros(value.toFixed(precision - 1 - power))
  return `${withoutZeros(mantissa)}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}

function withoutZeros(digits: string): string {
  return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits
}
