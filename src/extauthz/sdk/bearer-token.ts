import { BadRequest } from '../server/bad-request.ts'
import type { AuthorizerRequest } from '../server/request.ts'

/** RFC 6750, section 2.1; the scheme without regard to case (RFC 9110, section 11.1). */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i
const startsBearer = /^bearer(?: |$)/i
const holdsBearer = /,[ \t]*bearer(?:[ \t,]|$)/i

/**
 * The token of `Authorization: Bearer ...`, or null when there is none: no such header, or another scheme. Throws
 * `BadRequest` (400) when there are several lines, which two readers may tell apart in different ways, also where a
 * proxy has joined them with a comma, and when what follows `Bearer` is no token.
 */
export function bearerToken(request: Pick<AuthorizerRequest, 'headers' | 'headerLines'>): string | null {
  const value = request.headers.authorization
  if (value === undefined) return null
  let lines = 0
  for (const [name] of request.headerLines) if (name === 'authorization') lines++
  if (lines > 1) throw new BadRequest('there is more than one line of authorization')
  const token = bearer.exec(value)?.[1]
  if (token !== undefined) return token
  if (startsBearer.test(value) || holdsBearer.test(value)) throw new BadRequest('authorization holds no single token')
  return null
}
