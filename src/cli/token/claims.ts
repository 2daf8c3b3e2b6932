import { type Args, UsageError } from '../command.ts'
import { readDuration } from '../duration.ts'

/** Claims by name, each as the JSON text that the token has for it: numbers stay as they were written. */
export type Claims = ReadonlyMap<string, string>

/** What the command line says about claims. Throws UsageError. */
export function readClaims(args: Args, now: number): Claims {
  const given = new Map<string, string>()
  for (const text of args.values('claim')) {
    const [name, json] = readClaim(text)
    if (given.has(name)) throw new UsageError(`--claim: \`${name}\` was given twice`)
    given.set(name, json)
  }
  const claims = new Map<string, string>()
  const named: readonly (readonly [string, string | undefined])[] = [
    ['iss', quoted(args.value('iss'))],
    ['sub', quoted(args.value('sub'))],
    ['aud', audience(args.values('aud'))],
  ]
  for (const [name, json] of named) {
    if (json === undefined) continue
    if (given.has(name)) throw new UsageError(`--${name} and --claim ${name}=... contradict each other`)
    claims.set(name, json)
  }
  const second = Math.floor(now / 1000)
  claims.set('iat', String(second))
  const ttl = args.value('ttl')
  if (ttl !== undefined && given.has('exp')) throw new UsageError('--ttl and --claim exp=... contradict each other')
  if (ttl !== 'none') {
    const expires = second + Math.floor(readDuration(ttl ?? '1h', '--ttl') / 1000)
    if (expires < 0) throw new UsageError(`--ttl: \`${ttl}\` is before 1970`)
    claims.set('exp', String(expires))
  }
  for (const [name, json] of given) claims.set(name, json)
  return claims
}

export function printClaims(claims: Claims): string {
  return `{${[...claims].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`
}

function readClaim(text: string): readonly [name: string, json: string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError(`--claim needs NAME=JSON, not \`${text}\``)
  const [name, json] = [text.slice(0, equals), text.slice(equals + 1).trim()]
  try {
    JSON.parse(json)
  } catch {
    const hint = /^[\w .:/@-]+$/.test(json) ? `a text is in quotes: --claim '${name}="${json}"'` : undefined
    throw new UsageError(`--claim ${name}: \`${json}\` is no JSON`, hint)
  }
  return [name, json]
}

function quoted(text: string | undefined): string | undefined {
  return text === undefined ? undefined : JSON.stringify(text)
}

function audience(values: readonly string[]): string | undefined {
  return values.length < 2 ? quoted(values[0]) : JSON.stringify(values)
}
