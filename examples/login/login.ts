// Stands where a login proxy stands: browsers without a session are sent to log in, and come back with a code. It is
// asked over HTTP, and answers with redirects and cookies. The codes that it takes are for show.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'

const issuer = 'https://login.example/authorize'
const users: ReadonlyMap<string, string> = new Map([['code-of-alice', 'alice']])
const key = randomBytes(32)
const lifetime = 3600

export default {
  check(request: AuthorizerRequest) {
    const cookies = parseCookies(request.headers.cookie ?? '')
    if (request.pathname === '/oauth2/callback') return finish(request, cookies)
    const user = verify('session', cookies.get('_session'))
    if (user === null) return begin(request)
    return allow({
      headers: { 'x-auth-request-user': user },
      responseHeaders: { 'set-cookie': [cookie('_session', sign('session', user), lifetime)] },
    })
  },
}

/** To the login, with what has to come back: a state that this browser alone can show, and where it wanted to go. */
function begin(request: AuthorizerRequest) {
  const state = randomBytes(16).toString('hex')
  // What begins with two slashes would be another host's.
  const wanted = request.method === 'GET' && /^\/(?![/\\])/.test(request.path) ? request.path : '/'
  return redirect(`${issuer}?client_id=demo&state=${state}`, [
    cookie('_state', sign('state', state), 300),
    cookie('_wanted', sign('wanted', wanted), 300),
  ])
}

/** Back from the login: the state must be this browser's own. */
function finish({ query }: AuthorizerRequest, cookies: ReadonlyMap<string, string>) {
  const state = verify('state', cookies.get('_state'))
  const user = users.get(query.get('code') ?? '')
  if (state === null || state !== query.get('state') || user === undefined) {
    return deny({ status: 403, headers: { 'content-type': 'text/plain' }, body: 'the login failed\n' })
  }
  return redirect(verify('wanted', cookies.get('_wanted')) ?? '/', [
    cookie('_session', sign('session', user), lifetime),
    cookie('_state', '', 0),
  ])
}

function redirect(location: string, cookies: readonly string[]) {
  return deny({ status: 302, headers: { location, 'set-cookie': cookies } })
}

function cookie(name: string, value: string, seconds: number): string {
  return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; Secure; SameSite=Lax`
}

/** `VALUE.EXPIRY.SIGNATURE`; a value that was signed for one purpose is good for no other. */
function sign(purpose: string, value: string): string {
  const signed = `${Buffer.from(value).toString('base64url')}.${Math.floor(Date.now() / 1000) + lifetime}`
  return `${signed}.${signature(purpose, signed)}`
}

function verify(purpose: string, text: string | undefined): string | null {
  const [value, expiry, given, ...rest] = text?.split('.') ?? []
  if (value === undefined || expiry === undefined || given === undefined || rest.length > 0) return null
  const expected = Buffer.from(signature(purpose, `${value}.${expiry}`))
  const shown = Buffer.from(given)
  if (shown.length !== expected.length || !timingSafeEqual(shown, expected)) return null
  return Number(expiry) > Date.now() / 1000 ? Buffer.from(value, 'base64url').toString() : null
}

function signature(purpose: string, text: string): string {
  return createHmac('sha256', key).update(`${purpose}:${text}`).digest('base64url')
}

/** The first of each name. Several lines of cookies come joined by a comma, which stands in none of ours. */
function parseCookies(text: string): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>()
  for (const pair of text.split(/[;,] */)) {
    const equals = pair.indexOf('=')
    if (equals > 0 && !cookies.has(pair.slice(0, equals))) cookies.set(pair.slice(0, equals), pair.slice(equals + 1))
  }
  return cookies
}
