import { type Args, UsageError } from './command.ts'

/** The port that an option names, or `fallback`; null for 0: it is not served. Throws UsageError on what is no port. */
export function readPort(args: Args, name: string, fallback: number): number | null {
  const text = args.value(name)
  if (text === undefined) return fallback
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65535) throw new UsageError(`--${name}: \`${text}\` is no port`)
  return Number(text) === 0 ? null : Number(text)
}
