import type { HeaderMap } from '../match/header-map.ts'

/** Fields that belong to one connection (RFC 9110, 7.6.1), without `te`, which may keep `trailers`. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'] as const

/** Those that go where an upgrade is asked for: the others say what is asked. */
const HOP_BY_HOP_OF_UPGRADE = ['keep-alive', 'proxy-connection', 'transfer-encoding'] as const

/** What a sender must not have removed by naming it in Connection: it would change who the next reader thinks it is. */
const NEVER_NOMINATED = new Set([
  'host',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'content-length',
])

/** So many names in Connection are refused, as by Envoy: each costs a search, and no honest sender has them. */
const TOO_MANY_NOMINATED = 10

/**
 * Removes connection fields and those that Connection names. False when Connection names what it must not. As in Envoy,
 * Connection takes nothing away from a request for an upgrade: what was said of it is what policies look at.
 */
export function removeHopByHop(headers: HeaderMap, upgrade: boolean): boolean {
  if (!upgrade && headers.has('connection')) {
    let nominated = 0
    for (const line of headers.all('connection')) {
      for (const token of line.split(',')) {
        const name = token.trim().toLowerCase()
        if (NEVER_NOMINATED.has(name) || name.startsWith(':')) return false
        if (name !== '' && ++nominated === TOO_MANY_NOMINATED) return false
        if (name !== '' && name !== 'te' && name !== 'close') headers.delete(name)
      }
    }
  }
  for (const name of upgrade ? HOP_BY_HOP_OF_UPGRADE : HOP_BY_HOP) headers.delete(name)
  if (headers.has('te')) {
    const trailers = headers
      .all('te')
      .some((line) => line.split(',').some((t) => t.trim().toLowerCase() === 'trailers'))
    if (trailers) headers.set('te', 'trailers')
    else headers.delete('te')
  }
  return true
}

/** The same for an answer in flat form; returns a new flat list. */
export function withoutHopByHop(raw: readonly string[]): HeaderLines {
  const lines: string[] = []
  const nominated: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if ((raw[i] as string) !== 'connection') continue
    for (const token of (raw[i + 1] as string).split(',')) nominated.push(token.trim().toLowerCase())
  }
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    if ((HOP_BY_HOP as readonly string[]).includes(name) || nominated.includes(name)) continue
    lines.push(name, raw[i + 1] as string)
  }
  return lines
}

/** Name, value, name, value, ... with lower-case names. */
export type HeaderLines = string[]
