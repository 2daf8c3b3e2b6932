import type { JwtRule } from '../mesh/request-authentication.ts'
import type { Claims } from '../policy/facts.ts'
import type { Json } from '../source/document.ts'
import type {
  Accepted,
  Authentication,
  AuthenticationRequest,
  Rejection,
  RequestAuthenticator,
} from './authentication.ts'
import { type ClaimChecks, prepareClaimChecks } from './jwt/claim-checks.ts'
import { detailsOf, type JwtFailure, statusOf } from './jwt/failure.ts'
import type { Token } from './jwt/token.ts'
import { verifyToken } from './jwt/verify-token.ts'
import type { KeySource, RuleKeys } from './key-source.ts'
import { addOutputHeaders, type OutputHeaders, outputHeaderNames, prepareOutputHeaders } from './output-headers.ts'
import {
  type FoundToken,
  findTokens,
  prepareLocations,
  removeToken,
  type TokenLocations,
  type TokenSource,
} from './token-locations.ts'

/** A rule with everything prepared that does not depend on a request. */
interface PreparedRule {
  readonly locations: TokenLocations
  readonly checks: ClaimChecks
  readonly keys: RuleKeys
  readonly forward: boolean
  readonly output: OutputHeaders
  readonly spaceDelimited: readonly string[]
}

/** What one rule says of one request. */
type Outcome =
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly reason: JwtFailure }
  | { readonly kind: 'verified'; readonly rule: PreparedRule; readonly tokens: readonly VerifiedToken[] }

interface VerifiedToken {
  readonly token: Token
  readonly source: TokenSource
}

const missing: Outcome = { kind: 'missing' }

/**
 * Builds what RequestAuthentication does to the requests of one workload from the rules of every policy attached to it.
 * Rules are tried in the order of their issuers; the first that verifies everything found at its own locations wins.
 */
export function createRequestAuthenticator(rules: readonly JwtRule[], keys: KeySource): RequestAuthenticator {
  const prepared = [...rules].sort(byIssuer).map((rule) => prepare(rule, keys))
  const outputNames = [...new Set(prepared.flatMap((rule) => outputHeaderNames(rule.output)))]
  return {
    authenticate(request, now) {
      // Before anything else, so that no client can speak in the name of a token.
      for (const name of outputNames) request.headers.delete(name)
      if (prepared.length === 0 || isPreflight(request)) return accept(request, null)
      return tryRules(prepared, 0, [], request, now)
    },
  }
}

function prepare(rule: JwtRule, keys: KeySource): PreparedRule {
  return {
    locations: prepareLocations(rule),
    checks: prepareClaimChecks(rule),
    keys: keys.keysFor(rule),
    forward: rule.forwardOriginalToken,
    output: prepareOutputHeaders(rule),
    spaceDelimited: [...new Set(['scope', 'permission', ...rule.spaceDelimitedClaims])],
  }
}

function byIssuer(a: JwtRule, b: JwtRule): number {
  const [left, right] = [a.issuer ?? '', b.issuer ?? '']
  return left < right ? -1 : left > right ? 1 : 0
}

function tryRules(
  rules: readonly PreparedRule[],
  from: number,
  outcomes: Outcome[],
  request: AuthenticationRequest,
  now: number,
): Authentication | Promise<Authentication> {
  for (let i = from; i < rules.length; i++) {
    const outcome = tryRule(rules[i] as PreparedRule, request, now)
    if (outcome instanceof Promise) {
      return outcome.then((late) => {
        if (late.kind === 'verified') return win(late, request)
        outcomes.push(late)
        return tryRules(rules, i + 1, outcomes, request, now)
      })
    }
    if (outcome.kind === 'verified') return win(outcome, request)
    outcomes.push(outcome)
  }
  const reason = finalFailure(outcomes)
  return reason === null ? accept(request, null) : reject(reason, request)
}

