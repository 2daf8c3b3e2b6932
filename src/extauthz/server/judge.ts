import type { Logger } from '../../observe/log.ts'
import { type Answer, deny, parseAnswer, type Verdict } from './answer.ts'
import type { Asked, AuthorizerConnection, AuthorizerRequest } from './request.ts'

export interface Checks {
  /** Decides about one HTTP request. */
  check(request: AuthorizerRequest): Answer | Promise<Answer>
  /** Decides about one TCP connection. Without it every connection is refused: `check` cannot be asked about one. */
  checkConnection?(connection: AuthorizerConnection): Answer | Promise<Answer>
}

/** Decides with somebody else's code: whatever that does, the verdict is `allow` only when it said so. */
export type Judge = (asked: Asked) => Verdict | Promise<Verdict>

const forbidden: Verdict = { kind: 'deny', status: 403, headers: [], body: '', metadata: {} }
const failed: Verdict = { kind: 'deny', status: 500, headers: [], body: '', metadata: {} }

/** `timeout` in milliseconds. */
export function createJudge(checks: Checks, timeout: number, logger: Logger): Judge {
  const settle = (answer: unknown): Verdict => {
    const verdict = parseAnswer(answer)
    if (verdict.kind !== 'fault') return verdict
    logger.error('the answer of a check was refused', { reason: verdict.message })
    return verdict.fault === 'headers' ? failed : forbidden
  }
  const fail = (error: unknown): Verdict => {
    logThrown(logger, error)
    return forbidden
  }
  const settleSafely = (answer: unknown): Verdict => {
    try {
      return settle(answer)
    } catch (error) {
      return fail(error)
    }
  }
  return (asked) => {
    let answer: unknown
    try {
      answer = ask(checks, asked)
      if (!isThenable(answer)) return settle(answer)
    } catch (error) {
      return fail(error)
    }
    return new Promise<Verdict>((resolve) => {
      const timer = setTimeout(() => {
        logger.warn('a check took too long and was refused', { timeout })
        resolve(forbidden)
      }, timeout)
      const done = (verdict: Verdict) => {
        clearTimeout(timer)
        resolve(verdict)
      }
      const { signal } = asked.kind === 'request' ? asked.request : asked.connection
      if (signal.aborted) done(forbidden)
      else signal.addEventListener('abort', () => done(forbidden), { once: true })
      Promise.resolve(answer).then(
        (settled) => done(settleSafely(settled)),
        (error) => done(fail(error)),
      )
    })
  }
}

function ask(checks: Checks, asked: Asked): unknown {
  switch (asked.kind) {
    case 'request':
      return checks.check(asked.request)
    case 'connection':
      return checks.checkConnection === undefined ? deny() : checks.checkConnection(asked.connection)
    default:
      return asked satisfies never
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/**
 * An error's message may quote a token or a body (`JSON.parse` does), so that only its kind and place are logged; the
 * message is there at level debug.
 */
function logThrown(logger: Logger, error: unknown): void {
  if (!(error instanceof Error)) {
    logger.error('a check failed', { error: typeof error })
    return
  }
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  logger.error('a check failed', { error: error.name, at: frames.slice(0, 5).map((line) => line.trim().slice(3)) })
  logger.debug('a check failed', { message: error.message })
}
