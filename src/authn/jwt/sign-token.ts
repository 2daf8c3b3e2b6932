import { constants, createHmac, type KeyObject, sign } from 'node:crypto'
import type { Algorithm } from './algorithm.ts'
import { findAlgorithm } from './algorithm.ts'

/** A private key (or for HS algorithms a secret key) and the algorithm to use it with. */
export interface SigningKey {
  readonly alg: string
  readonly key: KeyObject
}

/**
 * Signs a compact JWS over the JSON texts given, which are taken as they are. For development tokens. Throws on an
 * algorithm that does not exist or does not fit the key.
 */
export function signToken(header: string, payload: string, { alg, key }: SigningKey): string {
  const algorithm = findAlgorithm(alg)
  if (algorithm === null) throw new TypeError(`${alg} is no JWS algorithm`)
  const signed = `${Buffer.from(header).toString('base64url')}.${Buffer.from(payload).toString('base64url')}`
  return `${signed}.${signatureOf(Buffer.from(signed), algorithm, key).toString('base64url')}`
}

function signatureOf(data: Buffer, algorithm: Algorithm, key: KeyObject): Buffer {
  switch (algorithm.kind) {
    case 'rsa':
      return sign(algorithm.hash, data, key)
    case 'rsa-pss': {
      const padding = constants.RSA_PKCS1_PSS_PADDING
      return sign(algorithm.hash, data, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST })
    }
    case 'ecdsa':
      return sign(algorithm.hash, data, { key, dsaEncoding: 'ieee-p1363' })
    case 'hmac':
      return createHmac(algorithm.hash, key).update(data).digest()
    case 'eddsa':
      return sign(null, data, key)
    default:
      return algorithm satisfies never
  }
}
