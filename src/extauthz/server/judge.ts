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

/**
 * What became of a check. All but `allow` refuse: `error` for one that threw or answered with what is none, `timeout` for
 * one that took too long, `cancelled` for one whose caller had gone.
 */
export type CheckResult = 'allow' | 'deny' | 'error' | 'timeout' | 'cancelled'

/** Is told of every check. Never throws. */
export interface CheckObserver {
  began(): void
  /** `since` is when it began, on the clock of `performance.now`. */
  ended(asked: Asked, verdict: Verdict, result: CheckResult, since: number): void
}

const forbidden: Verdict = { kind: 'deny', status: 403, headers: [], body: '' }
const failed: Verdict = { kind: 'deny', status: 500, headers: [], body: '' }

/** `timeout` in milliseconds. */
export function createJudge(checks: Checks, timeout: number, logger: Logger, observer: CheckObserver): Judge {
  const settle = (asked: Asked, answer: unknown, since: number): Verdict => {
    const verdict = parseAnswer(answer)
    if (verdict.kind !== 'fault') {
      observer.ended(asked, verdict, verdict.kind, since)
      return verdict
    }
    logger.error('the answer of a check was refused', { reason: verdict.message })
    const refused = verdict.fault === 'headers' ? failed : forbidden
    observer.ended(asked, refused, 'error', since)
    return refused
  }
  const fail = (asked: Asked, error: unknown, since: number): Verdict => {
    logThrown(logger, error)
    observer.ended(asked, forbidden, 'error', since)
    return forbidden
  }
  const wait = (asked: Asked, answer: unknown, since: number): Promise<Verdict> =>
    new Promise<Verdict>((resolve) => {
      let over = false
      const giveUp = (result: CheckResult) => {
        if (over) return
        over = true
        clearTimeout(timer)
        observer.ended(asked, forbidden, result, since)
        resolve(forbidden)
      }
      const settled = (verdict: () => Verdict) => {
        if (over) return
        over = true
        clearTimeout(timer)
        resolve(verdict())
      }
      const timer = setTimeout(() => {
        logger.warn('a check took too long and was refused', { timeout })
        giveUp('timeout')
      }, timeout)
      const { signal } = asked.kind === 'request' ? asked.request : asked.connection
      if (signal.aborted) giveUp('cancelled')
      else signal.addEventListener('abort', () => giveUp('cancelled'), { once: true })
      Promise.resolve(answer).then(
        (value) => settled(() => settleSafely(asked, value, since)),
        (error) => settled(() => fail(asked, error, since)),
      )
    })
  const settleSafely = (asked: Asked, answer: unknown, since: number): Verdict => {
    try {
      return settle(asked, answer, since)
    } catch (error) {
      return fail(asked, error, since)
    }
  }
  return (asked) => {
    const since = performance.now()
    observer.began()
    let answer: unknown
    try {
      answer = ask(checks, asked)
      if (isThenable(answer)) return wait(asked, answer, since)
    } catch (error) {
      return fail(asked, error, since)
    }
    return settleSafely(asked, answer, since)
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
