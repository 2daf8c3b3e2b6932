import type { JwtRule } from '../mesh/request-authentication.ts'
import type { Claims } from '../policy/facts.ts'
import type {
  Accepted,
  Authentication,
  AuthenticationRequest,
  Rejection,
  RequestAuthenticator,
} from './authentication.ts'
import { detailsOf, type JwtFailure, statusOf } from './jwt/failure.ts'
import type { TokenVerifier } from './jwt/token-verifier.ts'
import type { VerifiedToken } from './jwt/verified-token.ts'
import { immediateVerifier } from './jwt/verify-token.ts'
import type { KeySource } from './key-source.ts'
import { addOutputHeaders } from './output-headers.ts'
import { moreTelling, type PreparedRule, prepareRule, type Verdict, verifyUnder } from './request-authenticator-rule.ts'
import { verifyEvery } from './request-authenticator-strict.ts'
import { type FoundToken, findTokens, removeToken, type TokenSource } from './token-locations.ts'

export interface RequestAuthenticatorOptions {
  /** Default: every token is verified anew, at once. */
  readonly verifier?: TokenVerifier
  /** Refuses a request unless every token that it presents at any rule's location verifies. Default: as Envoy. */
  readonly strict?: boolean
}

/**
 * Builds what RequestAuthentication does to the requests of one workload from the rules of every policy attached to it.
 * Rules are tried in the order of their issuers; the first that verifies all that is left at its own locations wins.
 */
export function createRequestAuthenticator(
  rules: readonly JwtRule[],
  keys: KeySource,
  { verifier = immediateVerifier, strict = false }: RequestAuthenticatorOptions = {},
): RequestAuthenticator {
  const prepared = [...rules].sort(byIssuer).map((rule) => prepareRule(rule, keys, verifier))
  const outputNames = [...new Set(prepared.flatMap((rule) => rule.outputNames))]
  const accept = (request: AuthenticationRequest, now: number): Authentication | Promise<Authentication> => {
    if (prepared.length === 0 || isPreflight(request)) return { kind: 'accepted', claims: null, path: request.path }
    return new Evaluation(prepared, request, now).run()
  }
  const locations = prepared.map((rule) => rule.locations)
  return {
    tokenNames: {
      headers: new Set(locations.flatMap(({ headers }) => headers.map(({ name }) => name))),
      parameters: new Set(locations.flatMap(({ parameters }) => parameters.map((name) => name.toLowerCase()))),
    },
    authenticate(request, now) {
      // Before anything else, so that no client can speak in the name of a token.
      for (const name of outputNames) request.headers.delete(name)
      if (!strict) return accept(request, now)
      const failure = verifyEvery(prepared, request, now)
      const then = (reason: JwtFailure | null) => (reason === null ? accept(request, now) : reject(reason, request))
      return failure instanceof Promise ? failure.then(then) : then(failure)
    },
  }
}

function byIssuer(a: JwtRule, b: JwtRule): number {
  const [left, right] = [a.issuer ?? '', b.issuer ?? '']
  return left < right ? -1 : left > right ? 1 : 0
}

/** What became of one rule on one request. */
type Outcome = 'verified' | 'missing' | JwtFailure

/**
 * One request before the rules. Istio compiles them to "any of: rule 1, ..., rule n, or all of (rule i, or no token for
 * rule i)", and Envoy acts on each token as it verifies, also when its rule then fails for another one: the token
 * leaves, its output headers are set, and rules after it do not see it. So a request that carries a good token for each
 * of two rules at the same two locations passes.
 */
class Evaluation {
  readonly #rules: readonly PreparedRule[]
  readonly #request: AuthenticationRequest
  readonly #now: number
  #path: string
  #claims: Claims | null = null
  /** In the first round any rule may win, in the second no rule may fail. */
  #round: 1 | 2 = 1
  #index = 0
  /** Of the rule at `#index`, what is still to verify; null before it was looked for. */
  #tokens: FoundToken[] | null = null
  /** What was said of the last of these tokens while the evaluation stood still. */
  #verdict: Verdict | null = null
  /** Rules that have waited for other keys; none waits twice. */
  readonly #waited: PreparedRule[] = []
  #failure: JwtFailure | null = null

  constructor(rules: readonly PreparedRule[], request: AuthenticationRequest, now: number) {
    this.#rules = rules
    this.#request = request
    this.#now = now
    this.#path = request.path
  }

  run(): Authentication | Promise<Authentication> {
    for (;;) {
      const outcome = this.#verify(this.#rules[this.#index] as PreparedRule)
      if (outcome instanceof Promise) return outcome.then(() => this.run())
      this.#tokens = null
      if (outcome === 'verified' && this.#round === 1) return this.#accept()
      if (outcome !== 'verified' && outcome !== 'missing') {
        // Another rule's token must not win because nobody had time for this one.
        if (outcome === 'Jwt verification is overloaded') return reject(outcome, this.#request)
        this.#failure = moreTelling(this.#failure, outcome)
        // The only rule has no second round: it would say the same again.
        if (this.#round === 2 || this.#rules.length === 1) return reject(this.#failure, this.#request)
      }
      this.#index++
      if (this.#index < this.#rules.length) continue
      if (this.#round === 2 || this.#failure === null) return this.#accept()
      this.#round = 2
      this.#index = 0
    }
  }

  /** All tokens at a rule's locations must verify. Envoy starts from the last one, so that the first has the last word. */
  #verify(rule: PreparedRule): Outcome | Promise<void> {
    if (this.#tokens === null) {
      // In the second round this takes back what a rule said when it failed.
      for (const name of rule.outputNames) this.#request.headers.delete(name)
      this.#tokens = findTokens(rule.locations, this.#request.headers, this.#path)
      if (this.#tokens.length === 0) return 'missing'
    }
    const tokens = this.#tokens
    for (let found = tokens.at(-1); found !== undefined; found = tokens.at(-1)) {
      const verdict = this.#verdict ?? verifyUnder(rule, found.text, this.#now, this.#waited)
      this.#verdict = null
      if (verdict instanceof Promise) {
        return verdict.then((late) => {
          this.#verdict = late
        })
      }
      if (verdict.kind === 'refused') return verdict.reason
      tokens.pop()
      this.#apply(rule, verdict, found.source)
    }
    return 'verified'
  }

  #apply(rule: PreparedRule, token: VerifiedToken, source: TokenSource): void {
    addOutputHeaders(rule.output, token, this.#request.headers)
    if (!rule.forward) this.#path = removeToken(source, this.#request.headers, this.#path)
    this.#claims = token.claims(rule.spaceDelimited)
  }

  #accept(): Accepted {
    return { kind: 'accepted', claims: this.#claims, path: this.#path }
  }
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
  const status = statusOf(reason)
  return {
    kind: 'rejected',
    status,
    body: reason,
    wwwAuthenticate: status === 503 ? null : `Bearer realm="${realmOf(request)}", error="invalid_token"`,
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
