import { isCelError } from '@bufbuild/cel'
import type { RequestAuthenticator } from '../../authn/authentication.ts'
import { type Answer, deny } from '../server/answer.ts'
import type { Checks } from '../server/judge.ts'
import { answerOf } from './cel-answer.ts'
import type { CelExpression } from './cel-expression.ts'
import { requestVariables, tcpVariables } from './cel-variables.ts'
import type { EngineOptions } from './engine.ts'
import { decideRequest } from './seen-request.ts'

export function createCelChecks(
  { evaluate, place, uses }: CelExpression,
  authenticator: RequestAuthenticator | null,
  options: EngineOptions,
): Checks {
  const { logger } = options
  const answer = (variables: Parameters<typeof evaluate>[0]): Answer => {
    const result = evaluate(variables)
    if (result instanceof Error || isCelError(result)) {
      // Messages name fields and types; a few repeat a value, which may be a secret.
      logger.warn('the expression failed on a request, which is refused', {
        at: place(result),
        reason: reasonOf(result),
      })
      return deny()
    }
    const found = answerOf(result)
    if (found === null) logger.warn('the expression gave no answer, and the request is refused')
    return found ?? deny()
  }
  return {
    check: (request) => decideRequest(request, authenticator, options, (seen) => answer(requestVariables(seen, uses))),
    checkConnection: (connection) => answer(tcpVariables(connection, uses)),
  }
}

/** Without what stands in quotes, behind a colon or in brackets. */
function reasonOf({ message }: Error): string {
  return /^[\w ]+/.exec(message)?.[0].trim().slice(0, 100) ?? 'error'
}
