import { constants, createHmac, timingSafeEqual, verify } from 'node:crypto'
import type { JwtFailure } from './failure.ts'
import type { VerificationKey } from './jwk.ts'
import type { Token } from './token.ts'

/**
 * Tries the keys in order, as Envoy does: those whose `kid` and `alg` do not contradict the token's. A key is only ever
 * used with the algorithms of its own type and curve (RFC 7518 section 3), so that a public key is never an HMAC secret
 * and ES256 never verifies under P-384; Envoy is less strict there. Null when one verifies.
 */
export function verifySignature(token: Token, keys: readonly VerificationKey[]): JwtFailure | null {
  let candidate = false
  for (const key of keys) {
    if (token.kid !== '' && key.kid !== '' && token.kid !== key.kid) continue
    if (key.alg !== '' && key.alg !== token.alg) continue
    candidate = true
    // Envoy stops at such a key whatever the token's algorithm.
    if (key.kind === 'ed25519' && token.signature.length !== 64) return 'Jwt ED25519 signature is wrong length'
    if (verifiesUnder(token, key)) return null
  }
  return candidate ? 'Jwt verification fails' : "Jwks doesn't have key to match kid or alg from Jwt"
}

function verifiesUnder(token: Token, key: VerificationKey): boolean {
  const { algorithm, signature } = token
  const data = Buffer.from(token.signed, 'latin1')
  switch (algorithm.kind) {
    case 'rsa':
      return key.kind === 'rsa' && verify(algorithm.hash, data, key.key, signature)
    case 'rsa-pss': {
      if (key.kind !== 'rsa') return false
      const padding = constants.RSA_PKCS1_PSS_PADDING
      const saltLength = constants.RSA_PSS_SALTLEN_DIGEST
      return verify(algorithm.hash, data, { key: key.key, padding, saltLength }, signature)
    }
    case 'ecdsa':
      return (
        key.kind === 'ec' &&
        key.curve === algorithm.curve &&
        signature.length === algorithm.signatureBytes &&
        verify(algorithm.hash, data, { key: key.key, dsaEncoding: 'ieee-p1363' }, signature)
      )
    case 'eddsa':
      return key.kind === 'ed25519' && verify(null, data, key.key, signature)
    case 'hmac': {
      if (key.kind !== 'oct') return false
      const expected = createHmac(algorithm.hash, key.secret).update(data).digest()
      return expected.length === signature.length && timingSafeEqual(expected, signature)
    }
    default:
      return algorithm satisfies never
  }
}
