import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { signToken } from '#src/authn/jwt/sign-token.ts'

/** Keys, tokens and rules for the comparison of request authentication with Envoy. */

export const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  rsa2: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  ed: generateKeyPairSync('ed25519'),
  weak: generateKeyPairSync('rsa', { modulusLength: 512 }),
}
export const secret = createSecretKey(randomBytes(32))

const jwk = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: 'jwk' }), ...more })
export const jwks = (...keys: object[]) => JSON.stringify({ keys })
export const keys = {
  rsa: jwk(pairs.rsa.publicKey),
  rsa2: jwk(pairs.rsa2.publicKey),
  p256: jwk(pairs.p256.publicKey),
  p384: jwk(pairs.p384.publicKey),
  p521: jwk(pairs.p521.publicKey),
  ed: jwk(pairs.ed.publicKey),
  oct: jwk(secret),
  weak: jwk(pairs.weak.publicKey),
}
export const named = (key: object, more: object) => ({ ...key, ...more })

/** Seconds since the epoch. */
export const seconds = () => Math.floor(Date.now() / 1000)

export interface TokenOptions {
  /** Default: `{alg}`; text is taken as it is. */
  readonly header?: object | string
  readonly key?: KeyObject
  readonly alg?: string
}

/** A token of issuer A and subject u, unless the claims say otherwise; text is taken as it is. */
export function tokenOf(
  claims: object | string = {},
  { header, key = pairs.rsa.privateKey, alg = 'RS256' }: TokenOptions = {},
) {
  const head = typeof header === 'string' ? header : JSON.stringify({ alg, ...header })
  const payload = typeof claims === 'string' ? claims : JSON.stringify({ iss: 'A', sub: 'u', ...claims })
  return signToken(head, payload, { alg, key })
}

export const tokenB = (claims: object = {}) =>
  tokenOf({ iss: 'B', sub: 'v', ...claims }, { key: pairs.p256.privateKey, alg: 'ES256' })

/** The same with a signature that is none. */
export const broken = (token: string) => token.replace(/.{8}$/, (end) => (end === 'AAAAAAAA' ? 'BBBBBBBB' : 'AAAAAAAA'))

const a = { issuer: 'A', jwks: jwks(keys.rsa) }
const b = { issuer: 'B', jwks: jwks(keys.p256) }
const all = [keys.rsa, keys.p256, keys.p384, keys.p521, keys.oct]
const inBoth = { fromHeaders: [{ name: 'x-b' }, { name: 'Authorization', prefix: 'Bearer ' }] }

/** RequestAuthentication's `jwtRules` by the name of the workload that they are for; a list is one policy. */
export const setups: Readonly<Record<string, readonly (readonly object[])[]>> = {
  one: [[a]],
  forwarded: [[{ ...a, forwardOriginalToken: true }]],
  audience: [[{ ...a, audiences: ['https://svc/', 'other'] }]],
  'any-issuer': [[{ jwksUri: 'uri' }]],
  places: [
    [
      {
        ...a,
        fromHeaders: [{ name: 'x-jwt' }, { name: 'X-Tok', prefix: 'tok ' }],
        fromParams: ['token', 'other'],
        fromCookies: ['ck', 'dk'],
      },
    ],
  ],
  'one-header-two-prefixes': [
    [
      {
        ...a,
        fromHeaders: [
          { name: 'x', prefix: 'a ' },
          { name: 'x', prefix: 'b ' },
        ],
      },
    ],
  ],
  'same-place': [[b, a]],
  'two-policies': [[b], [a]],
  'two-places': [[a, { ...b, fromHeaders: [{ name: 'x-b' }] }]],
  'shared-places': [
    [
      { ...a, ...inBoth },
      { ...b, ...inBoth },
    ],
  ],
  'equal-issuers': [
    [
      { ...a, audiences: ['aud1'] },
      { ...a, audiences: ['aud2'] },
    ],
  ],
  'equal-issuers-other-keys': [[{ ...a, jwks: jwks(keys.rsa2) }, a]],
  outputs: [
    [
      {
        ...a,
        outputPayloadToHeader: 'X-Payload',
        outputClaimToHeaders: [
          { header: 'X-Role', claim: 'role' },
          { header: 'x-team', claim: 'org.team' },
          { header: 'x-twice', claim: 'role' },
        ],
      },
      { ...b, outputClaimToHeaders: [{ header: 'x-b-sub', claim: 'sub' }] },
    ],
  ],
  'outputs-two-places': [
    [
      { ...a, outputClaimToHeaders: [{ header: 'x-who', claim: 'sub' }] },
      { ...b, fromHeaders: [{ name: 'x-b' }], outputClaimToHeaders: [{ header: 'x-who', claim: 'sub' }] },
    ],
  ],
  words: [[{ ...a, spaceDelimitedClaims: ['roles', 'groups'] }]],
  kids: [
    [
      {
        issuer: 'A',
        jwks: jwks(
          named(keys.rsa2, { kid: 'x' }),
          named(keys.rsa, { kid: 'y', alg: 'RS256' }),
          named(keys.p256, { kid: 'z' }),
        ),
      },
    ],
  ],
  'equal-kids': [[{ issuer: 'A', jwks: jwks(named(keys.rsa2, { kid: 'k' }), named(keys.rsa, { kid: 'k' })) }]],
  algorithms: [[{ issuer: 'A', jwks: jwks(...all) }]],
  'rsa-only': [[{ issuer: 'A', jwks: jwks(named(keys.rsa, { use: 'enc', key_ops: ['sign'] })) }]],
  ed: [[{ issuer: 'A', jwks: jwks(keys.ed) }]],
  'ed-and-rsa': [[{ issuer: 'A', jwks: jwks(keys.ed, keys.rsa) }]],
  p256: [[{ issuer: 'A', jwks: jwks(keys.p256) }]],
  p384: [[{ issuer: 'A', jwks: jwks(keys.p384) }]],
  weak: [[{ issuer: 'A', jwks: jwks(keys.weak) }]],
  oct: [[{ issuer: 'A', jwks: jwks(keys.oct) }]],
  unreachable: [[{ issuer: 'A', jwksUri: 'gone' }, b]],
}

/** What policies see of a token shows in which of these paths it opens. */
export const doors = [
  '/open',
  '/named',
  '/as-u',
  '/as-v',
  '/read',
  '/role',
  '/group',
  '/aud',
  '/azp',
  '/nested',
  '/number',
] as const

const opened = (path: string, source: object | null, when: object[] = []) => ({
  ...(source === null ? {} : { from: [{ source }] }),
  ...{ to: [{ operation: { paths: [path, `${path}?*`] } }] },
  ...(when.length === 0 ? {} : { when }),
})
const claim = (key: string, ...values: string[]) => [{ key: `request.auth.claims${key}`, values }]

export const doorRules = [
  opened('/open', null),
  opened('/named', { requestPrincipals: ['*'] }),
  opened('/as-u', { requestPrincipals: ['A/u'] }),
  opened('/as-v', { requestPrincipals: ['B/v'] }),
  opened('/read', null, claim('[scope]', 'read')),
  opened('/role', null, claim('[roles]', 'admin')),
  opened('/group', null, claim('[groups]', 'dev ops')),
  opened('/aud', null, [{ key: 'request.auth.audiences', values: ['svc'] }]),
  opened('/azp', null, [{ key: 'request.auth.presenter', values: ['me'] }]),
  opened('/nested', null, claim('[org][team]', 'web')),
  opened('/number', null, claim('[level]', '5')),
]
