import type { Rejection, RequestAuthenticator } from '../../authn/authentication.ts'
import { asBytes } from '../../match/bytes.ts'
import type { HeaderMap } from '../../match/header-map.ts'
import type { Claims } from '../../policy/facts.ts'
import { type Answer, deny } from '../server/answer.ts'
import type { AuthorizerRequest } from '../server/request.ts'
import { headersOf } from './request-facts.ts'
import { changesBetween } from './token-changes.ts'

/** A request whose tokens have been looked at. Text is bytes as Latin-1. */
export interface AuthenticatedRequest {
  /** Null without a token. */
  readonly claims: Claims | null
  /** Without the token, if it was a parameter. */
  readonly path: string
  /** As the application is to see them. */
  readonly headers: HeaderMap
}

/**
 * Looks at a request's tokens, and lets `decide` answer unless one is bad. What authentication does to the headers (the
 * token leaves, claims arrive) goes along with an answer that allows. A token in a parameter stays in the forwarded
 * path: an answer cannot say that it is to leave. Null: tokens are not looked at.
 */
export function authenticate(
  authenticator: RequestAuthenticator | null,
  request: AuthorizerRequest,
  now: number,
  decide: (authenticated: AuthenticatedRequest) => Answer,
  rejected: (rejection: Rejection) => void,
): Answer | Promise<Answer> {
  if (request.headerLines.length > MOST_LINES) return deny({ status: 431 })
  const headers = headersOf(request)
  const path = asBytes(request.path)
  if (authenticator === null) return decide({ claims: null, path, headers })
  const { method, scheme, host } = request
  const asked = { method: asBytes(method), scheme, host: asBytes(host), path, headers }
  const sent = headers.clone()
  const then = (authentication: Awaited<ReturnType<RequestAuthenticator['authenticate']>>): Answer => {
    if (authentication.kind === 'accepted') {
      const { claims, path } = authentication
      return withChanges(decide({ claims, path, headers }), sent, headers)
    }
    rejected(authentication)
    const { status, body, wwwAuthenticate } = authentication
    return deny({ status, headers: wwwAuthenticate === null ? {} : { 'www-authenticate': wwwAuthenticate }, body })
  }
  const authentication = authenticator.authenticate(asked, now)
  return authentication instanceof Promise ? authentication.then(then) : then(authentication)
}

/** Header lines are compared with one another; Envoy takes a hundred. */
const MOST_LINES = 1000

/** What the answer itself says of a header counts. */
function withChanges(answer: Answer, sent: HeaderMap, headers: HeaderMap): Answer {
  if (answer.kind !== 'allow') return answer
  const changes = changesBetween(sent, headers)
  if (changes === null) return answer
  const own = new Set(Object.keys(answer.headers).map((name) => name.toLowerCase()))
  const set = Object.entries(changes.headers).filter(([name]) => !own.has(name))
  return {
    ...answer,
    headers: { ...Object.fromEntries(set), ...answer.headers },
    removeHeaders: [...changes.removeHeaders.filter((name) => !own.has(name)), ...answer.removeHeaders],
  }
}
