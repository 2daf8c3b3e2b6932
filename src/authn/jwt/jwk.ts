import { createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { Json } from '../../source/document.ts'
import type { Curve } from './algorithm.ts'
import { decodeBase64url } from './base64url.ts'
import { type JsonObject, parseJsonObject } from './strict-json.ts'

/** A key that signatures can be verified with. `kid` and `alg` are empty when the JWK has none. */
export type VerificationKey = { readonly kid: string; readonly alg: string } & (
  | { readonly kind: 'rsa'; readonly key: KeyObject }
  | { readonly kind: 'ec'; readonly curve: Curve; readonly key: KeyObject }
  | { readonly kind: 'ed25519'; readonly key: KeyObject }
  | { readonly kind: 'oct'; readonly secret: Uint8Array }
)

/** `skipped` says why some keys of a usable set were left out; it never quotes key material. */
export type Jwks =
  | { readonly kind: 'keys'; readonly keys: readonly VerificationKey[]; readonly skipped: readonly string[] }
  | { readonly kind: 'unusable'; readonly reason: string }

/** More keys than any issuer publishes; every one may cost a verification for a token without `kid`. */
const maxKeys = 256

/**
 * Parses a JSON Web Key Set (RFC 7517), or Envoy's other form, an object of PEM certificates by key id. Keys that are
 * not understood are skipped; a set without a single usable key is unusable.
 */
export function parseJwks(text: string): Jwks {
  const set = parseJsonObject(Buffer.from(text, 'utf8'))
  if (set === null) return unusable('Jwks is an invalid JSON')
  const list = set.keys
  if (list === undefined) return parseCertificates(set)
  if (!Array.isArray(list)) return unusable('[keys] in Jwks is not an array')
  if (list.length > maxKeys) return unusable(`Jwks has more than ${maxKeys} keys`)
  const keys: VerificationKey[] = []
  const skipped: string[] = []
  for (const [index, jwk] of (list as readonly Json[]).entries()) {
    const key = parseJwk(jwk)
    if (typeof key === 'string') skipped.push(`keys[${index}]: ${key}`)
    else keys.push(key)
  }
  if (keys.length > 0) return { kind: 'keys', keys, skipped }
  return unusable(["Jwks doesn't have any valid public key", ...skipped].join('; '))
}

function unusable(reason: string): Jwks {
  return { kind: 'unusable', reason }
}

/** A key, or why there is none. */
function parseJwk(jwk: Json): VerificationKey | string {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return 'it is not an object'
  const object = jwk as JsonObject
  const kid = typeof object.kid === 'string' ? object.kid : ''
  const alg = typeof object.alg === 'string' ? object.alg : ''
  switch (object.kty) {
    case 'RSA':
      return parseRsa(object, kid, alg)
    case 'EC':
      return parseEc(object, kid, alg)
    case 'OKP':
      return parseOkp(object, kid, alg)
    case 'oct':
      return parseOct(object, kid, alg)
    case undefined:
      return '[kty] is missing'
    default:
      return '[kty] is not supported'
  }
}

function parseRsa(jwk: JsonObject, kid: string, alg: string): VerificationKey | string {
  if (alg !== '' && !alg.startsWith('RS') && !alg.startsWith('PS')) return '[alg] is not one for an RSA key'
  const n = member(jwk, 'n')
  const e = member(jwk, 'e')
  if (n === null || e === null) return '[n] or [e] field is missing or has a parse error'
  const exponent = BigInt(`0x0${Buffer.from(e, 'base64url').toString('hex')}`)
  if (exponent !== 3n && exponent !== 65537n) return '[e] is neither 3 nor 65537'
  const key = importKey({ kty: 'RSA', n, e })
  const bits = key?.asymmetricKeyDetails?.modulusLength ?? 0
  // Shorter ones can be factored; longer ones make every verification a denial of service.
  if (key === null || bits < 1024 || bits > 16384) return '[n] is no modulus of 1024 to 16384 bits'
  return { kind: 'rsa', kid, alg, key }
}

const curveByAlgorithm: ReadonlyMap<string, Curve> = new Map([
  ['ES256', 'P-256'],
  ['ES384', 'P-384'],
  ['ES512', 'P-521'],
])
const curves: ReadonlySet<string> = new Set(curveByAlgorithm.values())

function parseEc(jwk: JsonObject, kid: string, alg: string): VerificationKey | string {
  if (alg !== '' && !alg.startsWith('ES')) return '[alg] is not one for an EC key'
  const named = jwk.crv
  if (named !== undefined && typeof named !== 'string') return '[crv] is not a string'
  const implied = alg === '' ? 'P-256' : curveByAlgorithm.get(alg)
  const crv = named === undefined || named === '' ? implied : named
  if (crv === undefined || !curves.has(crv)) return '[crv] or [alg] is not supported'
  if (alg !== '' && crv !== implied) return '[crv] is not compatible with [alg]'
  const x = member(jwk, 'x')
  const y = member(jwk, 'y')
  if (x === null || y === null) return '[x] or [y] field is missing or has a parse error'
  const key = importKey({ kty: 'EC', crv, x, y })
  if (key === null) return '[x] and [y] are no point of the curve'
  return { kind: 'ec', kid, alg, curve: crv as Curve, key }
}

function parseOkp(jwk: JsonObject, kid: string, alg: string): VerificationKey | string {
  if (alg !== '' && alg !== 'EdDSA') return '[alg] is not one for an OKP key'
  if (jwk.crv !== 'Ed25519') return '[crv] is not supported'
  const x = member(jwk, 'x')
  const key = x === null ? null : importKey({ kty: 'OKP', crv: 'Ed25519', x })
  if (key === null) return '[x] is no Ed25519 key'
  return { kind: 'ed25519', kid, alg, key }
}

function parseOct(jwk: JsonObject, kid: string, alg: string): VerificationKey | string {
  if (alg !== '' && !/^HS(256|384|512)$/.test(alg)) return '[alg] is not one for an oct key'
  const k = member(jwk, 'k')
  const secret = k === null ? null : Buffer.from(k, 'base64url')
  if (secret === null || secret.length === 0) return '[k] field is missing or has a parse error'
  return { kind: 'oct', kid, alg, secret }
}

/** A base64url member without white space or padding, or null. */
function member(jwk: JsonObject, name: string): string | null {
  const value = jwk[name]
  return typeof value === 'string' ? (decodeBase64url(value)?.toString('base64url') ?? null) : null
}

function importKey(jwk: JsonWebKey): KeyObject | null {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return null
  }
}

function parseCertificates(set: JsonObject): Jwks {
  const entries = Object.entries(set)
  if (entries.length === 0 || !entries.every(([kid, pem]) => kid !== '' && isPem(pem)))
    return unusable('Jwks does not have [keys] field')
  if (entries.length > maxKeys) return unusable(`Jwks has more than ${maxKeys} keys`)
  const keys: VerificationKey[] = []
  for (const [kid, pem] of entries) {
    const key = certificateKey(pem as string)
    if (key === null) return unusable('a certificate cannot be parsed or its key is not RSA')
    keys.push({ kind: 'rsa', kid, alg: '', key })
  }
  return { kind: 'keys', keys, skipped: [] }
}

function isPem(value: Json): boolean {
  return (
    typeof value === 'string' &&
    value.startsWith('-----BEGIN CERTIFICATE-----\n') &&
    value.endsWith('\n-----END CERTIFICATE-----\n')
  )
}

function certificateKey(pem: string): KeyObject | null {
  try {
    const key = new X509Certificate(pem).publicKey
    return key.asymmetricKeyType === 'rsa' ? key : null
  } catch {
    return null
  }
}
