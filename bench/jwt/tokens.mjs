// Tokens and a request authenticator as `sallyport up` has it, with one rule of one issuer.
import { generateKeyPairSync } from 'node:crypto'
import { signToken } from '../../dist/authn/jwt/sign-token.js'
import { createTokenVerifier } from '../../dist/authn/jwt/token-verifier.js'
import { createOfflineKeySource } from '../../dist/authn/key-source.js'
import { createRequestAuthenticator } from '../../dist/authn/request-authenticator.js'
import { HeaderMap } from '../../dist/match/header-map.js'
import { MetricsRegistry } from '../../dist/observe/metrics.js'

export const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'RS256', use: 'sig' }
const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
const now = Date.now()

/** A token as an issuer of users makes it: about 700 characters. */
export function tokenOf(serial, sign = true) {
  const second = Math.floor(now / 1000)
  const claims = {
    iss: 'https://issuer.example/realms/main',
    sub: `6f0c7a52-94f4-4f3e-8a0e-${String(serial).padStart(12, '0')}`,
    aud: ['https://api.example', 'account'],
    exp: second + 3600,
    iat: second,
    jti: `${serial}`,
    azp: 'web',
    scope: 'openid profile email orders:read',
    realm_access: { roles: ['user', 'offline_access'] },
    email: `user-${serial}@example.com`,
  }
  const header = '{"alg":"RS256","typ":"JWT","kid":"k"}'
  if (sign) return signToken(header, JSON.stringify(claims), { alg: 'RS256', key: privateKey })
  const [head, payload] = [header, JSON.stringify(claims)].map((text) => Buffer.from(text).toString('base64url'))
  return `${head}.${payload}.${Buffer.alloc(256, serial & 0xff || 1).toString('base64url')}`
}

export function authenticator() {
  const rule = {
    issuer: 'https://issuer.example/realms/main',
    audiences: ['https://api.example'],
    keys: { kind: 'inline', jwks: JSON.stringify({ keys: [jwk] }) },
    ...{ fromHeaders: [], fromParams: [], fromCookies: [], forwardOriginalToken: false },
    ...{ outputPayloadToHeader: null, outputClaimToHeaders: [{ header: 'x-user', claim: 'sub' }] },
    ...{ spaceDelimitedClaims: [], timeout: 5000 },
  }
  const verifier = createTokenVerifier({ logger: silent, metrics: new MetricsRegistry() })
  return createRequestAuthenticator([rule], createOfflineKeySource(), { verifier })
}

/** A request as from a socket: its texts were never seen before. */
export function requestOf(token) {
  const lines = [
    ['host', 'api.example'],
    ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'],
    ['accept', 'application/json'],
    ['accept-encoding', 'gzip, deflate, br'],
    ['x-request-id', '2f1c6e4e-3b0c-4f7e-9f5b-6c1d3a0b9e77'],
    ...(token === null ? [] : [['authorization', `Bearer ${token}`]]),
    ['cookie', 'theme=dark; lang=en'],
  ].map(([name, value]) => [name, Buffer.from(value, 'latin1').latin1Slice()])
  return {
    method: 'GET',
    scheme: 'https',
    host: 'api.example',
    path: '/orders/17?expand=lines',
    headers: HeaderMap.from(lines),
  }
}

export { now }
