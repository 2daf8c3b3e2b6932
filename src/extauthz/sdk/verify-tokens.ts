import { type JwtFailure, statusOf } from '../../authn/jwt/failure.ts'
import { parseJwks } from '../../authn/jwt/jwk.ts'
import type { VerifiedToken } from '../../authn/jwt/verified-token.ts'
import { createOfflineKeySource } from '../../authn/key-source.ts'
import { type PreparedRule, prepareRule, type Verdict, verifyUnder } from '../../authn/request-authenticator-rule.ts'
import type { JwtKeys, JwtRule } from '../../mesh/request-authentication.ts'
import type { Logger } from '../../observe/log.ts'
import type { Json } from '../../source/document.ts'
import { type Answer, deny, type JsonObject, unauthorized } from '../server/answer.ts'
import { consoleLogger } from '../server/console-logger.ts'
import type { AuthorizerRequest } from '../server/request.ts'
import { bearerChallenge } from './bearer-challenge.ts'
import { bearerToken } from './bearer-token.ts'
import type { Check } from './combine.ts'
import { createTokenKeys, sharedTokenKeys } from './token-keys.ts'

/** What a token said whose signature, issuer, audience and times are right. The token itself is not in it. */
export interface Token<C = JsonObject> {
  /** The payload, or what `TokenOptions.claims` made of it. */
  readonly claims: C
  readonly issuer: string
  /** Empty without `sub`. */
  readonly subject: string
  /** `ISSUER/SUBJECT`, as Istio's `requestPrincipals` have it; empty without `sub`. */
  readonly principal: string
  readonly audiences: readonly string[]
  /** The words of `scope` and `scp`, be they one string or a list. */
  readonly scopes: readonly string[]
  /** Milliseconds since the epoch; null without `exp`, which is never. */
  readonly expires: number | null
}

/** A request behind `verifyTokens`. */
export interface WithToken<T> {
  readonly token: T
}

/** Why there is no token to decide with. `reason` names no part of the token. */
export type RefusedToken =
  | { readonly kind: 'missing' }
  /** 403 when the token is good, but meant for another audience or refused by `claims`. */
  | { readonly kind: 'invalid'; readonly status: 401 | 403; readonly reason: string }
  /** The issuer's keys cannot be fetched, or too many tokens wait: nothing is wrong with this one as far as is known. */
  | { readonly kind: 'unavailable'; readonly reason: string }

/** Whose tokens are good. */
export type TokenIssuer = {
  /** What `iss` has to be, to the letter. */
  readonly issuer: string
} & (
  | { readonly jwksUri: string | URL; readonly jwks?: never }
  /** The keys themselves: an object, or its text. */
  | { readonly jwks: string | object; readonly jwksUri?: never }
  /** The issuer's OpenID configuration says where they are. */
  | { readonly jwks?: never; readonly jwksUri?: never }
)

export type TokenOptions<C = JsonObject> = TokenIssuer & {
  /** Of these, the token's `aud` has to have one. Empty accepts tokens that were made for anybody. */
  readonly audiences: readonly string[]
  /** Where the token is; default `bearerToken`. Such as `(request) => cookies(request).get('session') ?? null`. */
  readonly token?: (request: AuthorizerRequest) => string | null
  /** Parses the payload into claims with types of your own, once a token; null refuses it with 403. */
  readonly claims?: (claims: JsonObject) => C | null
  /** For the challenge of a 401; default none. */
  readonly realm?: string
  /**
   * Answers when there is no good token, such as with the way to a login. Default: 401 with a challenge, 403 for another
   * audience, 503 when it cannot be told.
   */
  readonly otherwise?: (request: AuthorizerRequest, refused: RefusedToken) => Answer | Promise<Answer>
  /** Milliseconds for fetching keys; default 5000. */
  readonly timeout?: number
  /** PEM certificates to trust beside the platform's when keys are fetched. */
  readonly ca?: readonly string[]
  /** Where it is told that keys cannot be fetched; default: the console. */
  readonly logger?: Logger
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: () => number
}

/**
 * A check behind a token (JWT): `check` is asked only about requests whose token verifies, and finds it in
 * `request.token`. With `optional`, requests without any token come through too, with null.
 *
 * The token is judged as by Sallyport's proxy: RS, PS, ES, HS and EdDSA algorithms, never `none`; 60 seconds of
 * tolerance for clocks; keys fetched when this is called, refreshed every 20 minutes while they are needed, and once more
 * for an unknown key at most every 10 seconds; the last good keys stay for 7 days. Verified tokens are remembered by a
 * digest: at most 20,000. Where keys are fetched, checks without `ca` and `logger` share them.
 *
 * Throws TypeError when the options make no sense, such as keys that are none.
 */
