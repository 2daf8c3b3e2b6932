import type { Logger } from '../../observe/log.ts'
import { type Answer, deny } from './answer.ts'
import { BadRequest } from './bad-request.ts'
import { withEverySpelling } from './query-spellings.ts'
import type { Asked, AuthorizerConnection, AuthorizerRequest } from './request.ts'
import { type AllowVerdict, denial, parseAnswer, type Verdict } from './verdict.ts'

export interface Checks {
  /** Decides about one HTTP request. */
  check(request: AuthorizerRequest): Answer | Promise<Answer>
  /** Decides about one TCP connection. Without it every connection is refused: `check` cannot be asked about one. */
  checkConnection?(connection: AuthorizerConnection): Answer | Promise<Answer>
}

/**
 * Decides with somebody else's code: whatever that does, the verdict is `allow` only when it said so. The HTTP form
 * cannot carry changes of the query, and an answer with one refuses there.
 */
export type Judge = (asked: Asked, form?: 'grpc' | 'http') => Verdict | Promise<Verdict>

const forbidden: Verdict = denial(403)
const failed: Verdict = denial(500)

/** `timeout` in milliseconds. */
export function createJudge(checks: Checks, timeout: number, logger: Logger): Judge {
  const settle = (answer: unknown, asked: Asked, form: 'grpc' | 'http'): Verdict => {
    const verdict = parseAnswer(answer)
    switch (verdict.kind) {
      case 'fault':
        logger.error('the answer of a check was refused', { reason: verdict.message })
        return verdict.fault === 'headers' ? failed : forbidden
      case 'allow':
        if (form === 'http' && !fitsHttp(verdict)) {
          logger.error('the answer of a check was refused', {
            reason: 'allow: query and removeQuery cannot be answered over HTTP',
          })
          return forbidden
        }
        return asked.kind === 'request' ? withEverySpelling(verdict, asked.request.path) : verdict
      case 'deny':
      case 'error':
        return verdict
      default:
        return verdict satisfies never
    }
  }
  const fail = (error: unknown): Verdict => {
    if (error instanceof BadRequest) {
      logger.debug('a request was refused as it cannot be read', { reason: error.message })
      return denial(error.status)
    }
    logThrown(logger, error)
    return forbidden
  }
  const settleSafely = (answer: unknown, asked: Asked, form: 'grpc' | 'http'): Verdict => {
    try {
      return settle(answer, asked, form)
    } catch (error) {
      return fail(error)
    }
  }
  return (asked, form = 'grpc') => {
    let answer: unknown
    try {
      answer = ask(checks, asked)
      if (!isThenable(answer)) return settle(answer, asked, form)
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
        (settled) => done(settleSafely(settled, asked, form)),
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

function fitsHttp({ setQuery, removeQuery }: AllowVerdict): boolean {
  return setQuery.length === 0 && removeQuery.length === 0
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
