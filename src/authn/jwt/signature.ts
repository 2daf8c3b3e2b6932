import { constants, createHmac, type KeyObject, timingSafeEqual, type VerifyKeyObjectInput, verify } from 'node:crypto'
import type { JwtFailure } from './failure.ts'
import type { VerificationKey } from './jwk.ts'
import type { Token } from './token.ts'

/** What is left to do for one signature: one of `keys` verifies it, in this order, or the token is refused so. */
export interface SignatureSearch {
  readonly keys: readonly VerificationKey[]
  readonly otherwise: JwtFailure
}

/**
 * The keys that Envoy would try, in order: those whose `kid` and `alg` do not contradict the token's. A key is only ever
 * used with the algorithms of its own type and curve (RFC 7518 section 3), so that a public key is never an HMAC secret
 * and ES256 never verifies under P-384; Envoy is less strict there.
 */
export function searchSignature(token: Token, all: readonly VerificationKey[]): SignatureSearch {
  let candidate = false
  const keys: VerificationKey[] = []
  for (const key of all) {
    if (token.kid !== '' && key.kid !== '' && token.kid !== key.kid) continue
    if (key.alg !== '' && key.alg !== token.alg) continue
    candidate = true
    // Envoy stops at such a key whatever the token's algorithm.
    if (key.kind === 'ed25519' && token.signature.length !== 64)
      return { keys, otherwise: 'Jwt ED25519 signature is wrong length' }
    if (fits(token, key)) keys.push(key)
  }
  return {
    keys,
    otherwise: candidate ? 'Jwt verification fails' : "Jwks doesn't have key to match kid or alg from Jwt",
  }
}

/** Whether the key is of the algorithm's type and curve, and the signature as long as such a key makes it. */
function fits({ algorithm, signature }: Token, key: VerificationKey): boolean {
  switch (algorithm.kind) {
    case 'rsa':
    case 'rsa-pss':
      return key.kind === 'rsa'
    case 'ecdsa':
      return key.kind === 'ec' && key.curve === algorithm.curve && signature.length === algorithm.signatureBytes
    case 'eddsa':
      return key.kind === 'ed25519'
    case 'hmac':
      return key.kind === 'oct'
    default:
      return algorithm satisfies never
  }
}

/** Whether a key of the search verifies the signature, computed here and now. */
export function verifiesUnder(token: Token, key: VerificationKey): boolean {
  const data = signedBytes(token)
  if (key.kind === 'oct') return verifiesUnderSecret(token, key.secret, data)
  return verify(hashOf(token), data, verifyInput(token, key.key), token.signature)
}

/** The same on the platform's thread pool; `done` is called later, and once. What goes wrong there is false. */
export function verifyInPool(token: Token, key: VerificationKey, done: (verifies: boolean) => void): void {
  const data = signedBytes(token)
  if (key.kind === 'oct') {
    // A hash of a token takes less than the way to another thread.
    const verifies = verifiesUnderSecret(token, key.secret, data)
    queueMicrotask(() => done(verifies))
    return
  }
  verify(hashOf(token), data, verifyInput(token, key.key), token.signature, (error, verifies) =>
    done(error === null && verifies),
  )
}

function verifiesUnderSecret({ algorithm, signature }: Token, secret: Uint8Array, data: Buffer): boolean {
  if (algorithm.kind !== 'hmac') return false
  const expected = createHmac(algorithm.hash, secret).update(data).digest()
  return expected.length === signature.length && timingSafeEqual(expected, signature)
}

function signedBytes({ signed }: Token): Buffer {
  return Buffer.from(signed, 'latin1')
}

function hashOf({ algorithm }: Token): string | null {
  return algorithm.kind === 'eddsa' ? null : algorithm.hash
}

function verifyInput({ algorithm }: Token, key: KeyObject): KeyObject | VerifyKeyObjectInput {
  switch (algorithm.kind) {
    case 'rsa-pss':
      return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    case 'ecdsa':
      return { key, dsaEncoding: 'ieee-p1363' }
    default:
      return key
  }
}
