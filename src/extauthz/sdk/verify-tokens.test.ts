import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { signToken } from '../../authn/jwt/sign-token.ts'
import {
  type Answer,
  type AuthorizerRequest,
  allow,
  BadRequest,
  bearerChallenge,
  type Check,
  cookies,
  deny,
  type Logger,
  redirect,
  type Token,
  verifyTokens,
} from '../index.ts'
import { requestFrom } from '../server/request.ts'

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const next = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid })
const jwks = { keys: [jwk(publicKey, 'k')] }
const issuer = 'https://issuer.test'
const audiences = ['api']
const trust = { issuer, audiences, jwks }

const inAnHour = Math.floor(Date.now() / 1000) + 3600
function tokenOf(claims: object = {}, key: KeyObject = privateKey, kid = 'k'): string {
  const payload = { iss: issuer, sub: 'alice', aud: 'api', exp: inAnHour, ...claims }
  return signToken(JSON.stringify({ alg: 'ES256', kid }), JSON.stringify(payload), { alg: 'ES256', key })
}

const peer = { ip: '', port: 0, principal: '' }
function request(headers: Readonly<Record<string, string>>): AuthorizerRequest {
  return requestFrom({
    method: 'GET',
    path: '/a',
    host: 'a',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    lines: Object.entries(headers),
    body: new Uint8Array(0),
    source: peer,
    destination: peer,
    contextExtensions: {},
    time: 0,
    signal: new AbortController().signal,
    attributes: () => ({}),
  })
}
const withToken = (token: string) => request({ authorization: `Bearer ${token}` })

/** Status and challenge of what refuses. */
async function refusal(check: Check, asked: AuthorizerRequest) {
  const answer = await check(asked)
  assert(answer.kind === 'deny', answer.kind)
  return [answer.status, answer.headers['www-authenticate']]
}

