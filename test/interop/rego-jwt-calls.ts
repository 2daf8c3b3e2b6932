import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { issue } from './rego-certificates.ts'
import type { Call } from './rego-comparison.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ec384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const ec521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
const ed = generateKeyPairSync('ed25519')
const other = generateKeyPairSync('rsa', { modulusLength: 2048 })

type Sign = (signed: string) => Buffer

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

function token(header: unknown, payload: unknown, signature: Sign): string {
  const signed = `${encode(header)}.${encode(payload)}`
  return `${signed}.${signature(signed).toString('base64url')}`
}

const hs =
  (hash: string, secret = 'secret'): Sign =>
  (signed) =>
    createHmac(hash, secret).update(signed).digest()
const rs =
  (hash: string, key: KeyObject = rsa.privateKey): Sign =>
  (signed) =>
    sign(hash, Buffer.from(signed), key)
const ps =
  (hash: string, saltLength = constants.RSA_PSS_SALTLEN_DIGEST): Sign =>
  (signed) =>
    sign(hash, Buffer.from(signed), { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
const es =
  (hash: string, key: KeyObject): Sign =>
  (signed) =>
    sign(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })

const payload = { sub: 'ann', exp: 4_000_000_000, nbf: 1, big: 1, é: '€' }
const header = (alg: string, more: object = {}) => ({ alg, typ: 'JWT', ...more })

const good: readonly (readonly [alg: string, token: string])[] = [
  ...(['256', '384', '512'] as const).flatMap((bits): [string, string][] => [
    [`HS${bits}`, token(header(`HS${bits}`), payload, hs(`sha${bits}`))],
    [`RS${bits}`, token(header(`RS${bits}`), payload, rs(`sha${bits}`))],
    [`PS${bits}`, token(header(`PS${bits}`), payload, ps(`sha${bits}`))],
  ]),
  ['ES256', token(header('ES256'), payload, es('sha256', ec256.privateKey))],
  ['ES384', token(header('ES384'), payload, es('sha384', ec384.privateKey))],
  ['ES512', token(header('ES512'), payload, es('sha512', ec521.privateKey))],
  ['EdDSA', token(header('EdDSA'), payload, (signed) => sign(null, Buffer.from(signed), ed.privateKey))],
]

const [hsToken] = good.map(([, text]) => text) as [string]
const [head, body, signature] = hsToken.split('.') as [string, string, string]
const mine = hs('sha256')
const wrapped = token(header('HS256', { cty: 'JWT' }), hsToken, mine)

const odd: readonly unknown[] = [
  ...[
    '',
    'a',
    'a.b',
    'a.b.c',
    'a.b.c.d',
    `${head}.${body}.`,
    `${head}.${body}`,
    `${head}.${body}.${signature}=`,
    `${hsToken}.x`,
    5,
    null,
  ],
  ...[
    `${head}.${body}.${signature.slice(0, -1)}`,
    `${head}==.${body}.${signature}`,
    ` ${hsToken}`,
    `${hsToken}\n`,
    wrapped,
  ],
  token('{"alg":"none"}', payload, () => Buffer.alloc(0)),
  token('{"typ":"JWT"}', payload, mine),
  token('[]', payload, mine),
  token('{"alg":"HS256"', payload, mine),
  token(header('HS256'), '[1]', mine),
  token(header('HS256'), 'text', mine),
  token(header('HS256'), '{"a":1,"a":2,"n":12345678901234567890,"f":1.0}', mine),
  token(header('HS256'), '{"n":1e30101,"m":0e999999999,"k":-1e-30101}', mine),
  token(header('HS256'), '{"n":1e30105}', mine),
  token(header('HS256', { enc: 'x' }), payload, mine),
  token(header('HS256', { crit: ['b64'], b64: false }), payload, mine),
  token(header('HS256', { crit: ['b64'] }), payload, mine),
  token(header('HS256', { crit: [] }), payload, mine),
  token(header('HS256', { crit: 'x' }), payload, mine),
  token(header('HS256', { crit: ['exp'], exp: 1 }), payload, mine),
  token(header('HS256', { kid: 5 }), payload, mine),
  token(header('HS256', { typ: 5 }), payload, mine),
  token(header('HS257'), payload, mine),
  token({ alg: 5 }, payload, mine),
  token(header('HS256', { cty: 'jwt' }), hsToken, mine),
  token(header('HS256', { cty: 'JWT' }), payload, mine),
  token(header('HS256', { cty: 'text' }), payload, mine),
  token(header('HS256', { cty: 'JWT' }), `"${hsToken}"`, mine),
  token(header('RS256'), payload, mine),
  token(header('HS256'), payload, hs('sha512')),
  token(header('RS256'), payload, rs('sha256', other.privateKey)),
  token(header('PS256'), payload, ps('sha256', 0)),
  token(header('PS256'), payload, ps('sha256', 64)),
  token(header('ES256'), payload, es('sha256', ec384.privateKey)),
  token(header('ES256'), payload, (signed) => sign('sha256', Buffer.from(signed), ec256.privateKey)),
  token(header('RS256', { kid: 'two' }), payload, rs('sha256')),
  token(header('RS256', { kid: 'one' }), payload, rs('sha256')),
  token(header('RS256', { kid: 'none' }), payload, rs('sha256')),
]

const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }) as string
const jwk = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: 'jwk' }), ...more })
const jwks = (...keys: object[]) => JSON.stringify({ keys })
const certificate = issue({ publicKey: rsa.publicKey, usage: { kind: 'workload', names: [] } })

