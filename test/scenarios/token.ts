import { createHmac, type KeyObject, sign } from 'node:crypto'

export type Claims = Readonly<Record<string, unknown>>

/** A token signed with a shared secret (HS256). */
export function secretToken(claims: Claims, secret: string): string {
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

/** A token signed with a P-256 key (ES256). */
export function signedToken(claims: Claims, key: KeyObject, kid: string): string {
  const text = `${part({ alg: 'ES256', typ: 'JWT', kid })}.${part(claims)}`
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
