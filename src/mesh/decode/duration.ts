import type { Decoder } from './decoder.ts'
import { map, string } from './decoder.ts'

const unitMilliseconds: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['μs', 1e-3],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
])

/** Milliseconds of a Go duration such as `0.5s`, `100ms` or `1h30m`; null when the text is none. */
export function parseDuration(text: string): number | null {
  if (text.length > 64) return null
  if (text === '0') return 0
  const parts = /^([-+]?)((?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text)
  if (parts === null) return null
  let milliseconds = 0
  for (const [, number, unit] of (parts[2] as string).matchAll(/([0-9.]+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    milliseconds += Number(number) * (unitMilliseconds.get(unit as string) as number)
  }
  // Go counts nanoseconds in 64 bits.
  if (milliseconds * 1e6 >= 2 ** 63) return null
  return parts[1] === '-' ? -milliseconds : milliseconds
}

/**
 * A duration in milliseconds. Istio reads its configuration with Go's jsonpb, which takes every Go duration and not only
 * Protobuf's `0.5s`; a bare number has no unit and is refused by both.
 */
export const duration: Decoder<number> = map(string, (text, at) => {
  const milliseconds = parseDuration(text)
  if (milliseconds !== null && milliseconds >= 0) return milliseconds
  const help = /^[0-9.]+$/.test(text)
    ? `write the unit: \`${text}s\``
    : 'write a number and a unit: `0.5s`, `100ms`, `1m`'
  at.report('SP106', `\`${text}\` is not a duration`, { help })
  return undefined
})