function tryRule(rule: PreparedRule, request: AuthenticationRequest, now: number): Outcome | Promise<Outcome> {
  const found = findTokens(rule.locations, request.headers, request.path)
  if (found.length === 0) return missing
  const outcome = verifyAll(rule, found, now)
  if (outcome.kind !== 'failed' || !otherKeysMightHelp(outcome.reason)) return outcome
  const refetch = rule.keys.refetch(now)
  return refetch === null ? outcome : refetch.then(() => verifyAll(rule, found, now))
}

/** All tokens that a rule finds must verify. Envoy starts from the last one. */
function verifyAll(rule: PreparedRule, found: readonly FoundToken[], now: number): Outcome {
  const keys = rule.keys.current(now)
  const tokens: VerifiedToken[] = []
  for (let i = found.length - 1; i >= 0; i--) {
    const { text, source } = found[i] as FoundToken
    const token = verifyToken(text, rule.checks, keys, now)
    if (token.kind === 'refused') return { kind: 'failed', reason: token.reason }
    tokens.push({ token, source })
  }
  return { kind: 'verified', rule, tokens }
}

function otherKeysMightHelp(reason: JwtFailure): boolean {
  return reason === "Jwks doesn't have key to match kid or alg from Jwt" || reason === 'Jwks remote fetch is failed'
}

/**
 * When no rule verifies: null when no rule saw a token, else the failure of the first rule that did, unless that is only
 * an unknown issuer and another rule has a more specific one; of those the last, as Envoy aggregates them.
 */
function finalFailure(outcomes: readonly Outcome[]): JwtFailure | null {
  let first: JwtFailure | null = null
  let specific: JwtFailure | null = null
  for (const outcome of outcomes) {
    if (outcome.kind !== 'failed') continue
    first ??= outcome.reason
    if (outcome.reason !== 'Jwt issuer is not configured') specific = outcome.reason
  }
  return first === 'Jwt issuer is not configured' ? (specific ?? first) : first
}

/** The winner's output headers are set and its tokens leave; of several tokens the first location's are the claims. */
function win(outcome: Extract<Outcome, { kind: 'verified' }>, request: AuthenticationRequest): Accepted {
  const { rule, tokens } = outcome
  let path = request.path
  for (const { token, source } of tokens) {
    addOutputHeaders(rule.output, token, request.headers)
    if (!rule.forward) path = removeToken(source, request.headers, path)
  }
  const chosen = tokens.at(-1) as VerifiedToken
  return { kind: 'accepted', claims: splitClaims(chosen.token.payload, rule.spaceDelimited), path }
}

function accept(request: AuthenticationRequest, claims: Claims | null): Accepted {
  return { kind: 'accepted', claims, path: request.path }
}

/** Top-level strings of these names become lists; a string without any word stays as it is. */
function splitClaims(payload: Claims, names: readonly string[]): Claims {
  let claims: { [key: string]: Json } | null = null
  for (const name of names) {
    const value = payload[name]
    if (typeof value !== 'string') continue
    const words = value.split(' ').filter((word) => word !== '')
    if (words.length === 0) continue
    claims ??= Object.assign(Object.create(null), payload) as { [key: string]: Json }
    claims[name] = words
  }
  return claims ?? payload
}

/** A browser's question before the request proper (Fetch standard): it never carries credentials. */
function isPreflight({ method, headers }: AuthenticationRequest): boolean {
  return (
    method === 'OPTIONS' &&
    (headers.get('origin') ?? '') !== '' &&
    (headers.get('access-control-request-method') ?? '') !== ''
  )
}

function reject(reason: JwtFailure, request: AuthenticationRequest): Rejection {
  return {
    kind: 'rejected',
    status: statusOf(reason),
    body: reason,
    wwwAuthenticate: `Bearer realm="${realmOf(request)}", error="invalid_token"`,
    details: detailsOf(reason),
  }
}

const realmPathLimit = 256

/** The request's URI without its query, which may hold a token, and without what would end the quoted string. */
function realmOf({ scheme, host, path }: AuthenticationRequest): string {
  const end = path.search(/[?#]/)
  const bare = (end === -1 ? path : path.slice(0, end)).slice(0, realmPathLimit)
  return `${scheme}://${host}${bare}`.replace(/["\\\p{Cc}]/gu, encodeURIComponent)
}
