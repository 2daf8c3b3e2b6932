import type { Random } from './random.ts'
import type { Json, Line, TokenSpec } from './spec.ts'

/** One rule of a RequestAuthentication, as far as requests need to know it. */
export interface GeneratedRule {
  readonly issuer: string
  readonly keys: 'main' | 'second'
  readonly audiences: readonly string[]
  readonly headers: readonly { readonly name: string; readonly prefix?: string }[]
  readonly params: readonly string[]
  readonly cookies: readonly string[]
}

const ISSUERS = ['https://idp', 'idp2', 'i']

export function generateRules(random: Random): {
  readonly rules: readonly GeneratedRule[]
  readonly documents: readonly Json[]
} {
  const count = random.weighted([
    [5, () => 1],
    [2, () => 2],
    [0.5, () => 3],
  ])
  const made = Array.from({ length: count }, () => oneRule(random))
  return { rules: made.map(({ rule }) => rule), documents: made.map(({ document }) => document) }
}

function oneRule(random: Random): { readonly rule: GeneratedRule; readonly document: Json } {
  const issuer = random.pick(ISSUERS)
  const keys = issuer === 'https://idp' ? 'main' : random.pick(['main', 'second'] as const)
  const audiences = random.chance(0.3) ? random.some(['v', 'https://svc/', 'w'], 1, 2) : []
  const located = random.chance(0.4)
  const headers = located && random.chance(0.7) ? [random.pick(LOCATIONS)] : []
  const params = located && random.chance(0.4) ? ['token'] : []
  const cookies = located && (random.chance(0.3) || headers.length + params.length === 0) ? ['ck'] : []
  const anyIssuer = random.chance(0.04)
  const list = (name: string, values: readonly Json[]) => (values.length === 0 ? {} : { [name]: values })
  const document = {
    ...(anyIssuer ? { jwksUri: 'https://keys.example/' } : { issuer }),
    jwks: `@jwks:${keys}@`,
    ...list('audiences', audiences),
    ...list('fromHeaders', headers),
    ...list('fromParams', params),
    ...list('fromCookies', cookies),
    ...(random.chance(0.35) ? { forwardOriginalToken: true } : {}),
    ...(random.chance(0.15) ? { outputPayloadToHeader: 'x-payload' } : {}),
    ...(random.chance(0.25) ? { outputClaimToHeaders: random.some(OUTPUTS, 1, 3) } : {}),
    ...(random.chance(0.15) ? { spaceDelimitedClaims: ['delim'] } : {}),
  }
  return { rule: { issuer, keys, audiences, headers, params, cookies }, document }
}

const LOCATIONS = [{ name: 'x-jwt' }, { name: 'X-Tok', prefix: 'tok ' }, { name: 'authorization', prefix: 'Bearer ' }]

const OUTPUTS: readonly Json[] = [
  { header: 'x-role', claim: 'c' },
  { header: 'x-claim-n', claim: 'n' },
  { header: 'x-claim-deep', claim: 'deep.er' },
  { header: 'x-claim-groups', claim: 'groups' },
  { header: 'x-claim-sub', claim: 'sub' },
  { header: 'x-claim-flag', claim: 'flag' },
]

/** What is wrong or odd about a token. */
export type TokenState = keyof typeof states

const LATER = 4_102_444_800
const EARLIER = 1_577_836_800

type Claims = { [name: string]: Json }

/** Each state changes a good token's header, claims, key or text. */
const states = {
  good: [40, () => ({})],
  noExpiry: [2, (claims: Claims) => ({ claims: without(claims, 'exp') })],
  expired: [3, (claims: Claims) => ({ claims: { ...claims, exp: EARLIER } })],
  early: [3, (claims: Claims) => ({ claims: { ...claims, nbf: LATER } })],
  badSignature: [3, () => ({ damage: 'signature' as const })],
  stranger: [2, () => ({ key: 'stranger' })],
  unknownIssuer: [3, (claims: Claims) => ({ claims: { ...claims, iss: 'https://other' } })],
  noIssuer: [1.5, (claims: Claims) => ({ claims: without(claims, 'iss') })],
  noSubject: [2, (claims: Claims) => ({ claims: without(claims, 'sub') })],
  wrongAudience: [3, (claims: Claims) => ({ claims: { ...claims, aud: 'elsewhere' } })],
  noAudience: [2, (claims: Claims) => ({ claims: without(claims, 'aud') })],
  unknownKey: [1.5, () => ({ header: { kid: 'nobody' } })],
  noKeyId: [2, () => ({ header: { kid: undefined } })],
  noAlgorithm: [1, () => ({ header: { alg: undefined } })],
  unknownAlgorithm: [1.5, () => ({ header: { alg: 'none' } })],
  twoParts: [1, () => ({ damage: 'twoParts' as const })],
  fourParts: [1, () => ({ damage: 'fourParts' as const })],
  padding: [1, () => ({ damage: 'padding' as const })],
  notBase64: [1, () => ({ damage: 'notBase64' as const })],
  expiryText: [1, (claims: Claims) => ({ claims: { ...claims, exp: 'soon' } })],
  subjectNumber: [1, (claims: Claims) => ({ claims: { ...claims, sub: 1 } })],
  audienceNumber: [1, (claims: Claims) => ({ claims: { ...claims, aud: [1] } })],
} as const satisfies { readonly [name: string]: readonly [number, (claims: Claims) => TokenChange] }

