import type { HeaderMap } from '../match/header-map.ts'
import type { JwtRule } from '../mesh/request-authentication.ts'
import type { Claims } from '../policy/facts.ts'
import type { Json } from '../source/document.ts'
import type { TokenClaims } from './jwt/token.ts'
import { printProtobufJson } from './output-headers-json.ts'

/** The headers in which a rule tells the application about a token. */
export interface OutputHeaders {
  /** Lower-case; the header for the payload, or null. */
  readonly payload: string | null
  readonly claims: readonly { readonly header: string; readonly path: readonly string[] }[]
}

/** In a claim's name a dot always means nesting. */
export function prepareOutputHeaders(rule: JwtRule): OutputHeaders {
  return {
    payload: rule.outputPayloadToHeader?.toLowerCase() ?? null,
    claims: rule.outputClaimToHeaders.map(({ header, claim }) => ({
      header: header.toLowerCase(),
      path: claim.split('.'),
    })),
  }
}

export function outputHeaderNames(output: OutputHeaders): string[] {
  return [...(output.payload === null ? [] : [output.payload]), ...output.claims.map((claim) => claim.header)]
}

/** Adds one line for each; a claim that is missing, empty, null or cannot stand in a header gives none. */
export function addOutputHeaders(
  output: OutputHeaders,
  token: Pick<TokenClaims, 'payload' | 'payloadSegment'>,
  headers: HeaderMap,
): void {
  if (output.payload !== null) headers.append(output.payload, token.payloadSegment)
  for (const { header, path } of output.claims) {
    const value = printClaim(findClaim(token.payload, path))
    if (value !== '' && !breaksHeader(value)) headers.append(header, value)
  }
}

function findClaim(payload: Claims, path: readonly string[]): Json | undefined {
  let value: Json | undefined = payload
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    value = (value as Claims)[name]
  }
  return value
}

/** Bytes as Latin-1, in Envoy's formats. */
function printClaim(value: Json | undefined): string {
  switch (typeof value) {
    case 'string':
      return Buffer.from(value, 'utf8').toString('latin1')
    case 'number':
      return printNumber(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      return value === null ? '' : Buffer.from(printProtobufJson(value), 'utf8').toString('base64')
    default:
      return ''
  }
}

/** Integers from 0 to 2^64 in decimal, everything else with six decimals. */
function printNumber(value: number): string {
  if (value >= 0 && value < 2 ** 64 && Number.isInteger(value)) return BigInt(value).toString()
  // From 1e21 on, toFixed would switch to exponents; such a double is an integer.
  if (Math.abs(value) >= 1e21) return `${BigInt(value)}.000000`
  const digits = value.toFixed(6)
  // Halfway between two results, which takes an odd multiple of 1/128, C rounds to the even one and toFixed up.
  const halfway = Math.abs(value * 128) % 2 === 1
  return halfway && Number(digits.at(-1)) % 2 === 1 ? digits.slice(0, -1) + (Number(digits.at(-1)) - 1) : digits
}

/** Control characters other than tabs are in no field value (RFC 9110 section 5.5): they could end or split the line. */
function breaksHeader(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i)
    if ((c < 0x20 && c !== 0x09) || c === 0x7f) return true
  }
  return false
}
