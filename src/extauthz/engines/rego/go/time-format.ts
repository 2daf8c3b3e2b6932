import { dayNames, monthNames, parseLayout } from './time-layout.ts'
import type { Zone } from './time-zone.ts'

/** A moment as clocks and calendars of a zone show it. */
export interface LocalTime {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
  readonly nanosecond: number
  /** 0 is Sunday. */
  readonly weekday: number
  /** Seconds ahead of UTC. */
  readonly offset: number
}

/** `nanoseconds` since the epoch. */
export function localTime(nanoseconds: bigint, zone: Zone): LocalTime {
  const nanosecond = Number(((nanoseconds % BILLION) + BILLION) % BILLION)
  const seconds = Number((nanoseconds - BigInt(nanosecond)) / BILLION)
  const offset = zone.offsetAt(seconds)
  const date = new Date((seconds + offset) * 1000)
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    nanosecond,
    weekday: date.getUTCDay(),
    offset,
  }
}

export const BILLION = 1_000_000_000n

/** Writes a moment as a layout of Go says. */
export function formatTime(nanoseconds: bigint, zone: Zone, layout: string): string {
  const time = localTime(nanoseconds, zone)
  const seconds = Number((nanoseconds - BigInt(time.nanosecond)) / BILLION)
  return parseLayout(layout)
    .map(({ literal, element }) => literal + (element === null ? '' : show(element, time, () => zone.nameAt(seconds))))
    .join('')
}

function show(element: string, time: LocalTime, zoneName: () => string): string {
  const hour12 = time.hour % 12 === 0 ? 12 : time.hour % 12
  switch (element) {
    case '2006':
      return digits(time.year, 4)
    case '06':
      return digits(time.year % 100, 2)
    case 'January':
      return monthNames[time.month - 1] as string
    case 'Jan':
      return (monthNames[time.month - 1] as string).slice(0, 3)
    case '1':
      return String(time.month)
    case '01':
      return digits(time.month, 2)
    case 'Monday':
      return dayNames[time.weekday] as string
    case 'Mon':
      return (dayNames[time.weekday] as string).slice(0, 3)
    case '2':
      return String(time.day)
    case '_2':
      return String(time.day).padStart(2)
    case '02':
      return digits(time.day, 2)
    case '__2':
      return String(dayOfYear(time)).padStart(3)
    case '002':
      return digits(dayOfYear(time), 3)
    case '15':
      return digits(time.hour, 2)
    case '3':
      return String(hour12)
    case '03':
      return digits(hour12, 2)
    case '4':
      return String(time.minute)
    case '04':
      return digits(time.minute, 2)
    case '5':
      return String(time.second)
    case '05':
      return digits(time.second, 2)
    case 'PM':
      return time.hour >= 12 ? 'PM' : 'AM'
    case 'pm':
      return time.hour >= 12 ? 'pm' : 'am'
    case 'MST':
      return zoneName()
    default:
      return element.startsWith('.') || element.startsWith(',')
        ? fraction(element, time.nanosecond)
        : offset(element, time.offset)
  }
}

function digits(number: number, length: number): string {
  return String(number).padStart(length, '0')
}

function dayOfYear({ year, month, day }: LocalTime): number {
  return (Date.UTC(year, month - 1, day) - Date.UTC(year, 0, 1)) / 86_400_000 + 1
}

/** Nines leave out zeros at the end, and the point before nothing. */
function fraction(element: string, nanosecond: number): string {
  const shown = digits(nanosecond, 9).slice(0, element.length - 1)
  const kept = element[1] === '9' ? shown.replace(/0+$/, '') : shown
  return kept === '' ? '' : `${element[0]}${kept}`
}

function offset(element: string, seconds: number): string {
  if (element.startsWith('Z') && seconds === 0) return 'Z'
  const minutes = Math.trunc(seconds / 60)
  const separator = element.includes(':') ? ':' : ''
  const parts = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60, Math.abs(seconds) % 60]
  const count = element.replace(/[^0-9]/g, '').length / 2
  const shown = parts.slice(0, count).map((part) => digits(part, 2))
  return `${minutes < 0 ? '-' : '+'}${shown.join(separator)}`
}
