import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseJwks } from '../../authn/jwt/jwk.ts'
import { verifyToken } from '../../authn/jwt/verify-token.ts'
import { type Answer, folderOf, program, sallyport } from '../terminal.test.fixture.ts'
import { ALGORITHMS } from './algorithms.ts'

async function refused(answer: Promise<Answer>, code: number, expected: RegExp): Promise<void> {
  const { stdout, stderr, code: actual } = await answer
  assert.match(stderr, expected)
  assert.doesNotMatch(stderr, /internal error:/)
  assert.deepEqual([stdout, actual], ['', code], stderr)
}

/** Null when the set verifies it. */
function failure(token: string, jwks: string, now: number): string | null {
  const keys = parseJwks(jwks)
  if (keys.kind === 'unusable') return keys.reason
  const verified = verifyToken(token.trim(), { issuer: 'https://i', audiences: new Set() }, keys, now)
  return verified.kind === 'refused' ? verified.reason : null
}

const claimsOf = (token: string) => Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()

test('a token has the claims that were asked for, and its JWKS verifies it', async (t) => {
  const cwd = folderOf(t, {})
  const claims = ['--iss', 'https://i', '--sub', 'alice', '--aud', 'a', '--aud', 'b', '--claim', 'groups=["dev"]']
  const { code, stdout, stderr } = await program(['token', '--key-dir', 'k', ...claims], { cwd })
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
  const jwks = (await program(['token', '--key-dir', 'k', '--jwks'], { cwd })).stdout
  assert.equal(failure(stdout, jwks, Date.now()), null)
  const payload = JSON.parse(claimsOf(stdout))
  assert.deepEqual([payload.sub, payload.aud, payload.groups], ['alice', ['a', 'b'], ['dev']])
  assert.equal(payload.exp - payload.iat, 3600)
  assert.equal(statSync(join(cwd, 'k/RS256.private.jwk.json')).mode & 0o777, 0o600)
  assert.deepEqual(Object.keys(JSON.parse(jwks).keys[0]).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use'])
})

test('every algorithm signs what its own set verifies, and no other key does', async (t) => {
  const cwd = folderOf(t, {})
  const run = async (...argv: string[]) => (await sallyport(['token', '--key-dir', 'k', ...argv], { cwd })).stdout
  for (const alg of ALGORITHMS) {
    const token = await run('--alg', alg, '--iss', 'https://i', '--sub', 's')
    const jwks = await run('--jwks', '--alg', alg)
    assert.equal(failure(token, jwks, Date.UTC(2026, 0, 1)), null, alg)
    assert.equal(JSON.parse(jwks).keys.length, 1)
    const stranger = (await sallyport(['token', '--key-dir', 'other', '--jwks', '--alg', alg], { cwd })).stdout
    assert.match(String(failure(token, stranger, Date.UTC(2026, 0, 1))), /doesn't have key to match kid/)
  }
  const all = JSON.parse(await run('--jwks')).keys
  assert.deepEqual(
    all.map(({ alg }: { alg: string }) => alg),
    ALGORITHMS.filter((alg) => !alg.startsWith('HS')),
  )
  assert.doesNotMatch(JSON.stringify(all), /"(d|p|q|k)":/)
  assert.deepEqual(readdirSync(join(cwd, 'k')), ALGORITHMS.map((alg) => `${alg}.private.jwk.json`).sort())
})

test('claims are as they were written, and times as asked for', async (t) => {
  const cwd = folderOf(t, {})
  const claims = async (...argv: string[]) =>
    claimsOf((await sallyport(['token', '--key-dir', 'k', '--alg', 'EdDSA', ...argv], { cwd })).stdout)
  const start = Date.UTC(2026, 0, 1) / 1000
  assert.equal(
    await claims('--ttl', 'none', '--claim', 'n=12345678901234567890'),
    `{"iat":${start},"n":12345678901234567890}`,
  )
  assert.equal(await claims('--ttl', '-5m'), `{"iat":${start},"exp":${start - 300}}`)
  assert.equal(await claims('--claim', 'exp="soon"', '--claim', 'iss=7'), `{"iat":${start},"exp":"soon","iss":7}`)
})

test('what cannot be signed is said, and keys never are', async (t) => {
  const { d, ...rest } = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ format: 'jwk' })
  const cwd = folderOf(t, {
    'k/ES256.private.jwk.json': JSON.stringify({ ...rest, d }),
    'k/HS256.private.jwk.json': '{"kty":"oct","k":"c2hvcnQ"}',
    'k/RS256.private.jwk.json': 'nonsense',
  })
  const run = (...argv: string[]) => sallyport(['token', '--key-dir', 'k', ...argv], { cwd })
  for (const alg of ['ES256', 'HS256', 'RS256']) {
    const answer = await run('--alg', alg)
    assert.match(answer.stderr, new RegExp(`${alg}\\.private\\.jwk\\.json is no private key for ${alg} as a JWK`))
    assert.deepEqual([answer.code, answer.stdout], [3, ''])
    assert.ok(!answer.stderr.includes(String(d)) && !answer.stderr.includes('c2hvcnQ'))
  }
  assert.equal(readFileSync(join(cwd, 'k/RS256.private.jwk.json'), 'utf8'), 'nonsense')
  await refused(run('--claim', 'role=admin'), 2, /`admin` is no JSON\n {2}a text is in quotes: --claim 'role="admin"'/)
  await refused(run('--claim', 'role'), 2, /--claim needs NAME=JSON/)
  await refused(run('--claim', 'a=1', '--claim', 'a=2'), 2, /`a` was given twice/)
  await refused(run('--iss', 'x', '--claim', 'iss=1'), 2, /contradict each other/)
  await refused(run('--ttl', '1h', '--claim', 'exp=1'), 2, /contradict each other/)
  await refused(run('--ttl', 'long'), 2, /`long` is no duration/)
  await refused(run('--alg', 'none'), 2, /one of|did you mean/)
  await refused(run('--jwks', '--sub', 'x'), 2, /--sub is for a token/)
  await refused(
    sallyport(['token', '--key-dir', 'k/RS256.private.jwk.json'], { cwd }),
    3,
    /a part of the path is no folder/,
  )
})