export function verifyTokens<C = JsonObject>(
  options: TokenOptions<C> & { readonly optional: true },
  check: Check<AuthorizerRequest & WithToken<Token<C> | null>>,
): Check
export function verifyTokens<C = JsonObject>(
  options: TokenOptions<C> & { readonly optional?: false },
  check: Check<AuthorizerRequest & WithToken<Token<C>>>,
): Check
export function verifyTokens<C>(
  options: TokenOptions<C> & { readonly optional?: boolean },
  check: Check<AuthorizerRequest & WithToken<Token<C>>> | Check<AuthorizerRequest & WithToken<Token<C> | null>>,
): Check {
  const { token: find = bearerToken, otherwise = refuser(options.realm), optional = false, now = Date.now } = options
  if (typeof check !== 'function') throw new TypeError('verifyTokens: the second argument must be a check')
  const rule = prepare(options)
  const tokens = new WeakMap<VerifiedToken, Token<C> | null>()
  const ask = check as Check<AuthorizerRequest & WithToken<Token<C> | null>>

  const judged = (request: AuthorizerRequest, verdict: Verdict): Answer | Promise<Answer> => {
    if (verdict.kind === 'refused') return otherwise(request, refusalOf(verdict.reason))
    let token = tokens.get(verdict)
    if (token === undefined) {
      token = read(verdict, options.claims)
      tokens.set(verdict, token)
    }
    if (token !== null) return ask(Object.assign(request, { token }))
    return otherwise(request, { kind: 'invalid', status: 403, reason: 'the claims are not those that are needed' })
  }

  return (request) => {
    const text = find(request)
    if (text === null) {
      return optional ? ask(Object.assign(request, { token: null })) : otherwise(request, { kind: 'missing' })
    }
    const verdict = verifyUnder(rule, text, now(), [])
    return verdict instanceof Promise ? verdict.then((late) => judged(request, late)) : judged(request, verdict)
  }
}

/**
 * Never `error()`, which a proxy that fails open lets pass: any client can have its token wait, and a token that nobody
 * verified is no token.
 */
function refuser(realm: string | undefined): (request: AuthorizerRequest, refused: RefusedToken) => Answer {
  const named = realm === undefined ? {} : { realm }
  return (_request, refused) => {
    switch (refused.kind) {
      case 'missing':
        return unauthorized(bearerChallenge(named))
      case 'invalid': {
        const challenge = bearerChallenge({ ...named, error: 'invalid_token', description: refused.reason })
        return deny({ status: refused.status, headers: { 'www-authenticate': challenge } })
      }
      case 'unavailable':
        return deny({ status: 503 })
      default:
        return refused satisfies never
    }
  }
}

function refusalOf(reason: JwtFailure): RefusedToken {
  const status = statusOf(reason)
  const noKeys = reason === 'Jwks remote fetch is failed' || reason === "Jwks doesn't have any valid public key"
  return status === 503 || noKeys ? { kind: 'unavailable', reason } : { kind: 'invalid', status, reason }
}

function prepare<C>(options: TokenOptions<C>): PreparedRule {
  const { issuer, audiences, timeout = 5000, ca = [], logger } = options
  if (typeof issuer !== 'string' || issuer === '') throw new TypeError('verifyTokens: issuer must be a text')
  if (!Array.isArray(audiences) || !audiences.every((audience) => typeof audience === 'string')) {
    throw new TypeError('verifyTokens: audiences must be a list of texts')
  }
  if (!Number.isFinite(timeout) || timeout <= 0) throw new RangeError('verifyTokens: timeout must be above 0')
  const rule: JwtRule = {
    issuer,
    audiences,
    keys: keysOf(options),
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    forwardOriginalToken: true,
    outputPayloadToHeader: null,
    outputClaimToHeaders: [],
    spaceDelimitedClaims: [],
    timeout,
  }
  const own = logger !== undefined || ca.length > 0
  const { keys, verifier } = own ? createTokenKeys(logger ?? consoleLogger, ca) : sharedTokenKeys()
  // The cache would keep them for a next set of rules, which never comes.
  return prepareRule(rule, rule.keys.kind === 'inline' ? createOfflineKeySource() : keys, verifier)
}

function keysOf({ issuer, jwks, jwksUri }: TokenIssuer): JwtKeys {
  if (jwks !== undefined) {
    const text = typeof jwks === 'string' ? jwks : JSON.stringify(jwks)
    const parsed = parseJwks(text)
    if (parsed.kind === 'unusable') throw new TypeError(`verifyTokens: jwks has no key: ${parsed.reason}`)
    return { kind: 'inline', jwks: text }
  }
  const uri = String(jwksUri ?? issuer)
  if (!/^https?:\/\//i.test(uri) || !URL.canParse(uri)) {
    const what = jwksUri === undefined ? 'issuer must be' : 'jwksUri must be'
    throw new TypeError(`verifyTokens: ${what} an http or https URI for its keys to be found`)
  }
  return jwksUri === undefined ? { kind: 'discovery', issuer } : { kind: 'uri', uri }
}

function read<C>(verified: VerifiedToken, parse: ((claims: JsonObject) => C | null) | undefined): Token<C> | null {
  const { payload, issuer, audiences, expires } = verified
  const claims = parse === undefined ? (payload as C) : parse(payload)
  if (claims === null || claims === undefined) return null
  const subject = typeof payload.sub === 'string' ? payload.sub : ''
  return {
    claims,
    issuer,
    subject,
    principal: subject === '' ? '' : `${issuer}/${subject}`,
    audiences,
    scopes: [...words(payload.scope), ...words(payload.scp)],
    expires: expires === 0 ? null : expires * 1000,
  }
}

function words(claim: Json | undefined): readonly string[] {
  if (typeof claim === 'string') return claim.split(' ').filter((word) => word !== '')
  return Array.isArray(claim) ? claim.filter((word): word is string => typeof word === 'string') : []
}
