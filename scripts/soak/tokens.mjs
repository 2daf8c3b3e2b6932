import { generateKeyPairSync, sign } from 'node:crypto'
import { ISSUER } from './mesh.mjs'

/** Tokens of one issuer whose keys are made for this run. */
export class Tokens {
  #key
  #other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  #made = new Map()
  jwks

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#key = privateKey
    this.jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] })
  }

  /**
   * `state`: `good`, `expired`, or `forged`, signed with a key that is not the issuer's. The same claims give the same
   * token: the proxies know those that they verified, and would gather new ones up to a bound that a run does not reach.
   */
  make(state, claims) {
    const key = `${state} ${JSON.stringify(claims)}`
    const made = this.#made.get(key) ?? this.#sign(state, claims)
    this.#made.set(key, made)
    return made
  }

  #sign(state, claims) {
    const exp = Math.floor(Date.now() / 1000) + (state === 'expired' ? -3600 : 86_400)
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ alg: 'ES256', typ: 'JWT', kid: 'k' })}.${part({ iss: ISSUER, exp, ...claims })}`
    const key = state === 'forged' ? this.#other : this.#key
    const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
    return { state, claims, text: `${text}.${signature.toString('base64url')}` }
  }
}
