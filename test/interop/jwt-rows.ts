import { createSecretKey } from 'node:crypto'
import type { Line } from './envoy.ts'
import { broken, keys, pairs, seconds, secret, tokenB, tokenOf } from './jwt-setups.ts'

/** One request, sent behind each door. */
export interface Row {
  readonly setup: string
  readonly what: string
  readonly lines: readonly Line[]
  readonly method?: string
  /** Behind the path. */
  readonly query?: string
}

type Value = string | ((T: string) => string)

/** Requests on which both must agree in everything. Tokens are made when it is called: their times are relative. */
export function sameRows(): Row[] {
  const T = tokenOf()
  const now = seconds()
  const rows: Row[] = []
  const row = (setup: string, what: string, lines: readonly Line[], more: Partial<Row> = {}) =>
    rows.push({ setup, what, lines, ...more })
  const auth = (setup: string, values: Record<string, string>) => {
    for (const [what, value] of Object.entries(values)) row(setup, what, [['authorization', value]])
  }
  const bearer = (setup: string, tokens: Record<string, string>) =>
    auth(setup, Object.fromEntries(Object.entries(tokens).map(([what, token]) => [what, `Bearer ${token}`])))
  const [header, payload, signature] = T.split('.') as [string, string, string]
  const b64 = (text: string) => Buffer.from(text).toString('base64url')

  // Extraction from the header.
  row('one', 'no token', [])
  auth('one', {
    empty: '',
    'scheme alone': 'Bearer',
    'scheme and a space': 'Bearer ',
    'lower case': `bearer ${T}`,
    'upper case': `BEARER ${T}`,
    'another scheme': 'Basic x',
    'another scheme with a token': `Basic ${T}`,
    'a tab': `Bearer\t${T}`,
    'no scheme': T,
    'a prefix before': `Foo Bearer ${T}`,
    'spaces between': `Bearer    ${T}`,
    'spaces around': ` Bearer ${T}  `,
    'other bytes between': `Bearer ,;${T}`,
    'Latin-1 between': `Bearer \u00e9${T}`,
    'Latin-1 behind': `Bearer ${T}\u00e9`,
    'junk behind': `Bearer ${T} junk`,
    'a comma behind': `Bearer ${T},x`,
    quotes: `Bearer "${T}"`,
    'nothing of a token': 'Bearer !!',
    'scheme twice': `Bearer Bearer ${T}`,
  })
  row('one', 'two lines, one token', [
    ['authorization', 'Basic x'],
    ['authorization', `Bearer ${T}`],
  ])
  row('one', 'two lines, token first', [
    ['authorization', `Bearer ${T}`],
    ['authorization', 'Basic x'],
  ])
  row('one', 'two tokens', [
    ['authorization', `Bearer ${T}`],
    ['authorization', `Bearer ${T}`],
  ])
  row('one', 'two lines, one bad', [
    ['authorization', 'Bearer bad'],
    ['authorization', `Bearer ${T}`],
  ])

  // The form of a token.
  bearer('one', {
    'one segment': 'abc',
    'two segments': `${header}.${payload}`,
    'empty signature': `${header}.${payload}.`,
    'four segments': `${T}.x`,
    'empty segments': `..${header}..${payload}.${signature}.`,
    'only dots': '...',
    'no base64 anywhere': 'a.b.c',
    'header not JSON': `YQ.${payload}.${signature}`,
    'header a list': `${b64('[]')}.${payload}.${signature}`,
    'alg twice': tokenOf({}, { header: '{"alg":"RS256","alg":"RS256"}' }),
    'no alg': tokenOf({}, { header: '{}' }),
    'alg null': tokenOf({}, { header: '{"alg":null}' }),
    'alg a number': tokenOf({}, { header: '{"alg":5}' }),
    'alg none': `${b64('{"alg":"none"}')}.${payload}.${signature}`,
    'alg none without signature': `${b64('{"alg":"none"}')}.${payload}.`,
    'alg in lower case': tokenOf({}, { header: '{"alg":"rs256"}' }),
    'alg unknown': tokenOf({}, { header: '{"alg":"RS1"}' }),
    'alg ES256K': tokenOf({}, { header: '{"alg":"ES256K"}' }),
    'kid a number': tokenOf({}, { header: { kid: 5 } }),
    'kid null': tokenOf({}, { header: { kid: null } }),
    'kid empty': tokenOf({}, { header: { kid: '' } }),
    'unknown kid': tokenOf({}, { header: { kid: 'x' } }),
    crit: tokenOf({}, { header: { crit: ['x'], x: 1 } }),
    typ: tokenOf({}, { header: { typ: 'at+jwt' } }),
    'embedded key': tokenOf({}, { header: { jwk: keys.rsa2, jku: 'http://127.0.0.1:1/' }, key: pairs.rsa2.privateKey }),
    'payload no base64': `${header}.b.c`,
    'payload not JSON': `${header}.YQ.${signature}`,
    'payload a list': `${header}.${b64('[1]')}.${signature}`,
    'iss twice': tokenOf('{"iss":"A","iss":"A"}'),
    'signature no base64': `${header}.${payload}.c`,
    'signature of other bytes': `${header}.${payload}.!`,
    'signature cut': T.slice(0, -4),
    'signature broken': broken(T),
    'payload of another token': `${header}.${tokenOf({ sub: 'admin' }).split('.')[1]}.${signature}`,
    'standard base64': `${header}.${payload}.${Buffer.from(signature, 'base64url').toString('base64')}`,
    padding: `${T}==`,
    'too little padding': `${T}=`,
  })

  // Claims.
  for (const name of ['iss', 'sub', 'jti']) {
    for (const value of [5, null, ['A'], {}])
      bearer('one', { [`${name} ${JSON.stringify(value)}`]: tokenOf({ [name]: value }) })
  }
  for (const name of ['exp', 'nbf', 'iat']) {
    for (const value of [
      '"x"',
      '"1"',
      'null',
      'true',
      '-1',
      '1e20',
      '18446744073709551615',
      '18446744073709551616',
      '0',
      '0.5',
      '[]',
    ])
      bearer('one', { [`${name} ${value}`]: tokenOf(`{"iss":"A","sub":"u","${name}":${value}}`) })
  }
  for (const value of [5, null, {}, [5], ['a', null], [], 'x', ['x', 'y']])
    bearer('one', { [`aud ${JSON.stringify(value)}`]: tokenOf({ aud: value }) })
  bearer('one', {
    'expired a moment ago': tokenOf({ exp: now - 50 }),
    'expired a minute ago': tokenOf({ exp: now - 62 }),
    'early by less than a minute': tokenOf({ nbf: now + 50 }),
    'early by more': tokenOf({ nbf: now + 75 }),
    'issued in the future': tokenOf({ iat: now + 10_000 }),
    'a fraction of a second': tokenOf({ exp: now + 100.5, nbf: now - 0.5 }),
    'no iss': tokenOf({ iss: undefined }),
    'empty iss': tokenOf({ iss: '' }),
    'iss of another': tokenOf({ iss: 'B' }),
    'iss with a slash': tokenOf({ iss: 'A/' }),
    'no sub': tokenOf({ sub: undefined }),
    'empty sub': tokenOf({ sub: '' }),
    'no claims': tokenOf('{}'),
    'azp and a nested claim': tokenOf({ azp: 'me', org: { team: 'web' } }),
    'azp a list': tokenOf({ azp: ['me'] }),
    'nested list': tokenOf({ org: { team: ['web', 'x'] } }),
    'nested in a list': tokenOf({ org: [{ team: 'web' }] }),
    'a number': tokenOf({ level: 5 }),
    'a number in a list': tokenOf({ level: [5] }),
    'a text like a number': tokenOf({ level: '5' }),
    'Latin-1 in a claim': tokenOf({ sub: 'caf\u00e9 \u20ac' }),
    'escapes in a claim': tokenOf('{"iss":"\\u0041","sub":"\\u0075"}'),
    'JSON with a comment': tokenOf('{"iss":"A"/**/}'),
    'JSON with a byte order mark': tokenOf('\ufeff{"iss":"A"}'),
    'JSON with more behind': tokenOf('{"iss":"A"} x'),
    'half a surrogate': tokenOf('{"iss":"A","x":"\\ud800"}'),
    'a member twice, deep inside': tokenOf('{"iss":"A","x":[{"a":1,"a":2}]}'),
    'a number beyond a double': tokenOf('{"iss":"A","x":1e400}'),
    'a hundred levels': tokenOf(`{"iss":"A","x":${'['.repeat(99)}${']'.repeat(99)}}`),
    'a level more': tokenOf(`{"iss":"A","x":${'['.repeat(100)}${']'.repeat(100)}}`),
    'names of prototypes': tokenOf('{"iss":"A","__proto__":{"sub":"u"},"constructor":1}'),
    'white space in JSON': tokenOf(' {\n"iss" :\t"A" , "sub":"u"} '),
  })

  // Order of checks.
  const late = { nbf: now + 1000, exp: now - 1000 }
  bearer('audience', {
    'http for https': tokenOf({ aud: 'http://svc' }),
    'without scheme': tokenOf({ aud: 'svc' }),
    'with a slash': tokenOf({ aud: 'svc/' }),
    'with two': tokenOf({ aud: 'svc//' }),
    'upper case': tokenOf({ aud: 'SVC' }),
    'one of several': tokenOf({ aud: ['x', 'other'] }),
    'two schemes': tokenOf({ aud: 'http://https://svc' }),
    none: tokenOf(),
    'an empty list': tokenOf({ aud: [] }),
    'wrong and broken': broken(tokenOf({ aud: 'x' })),
    'wrong and expired': tokenOf({ aud: 'x', exp: now - 1000 }),
    'issuer first': broken(tokenOf({ iss: 'B', aud: 'x', ...late })),
    'then not before': broken(tokenOf({ aud: 'x', ...late })),
    'then expiry': broken(tokenOf({ aud: 'x', exp: now - 1000 })),
    'signature last': broken(tokenOf({ aud: 'svc' })),
    'unknown kid and wrong audience': tokenOf({ aud: 'x' }, { header: { kid: 'x' } }),
  })

  // The key.
  bearer('kids', {
    'its kid': tokenOf({}, { header: { kid: 'y' } }),
    'the other kid': tokenOf({}, { header: { kid: 'x' } }),
    'the kid of another type': tokenOf({}, { header: { kid: 'z' } }),
    'no kid': T,
    'alg of no key': tokenOf({}, { header: { kid: 'y' }, alg: 'RS512' }),
    'alg of no key, no kid': tokenOf({}, { alg: 'RS384' }),
  })
  bearer('equal-kids', {
    'the second': tokenOf({}, { header: { kid: 'k' } }),
    another: tokenOf({}, { header: { kid: 'l' } }),
  })
  const signers = {
    ...Object.fromEntries(
      ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg) => [alg, pairs.rsa.privateKey]),
    ),
    ES256: pairs.p256.privateKey,
    ES384: pairs.p384.privateKey,
    ES512: pairs.p521.privateKey,
    HS256: secret,
    HS384: secret,
    HS512: secret,
  }
  for (const [alg, key] of Object.entries(signers)) {
    const token = tokenOf({}, { alg, key })
    bearer('algorithms', { [alg]: token, [`${alg} broken`]: broken(token) })
  }
  const eddsa = tokenOf({}, { alg: 'EdDSA', key: pairs.ed.privateKey })
  bearer('ed', {
    EdDSA: eddsa,
    'EdDSA broken': broken(eddsa),
    'EdDSA cut': eddsa.slice(0, -4),
    'RS256 under Ed25519': T,
  })
  bearer('ed-and-rsa', { EdDSA: eddsa, 'RS256 behind an Ed25519 key': T })
  bearer('rsa-only', { 'use and key_ops are ignored': T })
  const pem = pairs.rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string
  const hmacs = [pem, pem.trim(), String((keys.rsa as { n?: string }).n)]
  for (const [i, text] of hmacs.entries())
    bearer('one', {
      [`a public key as a secret (${i})`]: tokenOf({}, { alg: 'HS256', key: createSecretKey(Buffer.from(text)) }),
    })
  bearer('p384', { ES384: tokenOf({}, { alg: 'ES384', key: pairs.p384.privateKey }) })
  bearer('oct', { 'RS256 under a secret': T, HS256: tokenOf({}, { alg: 'HS256', key: secret }) })

  // Parameters.
  const queries: Record<string, string> = {
    good: `?access_token=${T}`,
    bad: '?access_token=bad',
    empty: '?access_token=',
    'no value': '?access_token',
    'first of two bad': `?access_token=bad&access_token=${T}`,
    'name in another case': `?Access_Token=${T}`,
    'name encoded': `?access%5Ftoken=${T}`,
    'value encoded': `?access_token=${T.replaceAll('.', '%2E')}`,
    'among others, sorted': `?a=1&access_token=${T}&b=2`,
    'value with an equals sign': `?access_token==${T}`,
    'behind a semicolon': `?a=1;access_token=${T}`,
    'only an ampersand': '?&',
  }
  for (const [what, query] of Object.entries(queries)) row('one', `parameter: ${what}`, [], { query })
  row('forwarded', 'header', [['authorization', `Bearer ${T}`]])
  row('forwarded', 'parameter', [], { query: `?b=%20&access_token=${T}&a=1` })
  const th = tokenOf({ sub: 'h' })
  row('one', 'header and bad parameter', [['authorization', `Bearer ${T}`]], { query: '?access_token=bad' })
  row('one', 'bad header and parameter', [['authorization', 'Bearer bad']], { query: `?access_token=${T}` })
  row('one', 'header and parameter', [['authorization', `Bearer ${T}`]], { query: `?access_token=${th}` })
  row('one', 'parameter and header', [['authorization', `Bearer ${th}`]], { query: `?access_token=${T}` })

  // Other places.
  const at = (what: string, name: string, value: Value) =>
    row('places', `${name}: ${what}`, [[name, typeof value === 'string' ? value : value(T)]])
  at('good', 'x-jwt', T)
  at('other case', 'X-JWT', T)
  at('empty', 'x-jwt', '')
  at('with a scheme', 'x-jwt', `Bearer ${T}`)
  at('bad', 'x-jwt', 'bad')
  at('good', 'x-tok', `tok ${T}`)
  at('prefix inside', 'x-tok', `xx tok ${T}`)
  at('no prefix', 'x-tok', T)
  at('prefix in another case', 'x-tok', `TOK ${T}`)
  at('no space', 'x-tok', `tok${T}`)
  at('a bad one at the default', 'authorization', 'Bearer bad')
  row('places', 'two lines', [
    ['x-jwt', T],
    ['x-jwt', T],
  ])
  row('places', 'two lines, one bad', [
    ['x-jwt', T],
    ['x-jwt', 'bad'],
  ])
  row('places', 'first of several headers', [
    ['x-tok', `tok ${T}`],
    ['x-jwt', th],
  ])
  row('places', 'the default parameter', [], { query: '?access_token=bad' })
  row('places', 'its parameter', [], { query: `?token=${T}` })
  row('places', 'both parameters', [], { query: `?token=${T}&other=${th}` })
  row('places', 'both parameters the other way', [], { query: `?token=${th}&other=${T}` })
  const cookies: Record<string, string> = {
    good: `ck=${T}`,
    quoted: `a=b; ck="${T}"`,
    'among others': `a=b;  ck=${T}; c=d`,
    empty: 'ck=',
    'empty quotes': 'ck=""',
    'no value': 'ck',
    'another case': `CK=${T}`,
    'first of two': `ck=${T}; ck=bad`,
    'first of two bad': `ck=bad; ck=${T}`,
    'a space before the sign': `ck =${T}`,
    'both cookies': `dk=${T}; ck=${th}`,
    'one bad': `dk=bad; ck=${T}`,
  }
  for (const [what, value] of Object.entries(cookies)) row('places', `cookie: ${what}`, [['cookie', value]])
  row('places', 'cookie in a second line', [
    ['cookie', 'a=b'],
    ['cookie', `ck=${T}`],
  ])
  row('places', 'header and cookie', [
    ['x-jwt', T],
    ['cookie', `ck=${th}`],
  ])
  row('places', 'header and bad cookie', [
    ['x-jwt', T],
    ['cookie', 'ck=bad'],
  ])
  row('places', 'parameter before cookie', [['cookie', `ck=${th}`]], { query: `?token=${T}` })
  for (const value of [`a ${T}`, `b ${T}`, `a b ${T}`, `b a ${T}`, `c ${T}`])
    row('one-header-two-prefixes', value.slice(0, 4), [['x', value]])

  // Preflight.
  const preflight: Line[] = [
    ['origin', 'https://x'],
    ['access-control-request-method', 'GET'],
  ]
  const bad: Line = ['authorization', 'Bearer bad']
  row('one', 'preflight and bad token', [...preflight, bad], { method: 'OPTIONS' })
  row('one', 'preflight and good token', [...preflight, ['authorization', `Bearer ${T}`]], { method: 'OPTIONS' })
  row('one', 'plain OPTIONS', [bad], { method: 'OPTIONS' })
  row('one', 'OPTIONS with origin', [preflight[0] as Line, bad], { method: 'OPTIONS' })
  row('one', 'OPTIONS with an empty method', [preflight[0] as Line, ['access-control-request-method', ''], bad], {
    method: 'OPTIONS',
  })
  row('one', 'OPTIONS with an empty origin', [['origin', ''], preflight[1] as Line, bad], { method: 'OPTIONS' })
  row('one', 'GET as a preflight', [...preflight, bad])

  // Several rules.
  const B = tokenB()
  for (const setup of ['same-place', 'two-policies']) {
    bearer(setup, {
      A: T,
      B,
      C: tokenOf({ iss: 'C' }),
      'A expired': tokenOf({ exp: now - 1000 }),
      'B expired': tokenB({ exp: now - 1000 }),
      'A broken': broken(T),
      'B broken': broken(B),
      bad: 'bad',
      'no iss': tokenOf({ iss: undefined }),
    })
    row(setup, 'A in the header and B in the parameter', [['authorization', `Bearer ${T}`]], {
      query: `?access_token=${B}`,
    })
    row(setup, 'B in the header and A in the parameter', [['authorization', `Bearer ${B}`]], {
      query: `?access_token=${T}`,
    })
    row(setup, 'A in the header and a bad parameter', [['authorization', `Bearer ${T}`]], {
      query: '?access_token=bad',
    })
  }
  const both: [string, string, string][] = [
    ['A and B', T, B],
    ['A and bad', T, 'bad'],
    ['bad and B', 'bad', B],
    ['bad and bad', 'bad', 'bad'],
    ['A and A', T, T],
    ['B and B', B, B],
    ['B and A', B, T],
    ['expired and bad', tokenOf({ exp: now - 1000 }), 'bad'],
    ['bad and expired', 'bad', tokenB({ exp: now - 1000 })],
    ['unknown and expired', tokenOf({ iss: 'C' }), tokenB({ exp: now - 1000 })],
    ['expired and unknown', tokenOf({ exp: now - 1000 }), tokenOf({ iss: 'C' })],
  ]
  for (const setup of ['two-places', 'outputs-two-places', 'shared-places']) {
    for (const [what, inA, inB] of both)
      row(setup, what, [
        ['authorization', `Bearer ${inA}`],
        ['x-b', inB],
      ])
    row(setup, 'B in the place of A', [['authorization', `Bearer ${B}`]])
    row(setup, 'only B', [['x-b', B]])
    row(setup, 'only A in the place of B', [['x-b', T]])
    row(setup, 'nothing', [])
  }
  bearer('equal-issuers', {
    first: tokenOf({ aud: 'aud1' }),
    second: tokenOf({ aud: 'aud2' }),
    'second broken': broken(tokenOf({ aud: 'aud2' })),
    neither: tokenOf({ aud: 'aud3' }),
    both: tokenOf({ aud: ['aud2', 'aud1'] }),
  })
  bearer('equal-issuers-other-keys', {
    'first keys': tokenOf({}, { key: pairs.rsa2.privateKey }),
    'second keys': T,
    broken: broken(T),
  })

  // What is set for the application.
  const spoofed: Line[] = [
    ['x-payload', 'p'],
    ['X-Role', 'admin'],
    ['x-role', 'root'],
    ['x-team', 't'],
    ['x-b-sub', 'b'],
    ['x-who', 'me'],
    ['x-kept', 'k'],
  ]
  for (const setup of ['outputs', 'outputs-two-places']) {
    row(setup, 'spoofed, no token', spoofed)
    row(setup, 'spoofed, another scheme', [...spoofed, ['authorization', 'Basic x']])
    row(setup, 'spoofed, preflight', [...spoofed, ...preflight, bad], { method: 'OPTIONS' })
    row(setup, 'spoofed, bad token', [...spoofed, bad])
    row(setup, 'spoofed, token of the other', [...spoofed, ['authorization', `Bearer ${B}`]])
    row(setup, 'spoofed, token', [
      ...spoofed,
      ['authorization', `Bearer ${tokenOf({ role: 'dev', org: { team: 'web' } })}`],
    ])
  }
  const values = [
    'text',
    '',
    'caf\u00e9 \u20ac',
    ' spaces ',
    true,
    false,
    0,
    42,
    2 ** 53,
    -3,
    1.5,
    -0.25,
    1 / 128,
    1e20,
    1e21,
    null,
    [],
    {},
    ['a', 'b'],
    { only: { one: ['member'] } },
    [1, '<', '\u00e9', '"', '/', '\\', '\u2028', '\u007f\u00ad\u{1d173}\u{e0020}\u0001\n'],
    [
      1.5,
      1e20,
      1e21,
      1e22,
      -7,
      0.1,
      0.1 + 0.2,
      1 / 3,
      5e-324,
      1.7976931348623157e308,
      2.5e-8,
      1e-5,
      1e-4,
      123456789.125,
    ],
    [1e14, 1e15, -1e15, 1e15 + 0.5, 1234567890123456, 12345678901234568, 2 ** 53, 4.35, true, false, null],
  ]
  for (const role of values) bearer('outputs', { [`claim ${JSON.stringify(role)}`]: tokenOf({ role }) })
  bearer('outputs', {
    'nested and dotted': tokenOf({ org: { team: 'web' }, 'org.team': 'no' }),
    'minus zero in a list': tokenOf('{"iss":"A","role":[-0.0,-0,0]}'),
    'a tab': tokenOf({ role: 'a\tb' }),
    'a line break in a list': tokenOf({ role: ['a\r\n'] }),
    'only dotted': tokenOf({ 'org.team': 'no' }),
    'nested in a list': tokenOf({ org: [{ team: 'web' }] }),
    'a payload with white space': tokenOf(' {"iss":"A" }'),
  })
  row('outputs', 'two tokens, one winner', [['authorization', `Bearer ${tokenOf({ role: 'x' })}`]], {
    query: `?access_token=${tokenOf({ role: 'y' })}`,
  })
  for (const scope of [
    'read',
    ' read  write ',
    'read write',
    '',
    ' ',
    ['read write'],
    ['read'],
    5,
    'ready',
    'write\tread',
  ])
    bearer('words', { [`scope ${JSON.stringify(scope)}`]: tokenOf({ scope }) })
  bearer('words', {
    'roles split, groups split': tokenOf({ roles: 'x admin', groups: 'dev ops' }),
    'nested is not split': tokenOf({ org: { team: 'web x' } }),
  })
  bearer('one', { 'roles not split, groups not split': tokenOf({ roles: 'x admin', groups: 'dev ops' }) })
  bearer('unreachable', { A: T, B })
  row('unreachable', 'nothing', [])
  bearer('any-issuer', { A: T, C: tokenOf({ iss: 'C' }), 'no iss': tokenOf({ iss: undefined }), broken: broken(T) })
  return rows
}
