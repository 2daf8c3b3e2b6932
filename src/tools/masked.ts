import type { RequestAuthenticator } from '../authn/authentication.ts'
import { outputHeaderNames, prepareOutputHeaders } from '../authn/output-headers.ts'
import { readParameter } from '../authn/query-parameters.ts'
import { prepareLocations } from '../authn/token-locations.ts'
import type { HeaderMap } from '../match/header-map.ts'
import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { JwtRule } from '../mesh/request-authentication.ts'
import { MASKED } from '../observe/mask.ts'

/**
 * Request authentication for what a decision log has kept: a masked token is neither good nor bad, so it is passed over
 * as if it were not there, and is there again afterwards for conditions on its presence.
 */
export function passingMasked(rules: readonly JwtRule[], authenticator: RequestAuthenticator): RequestAuthenticator {
  const replaced = new Set(rules.flatMap((rule) => outputHeaderNames(prepareOutputHeaders(rule))))
  return {
    tokenNames: authenticator.tokenNames,
    authenticate(request, now) {
      const { headers } = request
      const path = withoutMasked(request.path)
      const masked = hide(headers).filter(([name]) => !replaced.has(name))
      const restore = (result: Awaited<ReturnType<RequestAuthenticator['authenticate']>>) => {
        for (const [name, value] of masked) headers.append(name, value)
        return result.kind === 'accepted' && result.path === path ? { ...result, path: request.path } : result
      }
      const result = authenticator.authenticate({ ...request, path }, now)
      return result instanceof Promise ? result.then(restore) : restore(result)
    },
  }
}

/** Whether a rule looks for a token where the log has masked what was there. */
export function hasMaskedToken(rules: readonly JwtRule[], headers: HeaderMap, path: string): boolean {
  if (!isMasked(path) && !hasMasked(headers)) return false
  return rules.map(prepareLocations).some((locations) => {
    const names = [...locations.headers.map(({ name }) => name), ...(locations.cookies.length > 0 ? ['cookie'] : [])]
    return (
      names.some((name) => headers.all(name).some(isMasked)) ||
      locations.parameters.some((name) => isMasked(readParameter(path, name) ?? ''))
    )
  })
}

/** The masked header that some policy compares, or null. */
export function maskedCondition(policies: readonly AuthorizationPolicy[], headers: HeaderMap): string | null {
  if (!hasMasked(headers)) return null
  for (const { when } of policies.flatMap(({ rules }) => rules)) {
    for (const { key, values, notValues } of when) {
      const name = /^request\.headers\[(.*)\]$/.exec(key)?.[1]
      if (name === undefined || [...values, ...notValues].every((value) => value === '*')) continue
      if (headers.all(name.toLowerCase()).some(isMasked)) return name
    }
  }
  return null
}

export function isMasked(value: string): boolean {
  return value.includes(MASKED)
}

function hasMasked(headers: HeaderMap): boolean {
  for (let i = 0; i < headers.size; i++) if (isMasked(headers.valueAt(i))) return true
  return false
}

/** Takes the masked lines out and returns them. */
function hide(headers: HeaderMap): readonly (readonly [string, string])[] {
  const lines = [...headers]
  const masked = lines.filter(([, value]) => isMasked(value))
  const names = new Set(masked.map(([name]) => name))
  for (const name of names) headers.delete(name)
  for (const [name, value] of lines) if (names.has(name) && !isMasked(value)) headers.append(name, value)
  return masked
}

function withoutMasked(path: string): string {
  const query = path.indexOf('?')
  if (query === -1 || !isMasked(path)) return path
  const kept = path
    .slice(query + 1)
    .split('&')
    .filter((pair) => !isMasked(pair))
  return kept.length === 0 ? path.slice(0, query) : `${path.slice(0, query)}?${kept.join('&')}`
}
