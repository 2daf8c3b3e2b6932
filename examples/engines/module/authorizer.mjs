// The claim `path` of the token, decoded, is a prefix of the request's path. See ../../opa/authorizer.ts for TypeScript.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { allow, deny } from 'sallyport/extauthz'

const secret = 'secret'

/** @param {import('sallyport/extauthz').AuthorizerRequest} request */
export default function check(request) {
  const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined) return deny({ body: 'no token\n' })
  const claims = verified(token, Date.now() / 1000)
  if (typeof claims?.path !== 'string') return deny({ body: 'the token is not valid\n' })
  return request.path.startsWith(Buffer.from(claims.path, 'base64').toString()) ? allow() : deny()
}

/** The claims of an HS256 token of our secret that is valid now, else null. */
function verified(token, now) {
  const [header, payload, signature, ...rest] = token.split('.').map((part) => Buffer.from(part, 'base64url'))
  if (signature === undefined || rest.length > 0) return null
  const signed = token.slice(0, token.lastIndexOf('.'))
  const expected = createHmac('sha256', secret).update(signed).digest()
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) return null
  if (JSON.parse(header).alg !== 'HS256') return null
  const claims = JSON.parse(payload)
  return claims.nbf <= now && now < claims.exp ? claims : null
}
