import type { QueryChanges, RequestRewrite } from '../extauthz/check.ts'
import { isHeaderName } from '../extauthz/header-syntax.ts'
import { applyQuery } from '../extauthz/query-changes.ts'

/** What of a request a provider can change besides header lines. */
export interface RequestLine {
  method: string
  path: string
  host: string
}

const PATH = /^\/[\x21-\x7e]*$/
const AUTHORITY = /^(?:\[[0-9A-Za-z\-._~%:]*\](?::[0-9]*)?|[A-Za-z0-9\-._~%!$&'()*+,;=:]+)$/

/**
 * RFC 3986, 3.2, without user information: `a@b` is another host to a reader that knows it than to one that does not.
 */
export function isAuthority(text: string): boolean {
  return AUTHORITY.test(text)
}

/** Applies a provider's rewrite, then its changes of the query. False when the result cannot be written as HTTP. */
export function changeRequestLine(
  line: RequestLine,
  { method = line.method, path = line.path, authority = line.host }: RequestRewrite = {},
  query: QueryChanges | undefined,
): boolean {
  const target = query === undefined ? path : applyQuery(path, query)
  const changed = method !== line.method || target !== line.path || authority !== line.host
  if (!changed) return true
  if (!isHeaderName(method) || method === 'CONNECT' || !PATH.test(target)) return false
  if (authority !== line.host && !isAuthority(authority)) return false
  line.method = method
  line.path = target
  line.host = authority
  return true
}
