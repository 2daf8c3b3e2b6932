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

/** Of Envoy's two protocols. The HTTP form cannot carry changes of the query, and an answer with one refuses there. */
export type Form = 'grpc' | 'http'

/** Decides with somebody else's code: whatever that does, the verdict is `allow` only when it said so. */
export type Judge = (asked: Asked, form?: Form) => Verdict | Promise<Verdict>

/**
 * What became of a check. All but `allow` refuse: `error` for one that threw, or answered with `error()` or with what is
 * no answer, `timeout` for one that took too long, `cancelled` for one whose caller had gone.
 */
export type CheckResult = 'allow' | 'deny' | 'error' | 'timeout' | 'cancelled'

/** Is told of every check. Never throws. */
export interface CheckObserver {
  began(): void
  /** `since` is when it began, on the clock of `performance.now`. */
  ended(asked: Asked, verdict: Verdict, result: CheckResult, since: number): void
}

const forbidden: Verdict = denial(403)
const failed: Verdict = denial(500)

/** `timeout` in milliseconds. */
export function createJudge(checks: Checks, timeout: number, logger: Logger, observer: CheckObserver): Judge {
  const refuse = (one: Question, reason: string, verdict: Verdict): Verdict => {
    logger.error('the answer of a check was refused', { reason })
    observer.ended(one.asked, verdict, 'error', one.since)
    return verdict
  }
  const settle = (one: Question, answer: unknown): Verdict => {
    const { asked, form, since } = one
    const verdict = parseAnswer(answer)
    switch (verdict.kind) {
      case 'fault':
        return refuse(one, verdict.message, verdict.fault === 'headers' ? failed : forbidden)
      case 'allow': {
        if (form === 'http' && !fitsHttp(verdict)) {
          return refuse(one, 'allow: query and removeQuery cannot be answered over HTTP', forbidden)
        }
        const whole = asked.kind === 'request' ? withEverySpelling(verdict, asked.request.path) : verdict
        observer.ended(asked, whole, 'allow', since)
        return whole
      }
      case 'deny':
      case 'error':
        observer.ended(asked, verdict, verdict.kind, since)
        return verdict
      default:
        return verdict satisfies never
    }
  }
  const fail = ({ asked, since }: Question, error: unknown): Verdict => {
    if (error instanceof BadRequest) {
      logger.debug('a request was refused as it cannot be read', { reason: error.message })
      const refused = denial(error.status)
      observer.ended(asked, refused, 'deny', since)
      return refused
    }
    logThrown(logger, error)
    observer.ended(asked, forbidden, 'error', since)
    return forbidden
  }
  const settleSafely = (one: Question, answer: unknown): Verdict => {
    try {
      return settle(one, answer)
    } catch (error) {
      return fail(one, error)
    }
  }
  const wait = (one: Question, answer: unknown): Promise<Verdict> =>
    new Promise<Verdict>((resolve) => {
      const { asked, since } = one
      const { signal } = asked.kind === 'request' ? asked.request : asked.connection
      let over = false
      const end = (): boolean => {
        if (over) return false
        over = true
        clearTimeout(timer)
        signal.removeEventListener('abort', cancel)
        return true
      }
      const giveUp = (result: CheckResult) => {
        if (!end()) return
        observer.ended(asked, forbidden, result, since)
        resolve(forbidden)
      }
      const cancel = () => giveUp('cancelled')
      const timer = setTimeout(() => {
        logger.warn('a check took too long and was refused', { timeout })
        giveUp('timeout')
      }, timeout)
      if (signal.aborted) cancel()
      else signal.addEventListener('abort', cancel, { once: true })
      Promise.resolve(answer).then(
        (value) => end() && resolve(settleSafely(one, value)),
        (error) => end() && resolve(fail(one, error)),
      )
    })
  return (asked, form = 'grpc') => {
    const one: Question = { asked, form, since: performance.now() }
    observer.began()
    let answer: unknown
    try {
      answer = ask(checks, asked)
      if (isThenable(answer)) return wait(one, answer)
    } catch (error) {
      return fail(one, error)
    }
    return settleSafely(one, answer)
  }
}

/** One check. `since` is when it began, on the clock of `performance.now`. */
interface Question {
  readonly asked: Asked
  readonly form: Form
  readonly since: number
}

function fitsHttp({ setQuery, removeQuery }: AllowVerdict): boolean {
  return setQuery.length === 0 && removeQuery.length === 0
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

/** For those who need not know. */
export const unobserved: CheckObserver = { began() {}, ended() {} }
