import type { Buffer } from 'node:buffer'
import { parseJson } from '../text.ts'
import { isArray, isObject, type RegoObject, type RegoValue } from '../value.ts'
import { decodeBase64Url } from './base64.ts'
import { BuiltinError } from './builtin.ts'
import { asText } from './operands.ts'

/** The parts of a token (JWS compact serialization), still encoded. */
export interface TokenParts {
  readonly header: string
  readonly payload: string
  readonly signature: string
}

export function splitToken(token: RegoValue): TokenParts {
  const [header, payload, signature, ...rest] = asText(token).split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) {
    throw new BuiltinError('a token has 3 parts')
  }
  return { header, payload, signature }
}

/** What the signature is of. */
export function signedPart({ header, payload }: TokenParts): string {
  return `${header}.${payload}`
}

export function decodeHeader(parts: TokenParts): RegoObject {
  const header = parseObject(decodeText(parts.header))
  // Encrypted tokens have it (RFC 7516, 9).
  if (header.has('enc')) throw new BuiltinError('the token is encrypted')
  return header
}

export function decodeText(part: string): string {
  return decodeBase64Url(part).toString('utf8')
}

export function decodeSignature({ signature }: TokenParts): Buffer {
  return decodeBase64Url(signature)
}

export function parseObject(text: string): RegoObject {
  const parsed = parseJson(text)
  if (parsed === null || !isObject(parsed.value)) throw new BuiltinError('no JSON object')
  return parsed.value
}

/** The members of a header that decide how a token is verified. */
export interface TokenHeader {
  readonly alg: string
  readonly kid: string
  readonly cty: string
  /** Whether it has `alg`, and nothing critical that is not understood (RFC 7515, 4.1.11). */
  readonly valid: boolean
}

const understood: ReadonlySet<RegoValue> = new Set(['alg', 'kid', 'typ', 'cty', 'crit'])

export function readHeader(header: RegoObject): TokenHeader {
  const named = (name: string) => asText(header.get(name) ?? '')
  const [alg, kid, cty] = [named('alg'), named('kid'), named('cty')]
  named('typ')
  const critical = readCritical(header.get('crit'))
  const unknown = [...header.keys()].some((key) => !understood.has(key) && critical.has(key))
  return { alg, kid, cty, valid: alg !== '' && !unknown }
}

/** What stands before the first that is no name counts, as in OPA. */
function readCritical(value: RegoValue | undefined): ReadonlySet<RegoValue> {
  if (value === undefined) return new Set()
  if (!isArray(value)) throw new BuiltinError('crit must be a list')
  const end = value.findIndex((name) => typeof name !== 'string')
  const names = new Set(end === -1 ? value : value.slice(0, end))
  if (names.size === 0) throw new BuiltinError('crit must not be empty')
  return names
}
