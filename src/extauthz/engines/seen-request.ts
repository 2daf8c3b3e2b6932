import type { RequestAuthenticator } from '../../authn/authentication.ts'
import type { Claims } from '../../policy/facts.ts'
import { type Answer, deny } from '../server/answer.ts'
import type { AuthorizerRequest } from '../server/request.ts'
import type { EngineOptions } from './engine.ts'
import { textsOf } from './header-texts.ts'
import { pathReadings } from './path-readings.ts'
import { authenticate } from './request-authentication.ts'

/** A request as policies that are not Istio's see it: text, with one of the paths that its target may turn out to be. */
export interface SeenRequest {
  readonly request: AuthorizerRequest
  /** With the query. */
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
  /** Null without a token. */
  readonly claims: Claims | null
}

const MODE = 'DECODE_AND_MERGE_SLASHES'

/** Has `decide` answer for every path that the target may turn out to be. All have to allow; the first answer counts then. */
export function decideRequest(
  request: AuthorizerRequest,
  authenticator: RequestAuthenticator | null,
  { logger, now = Date.now }: EngineOptions,
  decide: (seen: SeenRequest) => Answer,
): Answer | Promise<Answer> {
  if (pathReadings(request.path, MODE) === null) return deny({ status: 400 })
  return authenticate(
    authenticator,
    request,
    now(),
    ({ claims, path: target, headers }) => {
      const texts = textsOf(headers)
      let first: Answer | null = null
      for (const path of pathReadings(target, MODE) ?? []) {
        const answer = decide({ request, path, headers: texts, claims })
        if (answer.kind !== 'allow') return answer
        first ??= answer
      }
      return first ?? deny()
    },
    ({ details }) => logger.debug('refused', { phase: 'authn', details }),
  )
}
