// The policy of policy.rego in TypeScript: a request passes when its token names a prefix of its path.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { type AuthorizerRequest, allow, deny } from 'sallyport/extauthz'

const secret = 'secret'

interface Payload {
  readonly path?: unknown
  readonly nbf?: unknown
  readonly exp?: unknown
}

export default {
  check(request: AuthorizerRequest) {
    const token = /^\S+ (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) return refuse('no token')
    const payload = verify(token, Date.now() / 1000)
    if (payload === null) return refuse('the token is not valid')
    if (typeof payload.path !== 'string') return refuse('the token names no path')
    // Reads base64 and base64url alike.
    const prefix = Buffer.from(payload.path, 'base64').toString('utf8')
    return request.path.startsWith(prefix) ? allow() : refuse(`the token is for paths that start with ${prefix}`)
  },
}

function refuse(reason: string) {
  return deny({ status: 403, headers: { 'content-type': 'text/plain' }, body: `${reason}\n` })
}

/** The payload of an HS256 token that was signed with the secret and is valid now, else null. */
function verify(token: string, now: number): Payload | null {
  const [header, payload, signature, ...rest] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return null
  // The header is the sender's own: it may not choose how it is verified.
  if (read<{ alg?: unknown }>(header)?.alg !== 'HS256') return null
  const expected = createHmac('sha256', secret).update(`${header}.${payload}`).digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  const claims = read<Payload>(payload)
  if (typeof claims?.nbf !== 'number' || typeof claims.exp !== 'number') return null
  return claims.nbf <= now && now < claims.exp ? claims : null
}

function read<T>(part: string): T | null {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as T
  } catch {
    return null
  }
}
