import type { HeaderMap } from '../match/header-map.ts'
import type { JwtRule } from '../mesh/request-authentication.ts'
import { cutParameter, readParameters } from './query-parameters.ts'

/** Where a rule looks for tokens, in the order in which Envoy lists them. */
export interface TokenLocations {
  readonly headers: readonly HeaderLocation[]
  readonly parameters: readonly string[]
  readonly cookies: readonly string[]
}

interface HeaderLocation {
  /** Lower-case. */
  readonly name: string
  readonly prefix: string
}

export type TokenSource =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'parameter'; readonly name: string }
  | { readonly kind: 'cookie' }

export interface FoundToken {
  readonly text: string
  readonly source: TokenSource
}

/** Any location given by the rule disables both defaults. Each location counts once. */
export function prepareLocations(rule: JwtRule): TokenLocations {
  const given = rule.fromHeaders.length + rule.fromParams.length + rule.fromCookies.length > 0
  const headers = given ? rule.fromHeaders : [{ name: 'authorization', prefix: 'Bearer ' }]
  const unique = new Map(
    headers.map(({ name, prefix }) => {
      const lower = name.toLowerCase()
      return [lower + prefix, { name: lower, prefix }]
    }),
  )
  return {
    headers: [...unique].sort(([a], [b]) => compare(a, b)).map(([, location]) => location),
    parameters: sortedSet(given ? rule.fromParams : ['access_token']),
    cookies: sortedSet(rule.fromCookies),
  }
}

/**
 * The tokens at these locations: of a header each, of parameters and cookies the first, as Envoy. A location that is
 * present but empty gives an empty token, which is a bad one.
 */
export function findTokens(locations: TokenLocations, headers: HeaderMap, path: string): FoundToken[] {
  return tokensAt(locations, headers, path, 1)
}

/** Also what is repeated: the next reader may take the last one. */
export function findEveryToken(locations: TokenLocations, headers: HeaderMap, path: string): FoundToken[] {
  return tokensAt(locations, headers, path, Number.POSITIVE_INFINITY)
}

function tokensAt(locations: TokenLocations, headers: HeaderMap, path: string, most: number): FoundToken[] {
  const found: FoundToken[] = []
  for (const { name, prefix } of locations.headers) {
    for (const value of headerValues(headers, name)) {
      const text = tokenAfter(prefix, value)
      if (text !== null) found.push({ text, source: { kind: 'header', name } })
    }
  }
  for (const name of locations.parameters) {
    for (const text of readParameters(path, name, most)) found.push({ text, source: { kind: 'parameter', name } })
  }
  for (const name of locations.cookies) {
    for (const text of readCookies(headers, name, most)) found.push({ text, source: { kind: 'cookie' } })
  }
  return found
}

/** Takes the token away: the header's every line, or the parameter. Cookies stay, as in Envoy. Returns the target. */
export function removeToken(source: TokenSource, headers: HeaderMap, path: string): string {
  switch (source.kind) {
    case 'header':
      headers.delete(source.name)
      return path
    case 'parameter':
      return cutParameter(path, source.name)
    case 'cookie':
      return path
    default:
      return source satisfies never
  }
}

/** `authorization` is one value to Envoy however many lines it has; of any other header each line is a token. */
function headerValues(headers: HeaderMap, name: string): string[] {
  const lines = headers.all(name).map(trimSpace)
  return name === 'authorization' && lines.length > 1 ? [lines.join(',')] : lines
}

/** What follows the prefix, which may stand anywhere; null when it does not. */
function tokenAfter(prefix: string, value: string): string | null {
  if (prefix === '') return value
  const at = value.indexOf(prefix)
  if (at === -1) return null
  for (let i = at + prefix.length; i < value.length; i++) if (isTokenByte(value.charCodeAt(i))) return value.slice(i)
  // With nothing that looks like a token Envoy takes the whole value, which is then malformed.
  return value
}

function isTokenByte(c: number): boolean {
  return (
    (c >= 0x61 && c <= 0x7a) ||
    (c >= 0x41 && c <= 0x5a) ||
    (c >= 0x30 && c <= 0x39) ||
    c === 0x2d ||
    c === 0x2e ||
    c === 0x5f
  )
}

/** The first `most` cookies of this name in any line, without their quotes. */
function readCookies(headers: HeaderMap, name: string, most: number): readonly string[] {
  const values: string[] = []
  for (let line = headers.indexOf('cookie'); line !== -1; line = headers.indexOf('cookie', line + 1)) {
    for (const cookie of headers.valueAt(line).split(';')) {
      const equals = cookie.indexOf('=')
      if (equals === -1 || cookie.slice(0, equals).trimStart() !== name) continue
      const value = cookie.slice(equals + 1)
      values.push(value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value)
      if (values.length === most) return values
    }
  }
  return values
}

/** Optional white space around a field value is not part of it (RFC 9110 section 5.5). */
function trimSpace(value: string): string {
  let start = 0
  let end = value.length
  while (start < end && isBlank(value.charCodeAt(start))) start++
  while (end > start && isBlank(value.charCodeAt(end - 1))) end--
  return value.slice(start, end)
}

function isBlank(c: number): boolean {
  return c === 0x20 || c === 0x09
}

function sortedSet(names: readonly string[]): string[] {
  return [...new Set(names)].sort(compare)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
