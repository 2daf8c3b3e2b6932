import type { Logger } from '../../../observe/log.ts'
import { type Answer, deny, error } from '../../server/answer.ts'
import type { Checks } from '../../server/judge.ts'
import type { Attributes } from '../../server/request.ts'
import { toInput } from './input.ts'
import { readResult } from './result.ts'

/** What a policy said of an input. */
export type Decision =
  /** As JSON says it. */
  | { readonly kind: 'defined'; readonly value: unknown }
  | { readonly kind: 'undefined' }
  /**
   * There is no answer. The message quotes nothing of the input. `limit`: for a limit that the plug-in does not have, which
   * a request can bring about.
   */
  | { readonly kind: 'failed'; readonly message: string; readonly limit?: true }

/** Decides with the JSON of the input document of OPA's plug-in for Envoy. */
export type Evaluate = (input: string, signal: AbortSignal) => Decision | Promise<Decision>

/**
 * Asks a policy that was written for OPA's plug-in for Envoy. What the plug-in answers with an error of the call, such as
 * an undefined decision, is an error here, which a proxy refuses unless it was told otherwise. A request that takes the
 * evaluation beyond a limit of ours is denied: it must not pass where a proxy fails open.
 */
export function createOpaChecks(evaluate: Evaluate, logger: Logger): Checks {
  const fail = (reason: string): Answer => {
    logger.error('the policy gave no decision', { reason })
    return error()
  }
  const settle = (decision: Decision): Answer => {
    switch (decision.kind) {
      case 'undefined':
        return fail('the decision is undefined')
      case 'failed':
        if (decision.limit !== true) return fail(decision.message)
        logger.error('the request was refused: the policy needs too much for it', { reason: decision.message })
        return deny()
      case 'defined': {
        const reading = readResult(decision.value)
        return reading.kind === 'answer' ? reading.answer : fail(reading.message)
      }
      default:
        return decision satisfies never
    }
  }
  const check = (attributes: Attributes, signal: AbortSignal): Answer | Promise<Answer> => {
    const input = toInput(attributes)
    if (input.kind === 'malformed') return deny({ status: 400, body: `request_parse_error: ${input.message}` })
    const decision = evaluate(input.json, signal)
    return decision instanceof Promise ? decision.then(settle) : settle(decision)
  }
  return {
    check: ({ attributes, signal }) => check(attributes, signal),
    checkConnection: ({ attributes, signal }) => check(attributes, signal),
  }
}