const servers: Server[] = []
after(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

/** An issuer whose answers by path the test changes as it goes. */
async function publish(answers: Record<string, () => string>) {
  const paths: string[] = []
  const server = createServer((incoming, response) => {
    paths.push(incoming.url ?? '')
    const answer = answers[incoming.url ?? '']
    if (answer === undefined) response.writeHead(503).end()
    else response.end(answer())
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paths }
}

describe('verifyTokens', () => {
  test('the check finds what the token says, and not the token', async () => {
    const seen: Token[] = []
    const check = verifyTokens(trust, (asked) => {
      seen.push(asked.token)
      assert.equal(asked.path, '/a')
      return allow()
    })
    const text = tokenOf({ scope: 'read write', scp: ['admin', 7], aud: ['api', 'other'] })
    assert.equal((await check(withToken(text))).kind, 'allow')
    const [token] = seen
    assert(token)
    const { claims, ...rest } = token
    assert.deepEqual(rest, {
      issuer,
      subject: 'alice',
      principal: 'https://issuer.test/alice',
      audiences: ['api', 'other'],
      scopes: ['read', 'write', 'admin'],
      expires: inAnHour * 1000,
    })
    assert.equal(claims.sub, 'alice')
    assert(!inspect(token, { depth: 9, showHidden: true }).includes(text.split('.')[2] ?? ''))
  })

  test('a token that was seen before is judged at once', async () => {
    const check = verifyTokens(trust, () => allow())
    const text = tokenOf({ jti: 'again' })
    await check(withToken(text))
    assert(!(check(withToken(text)) instanceof Promise))
  })

  test('without a subject there is no principal', async () => {
    const principals: string[] = []
    const check = verifyTokens(trust, ({ token }) => {
      principals.push(token.principal, token.subject)
      return allow()
    })
    await check(withToken(tokenOf({ sub: undefined })))
    assert.deepEqual(principals, ['', ''])
  })

  const never: Check = () => assert.fail('the check was asked')
  const header = Buffer.from('{"alg":"none"}').toString('base64url')
  const refusals: [string, Readonly<Record<string, string>>, number, string][] = [
    ['no token', {}, 401, 'Bearer realm="api"'],
    ['another scheme', { authorization: 'Basic YTpi' }, 401, 'Bearer realm="api"'],
    ['an expired one', bearer(tokenOf({ exp: 1 })), 401, 'Jwt is expired'],
    ['one of another issuer', bearer(tokenOf({ iss: 'https://other.test' })), 401, 'Jwt issuer is not configured'],
    ['one of another key', bearer(tokenOf({}, next.privateKey)), 401, 'Jwt verification fails'],
    ['one for somebody else', bearer(tokenOf({ aud: 'other' })), 403, 'Audiences in Jwt are not allowed'],
    ['one for nobody', bearer(tokenOf({ aud: undefined })), 403, 'Audiences in Jwt are not allowed'],
    ['one without a signature', bearer(`${header}.e30.AAAA`), 401, 'Jwt header [alg] is not supported'],
  ]
  for (const [what, headers, status, reason] of refusals) {
    test(`refuses ${what} with ${status}`, async () => {
      const check = verifyTokens({ ...trust, realm: 'api' }, never)
      const described = `Bearer realm="api", error="invalid_token", error_description="${reason}"`
      assert.deepEqual(await refusal(check, request(headers)), [status, reason.includes('realm') ? reason : described])
    })
  }

  test('two tokens are none', () => {
    const check = verifyTokens(trust, never)
    const two = request({ authorization: `Bearer ${tokenOf()},Bearer ${tokenOf()}` })
    assert.throws(() => check(two), BadRequest)
  })

  test('optional: without a token there is null, with a bad one a refusal', async () => {
    const seen: (string | null)[] = []
    const check = verifyTokens({ ...trust, optional: true }, ({ token }) => {
      seen.push(token === null ? null : token.subject)
      return allow()
    })
    assert.equal((await check(request({}))).kind, 'allow')
    assert.equal((await check(withToken(tokenOf()))).kind, 'allow')
    assert.equal((await check(withToken(tokenOf({ exp: 1 })))).kind, 'deny')
    assert.deepEqual(seen, [null, 'alice'])
  })

  test('claims can have types of their own', async () => {
    interface Mine {
      readonly tenant: string
    }
    const claims = ({ tenant }: { readonly tenant?: unknown }): Mine | null =>
      typeof tenant === 'string' ? { tenant } : null
    const check = verifyTokens({ ...trust, claims }, ({ token }) =>
      allow({ headers: { 'x-tenant': token.claims.tenant } }),
    )
    const answer = await check(withToken(tokenOf({ tenant: 'blue' })))
    assert.deepEqual(answer.kind === 'allow' && answer.headers, { 'x-tenant': 'blue' })
    assert.equal((await refusal(check, withToken(tokenOf())))[0], 403)
    // @ts-expect-error it is a string
    verifyTokens({ ...trust, claims }, ({ token }) => deny({ status: token.claims.tenant }))
    // @ts-expect-error it may be null
    verifyTokens({ ...trust, optional: true }, ({ token }) => deny({ body: token.subject }))
  })

  test('the token may be somewhere else, and the refusal another', async () => {
    const check = verifyTokens(
      {
        ...trust,
        token: (asked) => cookies(asked).get('session') ?? null,
        otherwise: (asked, refused) => redirect(`/login?from=${encodeURIComponent(asked.path)}&why=${refused.kind}`),
      },
      () => allow(),
    )
    assert.equal((await check(request({ cookie: `session=${tokenOf()}` }))).kind, 'allow')
    const location = async (asked: AuthorizerRequest) => ((await check(asked)) as Answer & { kind: 'deny' }).headers
    assert.deepEqual(await location(withToken(tokenOf())), { location: '/login?from=%2Fa&why=missing' })
    assert.deepEqual(await location(request({ cookie: 'session=x' })), { location: '/login?from=%2Fa&why=invalid' })
  })

  test('keys are fetched ahead, and again for one that is unknown', async () => {
    let published = [jwk(publicKey, 'k')]
    const { uri, paths } = await publish({ '/keys': () => JSON.stringify({ keys: published }) })
    const check = verifyTokens({ issuer, audiences, jwksUri: `${uri}/keys`, logger: silent() }, () => allow())
    assert.equal((await check(withToken(tokenOf()))).kind, 'allow')
    published = [jwk(next.publicKey, 'next')]
    // Within ten seconds of the last fetch nothing is fetched for it.
    assert.deepEqual((await refusal(check, withToken(tokenOf({}, next.privateKey, 'next'))))[0], 401)
    assert.deepEqual(paths, ['/keys'])
  })

  test("keys are found through the issuer's configuration", async () => {
    const answers: Record<string, () => string> = {}
    const { uri, paths } = await publish(answers)
    answers['/.well-known/openid-configuration'] = () => JSON.stringify({ jwks_uri: `${uri}/keys` })
    answers['/keys'] = () => JSON.stringify(jwks)
    const check = verifyTokens({ issuer: uri, audiences, logger: silent() }, () => allow())
    assert.equal((await check(withToken(tokenOf({ iss: uri })))).kind, 'allow')
    assert.deepEqual(paths, ['/.well-known/openid-configuration', '/keys'])
  })

  test('without keys a token is refused with 503, which is no failure to fail open on', async () => {
    const { uri } = await publish({})
    const lines: string[] = []
    const logger = silent((line) => lines.push(line))
    const check = verifyTokens({ issuer, audiences, jwksUri: `${uri}/keys`, logger }, never)
    const token = tokenOf()
    assert.deepEqual(await refusal(check, withToken(token)), [503, undefined])
    assert.deepEqual(await refusal(check, request({})), [401, 'Bearer'])
    assert.match(lines.join('\n'), /answered with status 503/)
    assert(!lines.join('\n').includes(token.slice(0, 20)))
  })

  const mistakes: [string, () => unknown, RegExp][] = [
    ['no key', () => verifyTokens({ ...trust, jwks: { keys: [] } }, never), /jwks has no key/],
    ['no JSON', () => verifyTokens({ ...trust, jwks: 'keys' }, never), /jwks has no key/],
    ['no URI', () => verifyTokens({ issuer, audiences, jwksUri: '/keys' }, never), /jwksUri must be/],
    ['no way to the keys', () => verifyTokens({ issuer: 'me', audiences }, never), /issuer must be/],
    ['no issuer', () => verifyTokens({ ...trust, issuer: '' }, never), /issuer/],
    ['no list of audiences', () => verifyTokens({ ...trust, audiences: 'api' as never }, never), /audiences/],
    ['no check', () => verifyTokens(trust, undefined as never), /second argument/],
  ]
  for (const [what, make, message] of mistakes) {
    test(`${what} is told at once`, () => assert.throws(make, { message }))
  }

  test('audiences cannot be forgotten', () => {
    // @ts-expect-error they are left out
    const forgetful = () => verifyTokens({ issuer, jwks }, () => allow())
    // @ts-expect-error keys from two places
    const torn = () => verifyTokens({ ...trust, jwksUri: 'https://issuer.test/keys' }, () => allow())
    assert.throws(forgetful, /audiences/)
    assert.equal(typeof torn, 'function')
  })
})

test('a challenge says what can be said in one', () => {
  assert.equal(bearerChallenge(), 'Bearer')
  assert.equal(
    bearerChallenge({ realm: 'a"b\\c\r\nd', error: 'insufficient_scope', scope: ['read', 'write'] }),
    'Bearer realm="abcd", error="insufficient_scope", scope="read write"',
  )
})

function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` }
}

function silent(note: (line: string) => void = () => {}): Logger {
  const log = (message: string, fields?: object) => note(`${message} ${JSON.stringify(fields)}`)
  return { level: 'debug', debug: log, info: log, warn: log, error: log }
}