interface TokenChange {
  readonly claims?: Claims
  readonly header?: { readonly [name: string]: string | undefined }
  readonly key?: string
  readonly damage?: TokenSpec['damage']
}

export const tokenStates = Object.keys(states) as readonly TokenState[]

export interface GeneratedToken {
  readonly token: TokenSpec
  readonly state: TokenState
}

export function generateToken(random: Random, rule: GeneratedRule): GeneratedToken {
  const state = random.weighted(tokenStates.map((name) => [states[name][0], () => name] as const))
  const key =
    rule.keys === 'second'
      ? 'ec2'
      : random.weighted([
          [8, () => 'ec'],
          [1, () => 'rsa'],
          [1, () => 'ed'],
        ])
  const claims: Claims = {
    iss: rule.issuer,
    sub: random.pick(['u', 'u', 'v', 'idp/u', '']),
    exp: LATER,
    ...(rule.audiences.length > 0
      ? { aud: random.pick([rule.audiences[0] as string, [...rule.audiences, 'x'], 'http://svc']) }
      : {}),
    ...(rule.audiences.length === 0 && random.chance(0.5) ? { aud: random.pick<Json>(['v', ['v', 'w'], 'x']) } : {}),
    ...(random.chance(0.4) ? { azp: random.pick(['v', 'w', 'va']) } : {}),
    ...Object.fromEntries(random.some(OTHER, 0, 6).map(([name, values]) => [name, random.pick(values)])),
  }
  const change: TokenChange = states[state][1](claims)
  const algorithms: { readonly [key: string]: string } = { ec: 'ES256', ec2: 'ES256', rsa: 'RS256', ed: 'EdDSA' }
  const header = { alg: algorithms[key], kid: key, ...change.header }
  return {
    state,
    token: {
      key: change.key ?? key,
      header: JSON.stringify(change.key === 'stranger' ? { ...header, alg: 'ES256', kid: 'ec' } : header),
      claims: JSON.stringify(change.claims ?? claims),
      damage: change.damage ?? 'none',
    },
  }
}

const OTHER: readonly (readonly [string, readonly Json[]])[] = [
  ['c', ['v', 'va', 'w', ['v', 'x'], { d: 'v' }, { d: ['w', 'v'] }, 1, true, null]],
  ['groups', [['v', 'w'], [], ['a', 1], 'v']],
  ['scope', ['v w', 'v', 'w', 'x v']],
  ['permission', ['v w', ['v']]],
  ['deep', [{ er: 'v' }, { er: { x: 'v' } }, { er: ['va'] }]],
  ['n', [1, 1.5, -3, 1e20, '1']],
  ['a.b', ['v', 'w']],
  ['delim', ['v w', 'v']],
  ['flag', [true, false]],
]

function without(claims: Claims, name: string): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([one]) => one !== name))
}

/** Where a request carries a token, in a place that the rule looks at, or that none does. */
export function place(
  random: Random,
  rule: GeneratedRule,
  token: string,
): { readonly headers: readonly Line[]; readonly query: string } {
  const places: (() => { readonly headers: readonly Line[]; readonly query: string })[] = []
  const header = (name: string, value: string) => ({ headers: [[name, value] as const], query: '' })
  for (const { name, prefix = '' } of rule.headers) places.push(() => header(name, `${prefix}${token}`))
  for (const name of rule.params) places.push(() => ({ headers: [], query: `${name}=${token}` }))
  for (const name of rule.cookies)
    places.push(() =>
      header('cookie', random.pick([`${name}=${token}`, `a=1; ${name}=${token}; b=2`, `${name}="${token}"`])),
    )
  if (places.length === 0 || random.chance(0.1)) {
    places.push(() => header('authorization', `Bearer ${token}`))
    if (random.chance(0.3)) places.push(() => ({ headers: [], query: `access_token=${token}` }))
    if (random.chance(0.15)) {
      places.push(() =>
        header(
          'Authorization',
          random.pick([
            `bearer ${token}`,
            `Foo Bearer ${token}`,
            `Bearer  ${token}`,
            'Bearer ',
            'Basic x',
            `Bearer ${token} junk`,
          ]),
        ),
      )
    }
  }
  return random.pick(places)()
}
