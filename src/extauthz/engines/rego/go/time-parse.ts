import { BILLION } from './time-format.ts'
import { dayNames, monthNames, parseLayout } from './time-layout.ts'

/** Reads a time as a layout of Go says: nanoseconds since the epoch, or null when the text does not fit. */
export function parseTime(layout: string, value: string): bigint | null {
  const reader = new TimeReader(value)
  const pieces = parseLayout(layout)
  for (const [index, { literal, element }] of pieces.entries()) {
    if (!reader.skip(literal)) return null
    if (element === null) break
    const next = pieces[index + 1]
    const fractionFollows = next?.literal === '' && /^[.,]/.test(next.element ?? '')
    if (!reader.read(element, fractionFollows)) return null
  }
  return reader.result()
}

type Part = 'year' | 'month' | 'day' | 'dayOfYear' | 'hour' | 'minute' | 'second'

class TimeReader {
  #rest: string
  readonly #parts = { year: 0, month: -1, day: -1, dayOfYear: -1, hour: 0, minute: 0, second: 0 }
  #nanosecond = 0
  #offset = 0
  #half: 'am' | 'pm' | null = null

  constructor(value: string) {
    this.#rest = value
  }

  /** A space stands for any number of them. */
  skip(literal: string): boolean {
    for (let prefix = literal; prefix !== ''; ) {
      if (prefix.startsWith(' ')) {
        if (this.#rest !== '' && !this.#rest.startsWith(' ')) return false
        prefix = prefix.replace(/^ +/, '')
        this.#rest = this.#rest.replace(/^ +/, '')
        continue
      }
      if (this.#rest[0] !== prefix[0]) return false
      prefix = prefix.slice(1)
      this.#rest = this.#rest.slice(1)
    }
    return true
  }

  read(element: string, fractionFollows: boolean): boolean {
    switch (element) {
      case '2006':
        return this.#take(/^[0-9]{4}/, (text) => this.#set('year', Number(text), 0, 9999))
      case '06':
        return this.#take(/^[0-9]{2}/, (text) => {
          const year = Number(text)
          return this.#set('year', year >= 69 ? year + 1900 : year + 2000, 1969, 2068)
        })
      case 'January':
        return this.#name(monthNames, (index) => this.#set('month', index + 1, 1, 12))
      case 'Jan':
        return this.#name(short(monthNames), (index) => this.#set('month', index + 1, 1, 12))
      case 'Monday':
        return this.#name(dayNames, () => {})
      case 'Mon':
        return this.#name(short(dayNames), () => {})
      case '1':
      case '01':
        return this.#number(element, (month) => this.#set('month', month, 1, 12))
      case '_2':
      case '2':
      case '02':
        if (element === '_2') this.#rest = this.#rest.replace(/^ /, '')
        return this.#number(element, (day) => this.#set('day', day, 0, 99))
      case '__2':
      case '002':
        if (element === '__2') this.#rest = this.#rest.replace(/^ {1,2}/, '')
        return this.#take(element === '002' ? /^[0-9]{3}/ : /^[0-9]{1,3}/, (text) =>
          this.#set('dayOfYear', Number(text), 0, 999),
        )
      case '15':
        return this.#number('1', (hour) => this.#set('hour', hour, 0, 23))
      case '3':
      case '03':
        return this.#number(element, (hour) => this.#set('hour', hour, 0, 12))
      case '4':
      case '04':
        return this.#number(element, (minute) => this.#set('minute', minute, 0, 59))
      case '5':
      case '05':
        return (
          this.#number(element, (second) => this.#set('second', second, 0, 59)) &&
          // A fraction may follow the seconds although the layout has none.
          (fractionFollows || this.#take(/^(?:[.,][0-9]+)?/, (text) => this.#fraction(text)))
        )
      case 'PM':
        return this.#take(/^[AP]M/, (text) => this.#setHalf(text))
      case 'pm':
        return this.#take(/^[ap]m/, (text) => this.#setHalf(text))
      case 'MST':
        return this.#zoneName()
      default:
        if (/^[.,]0/.test(element)) {
          return this.#take(new RegExp(`^[.,][0-9]{${element.length - 1}}`), (text) => this.#fraction(text))
        }
        if (/^[.,]/.test(element)) return this.#take(/^(?:[.,][0-9]+)?/, (text) => this.#fraction(text))
        return this.#zoneOffset(element)
    }
  }

