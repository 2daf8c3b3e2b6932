import { Buffer } from 'node:buffer'
import { constants, createHmac, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto'

/** How a JSON Web Signature is made (RFC 7518, 3.1; RFC 8037). */
export interface Algorithm {
  readonly family: 'HS' | 'RS' | 'PS' | 'ES' | 'EdDSA'
  readonly hash: 'sha256' | 'sha384' | 'sha512'
}

const hashes = { 256: 'sha256', 384: 'sha384', 512: 'sha512' } as const

/** Null for an algorithm that OPA does not know. */
export function parseAlgorithm(name: string): Algorithm | null {
  if (name === 'EdDSA') return { family: 'EdDSA', hash: 'sha512' }
  const parts = /^(HS|RS|PS|ES)(256|384|512)$/.exec(name)
  if (parts === null) return null
  return { family: parts[1] as 'HS', hash: hashes[parts[2] as unknown as 256] }
}

/** The secret of HMAC, or a public or private key. */
export type Key = Buffer | KeyObject

/** Whether the key is of the kind that the algorithm needs. Every curve serves every hash, as in OPA's own functions. */
export function isKeyFor(key: Key, { family }: Algorithm): key is KeyObject {
  if (Buffer.isBuffer(key)) return false
  const type = key.asymmetricKeyType
  if (family === 'ES') return type === 'ec'
  if (family === 'EdDSA') return type === 'ed25519'
  return family !== 'HS' && type === 'rsa'
}

/** `anySalt`: whether a salt of PSS may be of another length than the hash's. */
export function verifySignature(
  algorithm: Algorithm,
  key: Key,
  signed: Buffer,
  signature: Buffer,
  anySalt: boolean,
): boolean {
  const { family, hash } = algorithm
  if (family === 'HS') {
    if (!Buffer.isBuffer(key)) return false
    const expected = createHmac(hash, key).update(signed).digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  }
  if (!isKeyFor(key, algorithm)) return false
  try {
    if (family === 'EdDSA') return verify(null, signed, key, signature)
    if (family === 'ES') return verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
    const salt = anySalt ? constants.RSA_PSS_SALTLEN_AUTO : constants.RSA_PSS_SALTLEN_DIGEST
    return verify(hash, signed, { key, ...rsaPadding(family, salt) }, signature)
  } catch {
    return false
  }
}

/** Null when the key is not one for the algorithm. */
export function makeSignature(algorithm: Algorithm, key: Key, signed: Buffer): Buffer | null {
  const { family, hash } = algorithm
  if (family === 'HS') return Buffer.isBuffer(key) ? createHmac(hash, key).update(signed).digest() : null
  if (!isKeyFor(key, algorithm) || key.type !== 'private') return null
  if (family === 'EdDSA') return sign(null, signed, key)
  if (family === 'ES') return sign(hash, signed, { key, dsaEncoding: 'ieee-p1363' })
  return sign(hash, signed, { key, ...rsaPadding(family, constants.RSA_PSS_SALTLEN_DIGEST) })
}

function rsaPadding(family: 'RS' | 'PS', saltLength: number) {
  return family === 'RS'
    ? { padding: constants.RSA_PKCS1_PADDING }
    : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
}
