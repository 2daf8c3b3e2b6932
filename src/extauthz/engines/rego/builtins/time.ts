import { parseDuration } from '../go/duration.ts'
import { BILLION, formatTime, type LocalTime, localTime } from '../go/time-format.ts'
import { dayNames } from '../go/time-layout.ts'
import { parseTime } from '../go/time-parse.ts'
import { findZone, momentOf, utc, type Zone } from '../go/time-zone.ts'
import { integer, isArray, type RegoValue } from '../value.ts'
import { type Arguments, BuiltinError, type Builtins } from './builtin.ts'
import { asText, asWhole, operand, smallWhole, text } from './operands.ts'

const LEAST = -(1n << 63n)
const MOST = (1n << 63n) - 1n

/** A time that nanoseconds in 64 bits can say: from 1677 to 2262. */
function inRange(nanoseconds: bigint | null): bigint {
  if (nanoseconds === null) throw new BuiltinError('the time cannot be read')
  if (nanoseconds < LEAST || nanoseconds > MOST) throw new BuiltinError('time outside of valid range')
  return nanoseconds
}

interface Moment {
  readonly nanoseconds: bigint
  readonly zone: Zone
  readonly layout: string
}

/** Nanoseconds, or a list of them with a zone and a layout. */
function moment(value: RegoValue): Moment {
  const [nanoseconds, zoneName, layout] = isArray(value) ? value : [value]
  const zone = zoneName === undefined ? utc : findZone(asText(zoneName))
  if (zone === null) throw new BuiltinError('unknown time zone')
  return { nanoseconds: inRange(asWhole(nanoseconds)), zone, layout: asText(layout ?? '') }
}

function local(args: Arguments, index = 0): LocalTime {
  const { nanoseconds, zone } = moment(operand(args, index))
  return localTime(nanoseconds, zone)
}

/** Months and days that there are not run over into the next, as in Go. */
function addDate(args: Arguments): bigint {
  const { nanoseconds, zone } = moment(operand(args, 0))
  const [years, months, days] = [smallWhole(args, 1), smallWhole(args, 2), smallWhole(args, 3)]
  const time = localTime(nanoseconds, zone)
  const date = new Date(0).setUTCFullYear(time.year + years, time.month - 1 + months, time.day + days)
  if (Number.isNaN(date)) throw new BuiltinError('time outside of valid range')
  const clock = time.hour * 3600 + time.minute * 60 + time.second
  const wanted = date / 1000 + clock
  // Beyond these years nanoseconds say nothing, and neither do zones.
  if (Math.abs(wanted) > 1e11) throw new BuiltinError('time outside of valid range')
  return inRange(BigInt(momentOf(wanted, zone)) * BILLION + BigInt(time.nanosecond))
}

/** Years, months, days, hours, minutes and seconds between two moments, as the first one's zone counts them. */
function difference(args: Arguments): number[] {
  const first = moment(operand(args, 0))
  const second = moment(operand(args, 1))
  const [from, to] = [first, second]
    .sort((a, b) => (a.nanoseconds < b.nanoseconds ? -1 : 1))
    .map(({ nanoseconds }) => localTime(nanoseconds, first.zone)) as [LocalTime, LocalTime]
  const parts = [
    to.year - from.year,
    to.month - from.month,
    to.day - from.day,
    to.hour - from.hour,
    to.minute - from.minute,
    to.second - from.second,
  ]
  const daysInMonth = new Date(Date.UTC(from.year, from.month, 0)).getUTCDate()
  const sizes = [Number.POSITIVE_INFINITY, 12, daysInMonth, 24, 60, 60]
  for (let i = parts.length - 1; i > 0; i--) {
    if ((parts[i] as number) >= 0) continue
    parts[i] = (parts[i] as number) + (sizes[i] as number)
    parts[i - 1] = (parts[i - 1] as number) - 1
  }
  return parts
}

export const timeBuiltins: Builtins = {
  'time.now_ns': (_, { now }) => integer(now),
  'time.parse_ns': (args) => integer(inRange(parseTime(text(args, 0), text(args, 1)))),
  'time.parse_rfc3339_ns': (args) => integer(inRange(parseTime('RFC3339', text(args, 0)))),
  'time.parse_duration_ns': (args) => {
    const duration = parseDuration(text(args, 0))
    if (duration === null) throw new BuiltinError('invalid duration')
    return integer(duration)
  },
  'time.format': (args) => {
    const { nanoseconds, zone, layout } = moment(operand(args, 0))
    return formatTime(nanoseconds, zone, layout === '' ? 'RFC3339Nano' : layout)
  },
  'time.date': (args) => {
    const { year, month, day } = local(args)
    return [year, month, day]
  },
  'time.clock': (args) => {
    const { hour, minute, second } = local(args)
    return [hour, minute, second]
  },
  'time.weekday': (args) => dayNames[local(args).weekday],
  'time.add_date': (args) => integer(addDate(args)),
  'time.diff': difference,
}
