/** Where and when clocks are ahead of UTC or behind it. */
export interface Zone {
  /** Seconds to add to UTC at this moment (seconds since the epoch). */
  offsetAt(seconds: number): number
  /** What people call it at this moment, such as `CET`; an offset such as `+03` where there is no name. */
  nameAt(seconds: number): string
}

export const utc: Zone = { offsetAt: () => 0, nameAt: () => 'UTC' }

const MAX_ZONES = 500
const zones = new Map<string, Zone | null>()

/** A zone by its name in the IANA database; `Local` is the machine's. Null for an unknown one. */
export function findZone(name: string): Zone | null {
  if (name === '' || name === 'UTC') return utc
  const known = zones.get(name)
  if (known !== undefined) return known
  const zone = makeZone(name)
  // More than there are zones: names that someone makes up.
  if (zones.size >= MAX_ZONES) zones.clear()
  zones.set(name, zone)
  return zone
}

function makeZone(name: string): Zone | null {
  if (!/^[A-Za-z]/.test(name)) return null
  const timeZone = name === 'Local' ? Intl.DateTimeFormat().resolvedOptions().timeZone : name
  let clock: Intl.DateTimeFormat
  try {
    clock = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch {
    return null
  }
  const offsetAt = (seconds: number) => {
    const parts = clock.formatToParts(seconds * 1000)
    const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((one) => one.type === type)?.value)
    const month = part('month') - 1
    const local = Date.UTC(part('year'), month, part('day'), part('hour'), part('minute'), part('second'))
    return local / 1000 - seconds
  }
  return { offsetAt, nameAt: (seconds) => nameOf(timeZone, seconds, offsetAt(seconds)) }
}

/** Names are local: people far away write the offset, and so does `Intl` for them. */
const locales = ['en-US', 'en-GB', 'en-AU', 'en-IN', 'en-ZA', 'en-NZ']

function nameOf(timeZone: string, seconds: number, offset: number): string {
  for (const locale of locales) {
    const parts = new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: 'short' }).formatToParts(seconds * 1000)
    const name = parts.find(({ type }) => type === 'timeZoneName')?.value ?? ''
    if (/^[A-Z]{3,5}$/.test(name)) return name
  }
  const minutes = Math.trunc(Math.abs(offset) / 60)
  const digits = [Math.trunc(minutes / 60), minutes % 60].map((number) => String(number).padStart(2, '0'))
  return `${offset < 0 ? '-' : '+'}${digits[0]}${digits[1] === '00' ? '' : digits[1]}`
}

/** The moment (seconds since the epoch) when clocks show a local time, which is given as if it were UTC. */
export function momentOf(local: number, zone: Zone): number {
  const offset = zone.offsetAt(local)
  if (offset === 0 || zone.offsetAt(local - offset) === offset) return local - offset
  return local - zone.offsetAt(local - offset)
}
