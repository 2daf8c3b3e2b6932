import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { signToken } from '../authn/jwt/sign-token.ts'

export type Claims = Readonly<Record<string, unknown>>

export interface IssuerOptions {
  /** What `iss` says; default `https://issuer.test`. */
  readonly issuer?: string
  /** Default ES256. */
  readonly alg?: 'ES256' | 'RS256' | 'EdDSA'
}

export interface TokenTimes {
  /** Milliseconds from `now` to `exp`; default an hour. Negative: the token has expired. */
  readonly expiresIn?: number
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: number
}

/** An issuer of tokens with a key of its own, which was made when it was and is nowhere else. */
export interface TestIssuer {
  readonly issuer: string
  /** The public key, as `verifyTokens` takes it. */
  readonly jwks: { readonly keys: readonly object[] }
  /**
   * A signed token with `iss`, `iat` and `exp`, and these claims, which win. A claim that is undefined is left out.
   * Another issuer of the same name makes tokens that do not verify.
   */
  sign(claims?: Claims, times?: TokenTimes): string
  /** Publishes the keys on a free port of 127.0.0.1. */
  serve(): Promise<ServedKeys>
}

export interface ServedKeys {
  readonly jwksUri: string
  /** How often the keys were fetched. */
  readonly fetched: number
  close(): Promise<void>
}

export function createIssuer({ issuer = 'https://issuer.test', alg = 'ES256' }: IssuerOptions = {}): TestIssuer {
  const { publicKey, privateKey } = generatePair(alg)
  const kid = randomUUID()
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }] }
  return {
    issuer,
    jwks,
    sign(claims = {}, { expiresIn = 3_600_000, now = Date.now() } = {}) {
      const iat = Math.floor(now / 1000)
      const payload = { iss: issuer, iat, exp: Math.floor((now + expiresIn) / 1000), ...claims }
      return signToken(JSON.stringify({ alg, kid, typ: 'JWT' }), JSON.stringify(payload), { alg, key: privateKey })
    },
    serve: () => serve(JSON.stringify(jwks)),
  }
}

function generatePair(alg: NonNullable<IssuerOptions['alg']>): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (alg) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    case 'RS256':
      return generateKeyPairSync('rsa', { modulusLength: 2048 })
    case 'EdDSA':
      return generateKeyPairSync('ed25519')
    default:
      return alg satisfies never
  }
}

async function serve(jwks: string): Promise<ServedKeys> {
  let fetched = 0
  const server = createServer((request, response) => {
    request.resume()
    fetched++
    response.writeHead(200, { 'content-type': 'application/json' }).end(jwks)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    jwksUri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    get fetched() {
      return fetched
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
