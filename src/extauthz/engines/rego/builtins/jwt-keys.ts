import { Buffer } from 'node:buffer'
import { createPrivateKey, createPublicKey, type JsonWebKey, X509Certificate } from 'node:crypto'
import { BuiltinError } from './builtin.ts'
import { BoundedCache } from './cache.ts'
import { type Key, parseAlgorithm } from './signature.ts'

/** A key that may verify a token. */
export interface VerificationKey {
  /** Empty when the key does not say. */
  readonly alg: string
  readonly kid: string
  readonly key: Key
}

/** Reading a certificate or a key set costs more than verifying with it, and policies hold few. */
const known = new BoundedCache<readonly VerificationKey[]>(100)

/** The keys in a PEM certificate, a PEM public key, a JWK or a JWKS. */
export function verificationKeys(text: string): readonly VerificationKey[] {
  return known.get(text, () => (text.includes('-----BEGIN ') ? [pemKey(text)] : jwksKeys(text)))
}

function pemKey(text: string): VerificationKey {
  const start = /^-----BEGIN /m.exec(text)?.index ?? 0
  const block = /^-----BEGIN ([A-Z0-9 ]+)-----\r?\n[^-]*-----END \1-----[ \t]*(?:\r?\n)?$/.exec(text.slice(start))
  if (block === null) throw new BuiltinError('no PEM block, or extra data after it')
  return { alg: '', kid: '', key: attempt(() => publicKeyOf(block[0], block[1] as string)) }
}

function publicKeyOf(pem: string, type: string): Key {
  if (type === 'CERTIFICATE') return new X509Certificate(pem.trim()).publicKey
  if (type === 'PUBLIC KEY') return createPublicKey(pem.trim())
  throw new BuiltinError('the PEM block is neither a certificate nor a public key')
}

function jwksKeys(text: string): readonly VerificationKey[] {
  return parseJwks(text).flatMap((jwk) => {
    const { alg = '', kid = '' } = jwk as { readonly alg?: unknown; readonly kid?: unknown }
    if (typeof alg !== 'string' || typeof kid !== 'string') throw new BuiltinError('a JWK is malformed')
    const key = importJwk(jwk, 'public')
    return alg !== '' && parseAlgorithm(alg) === null ? [] : [{ alg, kid, key }]
  })
}

export type Jwk = JsonWebKey & Readonly<Record<string, unknown>>

/** The keys of a JWKS, or a JWK alone. */
export function parseJwks(text: string): readonly Jwk[] {
  const parsed: unknown = attempt(() => JSON.parse(text))
  if (typeof parsed !== 'object' || parsed === null) throw new BuiltinError('no JWK')
  const keys = 'keys' in parsed ? parsed.keys : [parsed]
  if (!Array.isArray(keys) || keys.some((key) => typeof key !== 'object' || key === null)) {
    throw new BuiltinError('no JWK')
  }
  return keys
}

/** `private`: to sign with. */
export function importJwk(jwk: Jwk, use: 'public' | 'private'): Key {
  if (jwk.kty === 'oct') {
    if (typeof jwk.k !== 'string' || !/^[A-Za-z0-9_-]*$/.test(jwk.k)) throw new BuiltinError('a JWK is malformed')
    return Buffer.from(jwk.k, 'base64url')
  }
  const input = { key: jwk, format: 'jwk' } as const
  return attempt(() => (use === 'public' ? createPublicKey(input) : createPrivateKey(input)))
}

/** What cannot be read makes the built-in undefined, whatever the reader throws. */
function attempt<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof BuiltinError) throw error
    throw new BuiltinError('the key cannot be read')
  }
}
