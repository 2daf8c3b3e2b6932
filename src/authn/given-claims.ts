import type { JwtRule } from '../mesh/request-authentication.ts'
import type { Claims } from '../policy/facts.ts'
import { NO_TOKEN_NAMES, type RequestAuthenticator } from './authentication.ts'
import { parseJsonObject } from './jwt/strict-json.ts'
import { addOutputHeaders, outputHeaderNames, prepareOutputHeaders } from './output-headers.ts'
import { spaceDelimitedBy, splitClaims } from './space-delimited-claims.ts'

/**
 * What stands for a verified token: it does to a request what the rules of `claims.iss` would do once the signature has
 * been checked. With no rule of that issuer only the claims that are always lists of words are split. Null when the
 * claims are nothing that a token can hold (see `parseJsonObject`).
 */
export function createGivenClaims(rules: readonly JwtRule[], claims: Claims): RequestAuthenticator | null {
  const text = Buffer.from(JSON.stringify(claims), 'utf8')
  const payload = parseJsonObject(text)
  if (payload === null) return null
  const outputs = rules.flatMap((rule) => outputHeaderNames(prepareOutputHeaders(rule)))
  const rule = rules.find(({ issuer }) => issuer === payload.iss) ?? rules.find(({ issuer }) => issuer === null)
  const split = splitClaims(payload, spaceDelimitedBy(rule?.spaceDelimitedClaims ?? []))
  return {
    tokenNames: NO_TOKEN_NAMES,
    authenticate({ headers, path }) {
      for (const name of outputs) headers.delete(name)
      if (rule !== undefined) {
        addOutputHeaders(prepareOutputHeaders(rule), { payload, payloadSegment: text.toString('base64url') }, headers)
      }
      return { kind: 'accepted', claims: split, path }
    },
  }
}
