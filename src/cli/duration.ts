import { UsageError } from './command.ts'

const UNITS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 }

/** `90d`, `24h`, `1h30m`, `45s`, in milliseconds; with a minus sign the past. Throws UsageError. */
export function readDuration(text: string, option: string): number {
  if (!/^-?(?:[0-9]{1,7}[dhms]){1,4}$/.test(text)) {
    throw new UsageError(
      `${option}: \`${text}\` is no duration`,
      'write days, hours, minutes or seconds: 90d, 24h, 1h30m',
    )
  }
  let sum = 0
  for (const [, count, unit] of text.matchAll(/([0-9]+)([dhms])/g)) sum += Number(count) * (UNITS[unit as string] ?? 0)
  return text.startsWith('-') ? -sum : sum
}

/** As Go prints it, which Istio's messages are made of: `2160h0m0s`, `1m30s`, `45s`. */
export function printGoDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000)
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  const rest = `${seconds % 60}s`
  if (hours > 0) return `${hours}h${minutes}m${rest}`
  return minutes > 0 ? `${minutes}m${rest}` : rest
}