const keys: readonly string[] = [
  ...[rsa, ec256, ec384, ec521, ed].map(({ publicKey }) => pem(publicKey)),
  certificate,
  `before\n${certificate}`,
  `${certificate}\n\n`,
  `${certificate}${certificate}`,
  pem(rsa.publicKey).replaceAll('PUBLIC KEY', 'RSA PUBLIC KEY'),
  JSON.stringify(jwk(rsa.publicKey)),
  jwks(jwk(rsa.publicKey), jwk(ec256.publicKey), jwk(ec384.publicKey), jwk(ec521.publicKey), jwk(ed.publicKey)),
  jwks(jwk(rsa.publicKey, { kid: 'one', alg: 'RS256' }), jwk(other.publicKey, { kid: 'two', alg: 'RS256' })),
  jwks(jwk(rsa.publicKey, { alg: 'RS384' })),
  jwks(jwk(rsa.publicKey, { alg: 'RSA-OAEP' })),
  jwks({ kty: 'oct', k: Buffer.from('secret').toString('base64url') }),
  jwks(),
  ...[
    '',
    '{}',
    'x',
    '[]',
    '{"keys":[5]}',
    jwks({ kty: 'RSA' }),
    jwks({ kty: 'nope' }),
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  ],
]

const names = good.map(([alg]) => alg)
const tokens: readonly unknown[] = [...good.map(([, text]) => text), ...odd]

export const jwtCalls: readonly Call[] = [
  ...tokens.map((one): Call => ['io.jwt.decode', one]),
  ...names.flatMap((alg) => {
    const name = `io.jwt.verify_${alg.toLowerCase()}`
    const given = alg.startsWith('HS') ? ['secret', 'another', '', 5] : keys
    // Every token for one algorithm of each family, for the others their own.
    const whole = alg.endsWith('256') || alg === 'EdDSA'
    const some = whole ? tokens : good.filter(([name]) => name.slice(-3) === alg.slice(-3)).map(([, text]) => text)
    return some.flatMap((one) => given.map((key): Call => [name, one, key]))
  }),
  ...tokens.flatMap((one) =>
    [
      ...[
        { secret: 'secret' },
        { secret: '' },
        { secret: 'x' },
        {},
        { secret: 'secret', alg: 'HS256' },
        { secret: 'secret', alg: 'HS512' },
      ],
      ...[{ secret: 'secret', iss: 'x' }, { secret: 'secret', aud: 'x' }, { secret: 'secret', q: 1 }, { secret: 5 }, 5],
      ...[
        { secret: 'secret', time: 0 },
        { secret: 'secret', time: 5e18 },
        { secret: 'secret', time: -1 },
        { secret: 'secret', time: 'x' },
      ],
      { secret: 'secret', cert: certificate },
      ...keys.map((cert) => ({ cert })),
    ].map((constraints): Call => ['io.jwt.decode_verify', one, constraints]),
  ),
  ...claims(),
  ...signing(),
]

/** Claims against constraints. */
function claims(): Call[] {
  const all = [
    ...[
      { exp: 100 },
      { exp: 100.5 },
      { exp: '100' },
      { exp: null },
      { nbf: 100 },
      { nbf: 100.5 },
      { nbf: '1' },
      { exp: 1e300 },
      { nbf: -1 },
    ],
    ...[
      { aud: 'x' },
      { aud: ['y', 'x'] },
      { aud: [] },
      { aud: 5 },
      { aud: ['', 5] },
      { aud: '' },
      { iss: 'x' },
      { iss: 'y' },
      {},
    ],
  ]
  const constraints = [
    { time: 100e9 },
    { time: 99.999999999e9 },
    { time: 100.5e9 },
    { time: 0 },
    { aud: 'x' },
    { iss: 'x' },
    { iss: 'x', aud: 'x' },
    { aud: '' },
  ]
  return all.flatMap((claim) =>
    constraints.map(
      (more): Call => ['io.jwt.decode_verify', token(header('HS256'), claim, mine), { secret: 'secret', ...more }],
    ),
  )
}

/** Only algorithms without chance give the same signature twice. */
function signing(): Call[] {
  const headers = [
    { alg: 'HS256' },
    { typ: 'JWT', alg: 'HS512' },
    { alg: 'RS256', typ: 'text' },
    { alg: 'EdDSA' },
    { alg: 'none' },
    {},
    { alg: 'ES384' },
    5,
  ]
  const signingKeys = [
    { kty: 'oct', k: 'c2VjcmV0' },
    jwk(rsa.privateKey),
    jwk(ed.privateKey),
    jwk(rsa.publicKey),
    {},
    { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] },
    5,
  ]
  const payloads = [{ b: 1, a: '<é>' }, {}, 'text']
  const objects = headers.flatMap((one) =>
    payloads.flatMap((two) => signingKeys.map((key): Call => ['io.jwt.encode_sign', one, two, key])),
  )
  const raws = headers.flatMap((one) =>
    ['{"b": 1}', 'text', ''].flatMap((two) =>
      signingKeys.map((key): Call => ['io.jwt.encode_sign_raw', JSON.stringify(one), two, JSON.stringify(key)]),
    ),
  )
  // OPA takes the bytes of an Ed25519 key for a secret.
  const isConfused = (call: Call) =>
    /"HS[0-9]/.test(JSON.stringify(call).replaceAll('\\', '')) && JSON.stringify(call).includes('Ed25519')
  return [...objects, ...raws].filter((call) => !isConfused(call))
}
