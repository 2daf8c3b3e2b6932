import { isUtf8 } from 'node:buffer'
import { parseJson } from '../../authn/jwt/strict-json.ts'
import type { Json } from '../../source/document.ts'
import { BadRequest } from '../server/bad-request.ts'
import type { AuthorizerRequest } from '../server/request.ts'

type Part = Pick<AuthorizerRequest, 'headers' | 'body' | 'truncated'>

/**
 * The body as JSON. Throws `BadRequest`: 413 when the proxy did not send all of it, 415 when the type is not
 * `application/json` or `application/...+json`, or the body is compressed, and 400 when it is no JSON. Strict where two
 * readers could see two meanings: repeated member names, invalid UTF-8 and numbers beyond a double are refused, and so
 * is what is nested more than 100 deep. Objects inherit nothing.
 */
export function jsonBody(request: Part): Json {
  demandWhole(request, /^application\/(?:[^;\s,]+\+)?json(?:\s*;.*)?$/i, 'JSON')
  const value = parseJson(request.body.bytes)
  if (value === undefined) throw new BadRequest('the body is no JSON')
  return value
}

/**
 * The fields of a form (`application/x-www-form-urlencoded`). Throws `BadRequest`: 413 when the proxy did not send all of
 * it, 415 for another type or a compressed body, and 400 when it is no UTF-8. A field may come several times: `getAll`.
 */
export function formBody(request: Part): URLSearchParams {
  demandWhole(request, /^application\/x-www-form-urlencoded(?:\s*;.*)?$/i, 'form')
  const { bytes } = request.body
  if (!isUtf8(bytes)) throw new BadRequest('the body is no UTF-8')
  // A leading `?` would be taken for the start of a query.
  return new URLSearchParams(`&${request.body.text()}`)
}

function demandWhole({ headers, truncated }: Part, type: RegExp, what: string): void {
  if (!type.test(headers['content-type'] ?? '')) throw new BadRequest(`the content type is not that of a ${what}`, 415)
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new BadRequest('the body is compressed', 415)
  }
  if (truncated) throw new BadRequest('the proxy did not send the whole body', 413)
}