  result(): bigint | null {
    if (this.#rest !== '') return null
    let hour = this.#parts.hour
    if (this.#half === 'pm' && hour < 12) hour += 12
    if (this.#half === 'am' && hour === 12) hour = 0
    const date = this.#date()
    if (date === null) return null
    const days = new Date(0).setUTCFullYear(this.#parts.year, date.month - 1, date.day)
    const seconds = days / 1000 + hour * 3600 + this.#parts.minute * 60 + this.#parts.second - this.#offset
    return BigInt(seconds) * BILLION + BigInt(this.#nanosecond)
  }

  #date(): { readonly month: number; readonly day: number } | null {
    const lengths = [31, isLeap(this.#parts.year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if (this.#parts.dayOfYear < 0) {
      const month = this.#parts.month < 0 ? 1 : this.#parts.month
      const day = this.#parts.day < 0 ? 1 : this.#parts.day
      return day >= 1 && day <= (lengths[month - 1] as number) ? { month, day } : null
    }
    let day = this.#parts.dayOfYear
    let month = 1
    while (month <= 12 && day > (lengths[month - 1] as number)) day -= lengths[month++ - 1] as number
    if (day < 1 || month > 12) return null
    const disagrees =
      (this.#parts.month >= 0 && this.#parts.month !== month) || (this.#parts.day >= 0 && this.#parts.day !== day)
    return disagrees ? null : { month, day }
  }

  #take(syntax: RegExp, use: (text: string) => boolean): boolean {
    const match = syntax.exec(this.#rest)
    if (match === null) return false
    this.#rest = this.#rest.slice(match[0].length)
    return use(match[0])
  }

  /** One or two digits; two where the layout has a zero first. */
  #number(element: string, use: (number: number) => boolean): boolean {
    return this.#take(element.startsWith('0') ? /^[0-9]{2}/ : /^[0-9]{1,2}/, (text) => use(Number(text)))
  }

  #set(part: Part, value: number, least: number, most: number): boolean {
    this.#parts[part] = value
    return value >= least && value <= most
  }

  #name(names: readonly string[], use: (index: number) => void): boolean {
    const start = this.#rest.toLowerCase()
    const index = names.findIndex((name) => start.startsWith(name.toLowerCase()))
    if (index === -1) return false
    this.#rest = this.#rest.slice((names[index] as string).length)
    use(index)
    return true
  }

  #setHalf(text: string): boolean {
    this.#half = text.toLowerCase() === 'pm' ? 'pm' : 'am'
    return true
  }

  #fraction(text: string): boolean {
    if (text !== '') this.#nanosecond = Number(text.slice(1, 10).padEnd(9, '0'))
    return true
  }

  /** Go knows the offset of a named zone only where it is the machine's: elsewhere the time counts as UTC. */
  #zoneName(): boolean {
    return this.#take(zoneNameSyntax, () => true)
  }

  #zoneOffset(element: string): boolean {
    if (element.startsWith('Z') && this.#rest.startsWith('Z')) return this.#take(/^Z/, () => true)
    const colon = element.includes(':') ? ':' : ''
    const count = element.replace(/[^0-9]/g, '').length / 2
    const syntax = new RegExp(`^([+-])${Array.from({ length: count }, () => '([0-9]{2})').join(colon)}`)
    const match = syntax.exec(this.#rest)
    if (match === null) return false
    this.#rest = this.#rest.slice(match[0].length)
    const [hours = 0, minutes = 0, seconds = 0] = match.slice(2).map(Number)
    const offset = (hours * 60 + minutes) * 60 + seconds
    this.#offset = match[1] === '-' ? -offset : offset
    return hours <= 24 && minutes <= 60 && seconds <= 60
  }
}

const zoneNameSyntax =
  /^(?:UTC|ChST|MeST|GMT(?:[+-](?:[01]?[0-9]|2[0-3])(?![0-9]))?|[+-](?:[01]?[0-9]|2[0-3])(?![0-9])|[A-Z]{4}T(?![A-Z])|(?:[A-Z]{3}T|WITA)(?![A-Z])|[A-Z]{3}(?![A-Z]))/

function short(names: readonly string[]): readonly string[] {
  return names.map((name) => name.slice(0, 3))
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}
