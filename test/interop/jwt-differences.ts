import type { Row } from './jwt-rows.ts'
import { pairs, tokenOf } from './jwt-setups.ts'

export interface DifferentRow {
  readonly row: Row
  readonly theirs: Expected
  readonly ours: Expected
}

/** What is not told is not compared. */
export interface Expected {
  readonly status: number
  readonly body?: string
  readonly challenge?: string
  readonly url?: string
  readonly lines?: readonly string[]
}

/** Requests that are answered otherwise on purpose, as docs/differences.md has it. */
export function differentRows(): DifferentRow[] {
  const T = tokenOf()
  const rows: DifferentRow[] = []
  const row = (setup: string, what: string, token: string, theirs: Expected, ours: Expected, more: Partial<Row> = {}) =>
    rows.push({ row: { setup, what, lines: [['authorization', `Bearer ${token}`]], ...more }, theirs, ours })
  const form = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'
  const refused = (body: string): Expected => ({ status: 401, body })
  const passes: Expected = { status: 200 }

  // A key and an algorithm of another curve; a signature of another length than its algorithm has.
  const fails = refused('Jwt verification fails')
  const under384 = tokenOf({}, { alg: 'ES256', key: pairs.p384.privateKey })
  row('p384', 'ES256 under P-384', under384, passes, fails)
  const es = tokenOf({}, { alg: 'ES256', key: pairs.p256.privateKey })
  const [head = '', payload = '', signature = ''] = es.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const signed = (...parts: Buffer[]) => `${head}.${payload}.${Buffer.concat(parts).toString('base64url')}`
  const [r, s, zeros] = [bytes.subarray(0, 32), bytes.subarray(32), Buffer.alloc(100)]
  row('p256', 'a character behind', `${es}A`, passes, fails)
  row('p256', 'a byte behind', signed(bytes, Buffer.from([7])), passes, fails)
  row('p256', 'zeros before both halves', signed(zeros, r, zeros, s), passes, fails)

  // A key that can be broken.
  const weak = tokenOf({}, { key: pairs.weak.privateKey })
  row('weak', 'RSA with 512 bits', weak, passes, refused("Jwks doesn't have any valid public key"))

  // JSON that is none.
  for (const [what, text] of Object.entries({
    'names without quotes': '{iss:"A",sub:"u"}',
    'single quotes': "{'iss':'A','sub':'u'}",
    'a trailing comma': '{"iss":"A","sub":"u",}',
  }))
    row('one', what, tokenOf(text), passes, refused('Jwt payload is an invalid JSON'))
  for (const header of ['{alg:"RS256"}', '{"alg":"RS256",}'])
    row('one', header, tokenOf({}, { header }), passes, refused('Jwt header is an invalid JSON'))

  // A claim that cannot stand in a header.
  for (const role of ['a\r\nx-admin: 1', 'a\nb', 'a\0b', 'a\u0001b', 'a\u007fb']) {
    const token = tokenOf({ role })
    row(
      'outputs',
      `claim ${JSON.stringify(role)}`,
      token,
      { status: 503, body: 'invalid header value for: x-role' },
      {
        status: 200,
        lines: [`x-payload: ${token.split('.')[1]}`],
      },
    )
  }

  // The challenge.
  const challenge = (realm: string) => `Bearer realm="${realm}", error="invalid_token"`
  const asks = (theirs: string, ours: string, more: Partial<Row>) =>
    row(
      'one',
      'realm',
      'bad',
      { ...refused(form), challenge: challenge(theirs) },
      { ...refused(form), challenge: challenge(ours) },
      more,
    )
  const url = 'http://web.a:8000/open'
  asks(`${url}?access_token=secret`, url, { query: '?access_token=secret' })
  asks(`${url}?x="y"`, url, { query: '?x="y"' })
  asks('http://web.a:8000/other?x', url, {
    lines: [
      ['authorization', 'Bearer bad'],
      ['x-envoy-original-path', '/other?x'],
    ],
  })

  // The target that a token was taken from.
  const target = (query: string, theirs: Expected, ours: string) =>
    row('one', 'target', '', theirs, { status: 200, url: `/open${ours}` }, { lines: [], query })
  target(`?b=1&access_token=${T}&a=2`, { status: 200, url: '/open?a=2&b=1' }, '?b=1&a=2')
  target(`?access_token=${T}&a&access_token=x&c=`, { status: 200, url: '/open?a=&c=' }, '?a&c=')
  target(`?c=%2F%26x%3Dy&access_token=${T}`, { status: 200, url: '/open?c=/&x=y' }, '?c=%2F%26x%3Dy')
  target(`?c=%0D%0A&access_token=${T}`, { status: 503, body: 'invalid header value for: :path' }, '?c=%0D%0A')
  return rows
}
