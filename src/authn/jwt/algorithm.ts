/** A JWS algorithm (RFC 7518 section 3, RFC 8037) and the only kind of key that it may be verified with. */
export type Algorithm =
  | { readonly kind: 'rsa'; readonly hash: Hash }
  | { readonly kind: 'rsa-pss'; readonly hash: Hash }
  | { readonly kind: 'ecdsa'; readonly hash: Hash; readonly curve: Curve; readonly signatureBytes: number }
  | { readonly kind: 'hmac'; readonly hash: Hash }
  | { readonly kind: 'eddsa' }

export type Hash = 'sha256' | 'sha384' | 'sha512'
export type Curve = 'P-256' | 'P-384' | 'P-521'

const algorithms: ReadonlyMap<string, Algorithm> = new Map<string, Algorithm>([
  ['RS256', { kind: 'rsa', hash: 'sha256' }],
  ['RS384', { kind: 'rsa', hash: 'sha384' }],
  ['RS512', { kind: 'rsa', hash: 'sha512' }],
  ['PS256', { kind: 'rsa-pss', hash: 'sha256' }],
  ['PS384', { kind: 'rsa-pss', hash: 'sha384' }],
  ['PS512', { kind: 'rsa-pss', hash: 'sha512' }],
  ['ES256', { kind: 'ecdsa', hash: 'sha256', curve: 'P-256', signatureBytes: 64 }],
  ['ES384', { kind: 'ecdsa', hash: 'sha384', curve: 'P-384', signatureBytes: 96 }],
  ['ES512', { kind: 'ecdsa', hash: 'sha512', curve: 'P-521', signatureBytes: 132 }],
  ['HS256', { kind: 'hmac', hash: 'sha256' }],
  ['HS384', { kind: 'hmac', hash: 'sha384' }],
  ['HS512', { kind: 'hmac', hash: 'sha512' }],
  ['EdDSA', { kind: 'eddsa' }],
])

/** Null for every other name, `none` included. */
export function findAlgorithm(name: string): Algorithm | null {
  return algorithms.get(name) ?? null
}
