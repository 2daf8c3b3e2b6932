import { printIp } from '../match/ip.ts'
import type { Json, Path } from '../source/document.ts'
import type { Facts } from './facts.ts'
import { isPseudoHeader } from './header-lines.ts'
import type { Match } from './ir.ts'

/** The first condition of one alternative that did not hold. */
export interface MatchAttempt {
  /** The field as the user wrote it (`paths`, `notPaths`) or the `when` key. */
  readonly field: string
  readonly at: Path
  readonly expected: { readonly anyOf: readonly string[] } | { readonly noneOf: readonly string[] }
  /** What the request had; null when it had nothing. */
  readonly actual: Json
}

export interface RuleTrace {
  readonly id: string
  readonly matched: boolean
  /** One an alternative, `from` before `to`; empty when the rule matched or has no alternative at all. */
  readonly failed: readonly MatchAttempt[]
}

const secret: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie'])

/** The request's side of a condition, for people to read. Secrets are not shown. */
export function actualOf(match: Match, facts: Facts): Json {
  switch (match.kind) {
    case 'peer':
      return facts.peer === '' ? null : facts.peer.replace(/^spiffe:\/\//, '')
    case 'requestPrincipal':
      return facts.claims === null ? null : `${text(facts.claims.iss)}/${text(facts.claims.sub)}`
    case 'sourceIp':
      return printIp(facts.sourceIp)
    case 'remoteIp':
      return printIp(facts.remoteIp)
    case 'destinationIp':
      return printIp(facts.destinationIp)
    case 'port':
      return facts.destinationPort
    case 'sni':
      return facts.sni === '' ? null : facts.sni
    case 'host':
      return facts.host
    case 'method':
      return facts.method
    case 'path':
    case 'pathTemplate':
      return facts.urlPath
    case 'header':
      return headerOf(match.name, facts)
    case 'claim':
      return claimOf(match.path, facts)
    case 'metadata':
      return facts.metadata?.[match.filter]?.[match.key] ?? null
    default:
      return match satisfies never
  }
}

function text(claim: Json | undefined): string {
  return typeof claim === 'string' ? claim : ''
}

function headerOf(name: string, facts: Facts): Json {
  if (isPseudoHeader(name)) {
    return { ':authority': facts.host, ':method': facts.method, ':path': facts.urlPath, ':scheme': facts.scheme }[name]
  }
  const values = facts.headers?.all(name) ?? []
  if (values.length === 0) return null
  return secret.has(name) ? '(hidden)' : values.length === 1 ? (values[0] as string) : values
}

function claimOf(path: readonly string[], facts: Facts): Json {
  let value: Json = facts.claims
  for (const key of path) value = memberOf(value, key)
  return value
}

function memberOf(value: Json, key: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return null
  return (value as Readonly<Record<string, Json>>)[key] ?? null
}
