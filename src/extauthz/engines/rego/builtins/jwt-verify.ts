import { Buffer } from 'node:buffer'
import { compareDecimals } from '../decimal.ts'
import { isArray, isNumber, numberText, type RegoObject, type RegoValue } from '../value.ts'
import { type Builtin, BuiltinError, type Builtins, type Query } from './builtin.ts'
import { type VerificationKey, verificationKeys } from './jwt-keys.ts'
import {
  decodeHeader,
  decodeSignature,
  decodeText,
  parseObject,
  readHeader,
  signedPart,
  splitToken,
} from './jwt-token.ts'
import { asText, members, operand, text } from './operands.ts'
import { type Algorithm, type Key, parseAlgorithm, verifySignature } from './signature.ts'

/** `io.jwt.verify_rs256(token, certificate)` and its like, one for each algorithm. */
export const verifyBuiltins: Builtins = Object.fromEntries(
  ['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
    .map((name): [string, Algorithm] => [`io.jwt.verify_${name.toLowerCase()}`, parseAlgorithm(name) as Algorithm])
    .map(([name, algorithm]) => [
      name,
      algorithm.family === 'HS' ? verifyBySecret(algorithm) : verifyByKeys(algorithm),
    ]),
)

function verifyBySecret(algorithm: Algorithm): Builtin {
  return (args) => {
    const secret = Buffer.from(text(args, 1))
    const parts = splitToken(operand(args, 0))
    return verifySignature(algorithm, secret, Buffer.from(signedPart(parts)), decodeSignature(parts), true)
  }
}

function verifyByKeys(algorithm: Algorithm): Builtin {
  return (args) => {
    const parts = splitToken(operand(args, 0))
    const keys = verificationKeys(text(args, 1))
    const signature = decodeSignature(parts)
    const { kid, alg } = readHeader(decodeHeader(parts))
    const signed = Buffer.from(signedPart(parts))
    return anyVerifies(keys, kid, alg, (key) => verifySignature(algorithm, key, signed, signature, true))
  }
}

/** Of several keys the one that the token names decides alone; without one, those for its algorithm. */
function anyVerifies(
  keys: readonly VerificationKey[],
  kid: string,
  alg: string,
  verifies: (key: Key) => boolean,
): boolean {
  const named = kid === '' ? undefined : keys.find((key) => key.kid === kid)
  if (named !== undefined) return verifies(named.key)
  return keys.some((key) => (key.alg === '' || key.alg === alg) && verifies(key.key))
}

interface Constraints {
  readonly keys: readonly VerificationKey[] | null
  readonly secret: string
  readonly alg: string
  readonly iss: string
  readonly aud: string
  /** Nanoseconds since the epoch. */
  readonly time: number
}

/** `io.jwt.decode_verify(token, constraints)`: whether it is valid, with its header and payload when it is. */
export const decodeVerify: Builtin = (args, query) => {
  const constraints = readConstraints(members(args, 1), query)
  const token = verifyLayers(operand(args, 0), constraints)
  if (token === null || !claimsHold(token.payload, constraints)) return [false, new Map(), new Map()]
  return [true, token.header, token.payload]
}

const known: ReadonlySet<RegoValue> = new Set(['cert', 'secret', 'alg', 'iss', 'aud', 'time'])

function readConstraints(object: RegoObject, query: Query): Constraints {
  for (const name of object.keys()) if (!known.has(name)) throw new BuiltinError('unknown constraint')
  const named = (name: string) => asText(object.get(name) ?? '')
  const cert = object.get('cert')
  const keys = cert === undefined ? null : verificationKeys(asText(cert))
  const secret = named('secret')
  if ((keys === null) === (secret === '')) throw new BuiltinError('one of cert and secret is needed')
  const time = readTime(object.get('time') ?? Number(query.now))
  return { keys, secret, alg: named('alg'), iss: named('iss'), aud: named('aud'), time }
}

function readTime(value: RegoValue): number {
  const time = isNumber(value) ? Number(numberText(value)) : -1
  if (time < 0) throw new BuiltinError('time must be a number that is not negative')
  return time
}

/** The token, or what lies within the tokens that wrap it; null when one of them does not verify. */
function verifyLayers(outer: RegoValue, constraints: Constraints) {
  for (let token = outer; ; ) {
    const parts = splitToken(token)
    const header = decodeHeader(parts)
    const { alg, kid, cty, valid } = readHeader(header)
    if (!valid || (constraints.alg !== '' && constraints.alg !== alg)) return null
    const algorithm = parseAlgorithm(alg)
    const signature = decodeSignature(parts)
    const signed = Buffer.from(signedPart(parts))
    const verifies = (key: Key) => algorithm !== null && verifySignature(algorithm, key, signed, signature, false)
    const { keys, secret } = constraints
    if (!(keys === null ? verifies(Buffer.from(secret)) : anyVerifies(keys, kid, alg, verifies))) return null
    const payload = decodeText(parts.payload)
    if (cty.toUpperCase() !== 'JWT') return { header, payload: parseObject(payload) }
    // Each layer is at most three quarters of the one around it, so that this ends.
    token = payload
  }
}

function claimsHold(payload: RegoObject, { iss, aud, time }: Constraints): boolean {
  if (iss !== '') {
    const issuer = payload.get('iss')
    if (issuer === undefined || asText(issuer) !== iss) return false
  }
  const audience = payload.get('aud')
  if (audience === undefined ? aud !== '' : !hasAudience(audience, aud)) return false
  const seconds = String(time / 1e9)
  const expiry = payload.get('exp')
  if (expiry !== undefined && compareDecimals(seconds, timeText(expiry)) >= 0) return false
  const start = payload.get('nbf')
  return start === undefined || compareDecimals(seconds, timeText(start)) >= 0
}

function hasAudience(audience: RegoValue, wanted: string): boolean {
  return isArray(audience) ? audience.includes(wanted) : audience === wanted
}

function timeText(value: RegoValue): string {
  if (!isNumber(value)) throw new BuiltinError('exp and nbf must be numbers')
  return numberText(value)
}
