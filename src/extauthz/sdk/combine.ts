import type { AllowAnswer, Answer, MultiHeaders } from '../server/answer.ts'
import type { AuthorizerRequest } from '../server/request.ts'
import { parseAnswer } from '../server/verdict.ts'

/** Decides about one request. `R` is more than `AuthorizerRequest` behind something that adds to it. */
export type Check<R extends AuthorizerRequest = AuthorizerRequest> = (request: R) => Answer | Promise<Answer>

/**
 * Asks one check after the other until one allows, and gives its answer. When none does, the last denial counts, so that
 * the last check says what the client has to present; `error` counts only when nothing denied. A check that throws ends
 * it, which refuses.
 */
export function firstOf<R extends AuthorizerRequest>(...checks: readonly [Check<R>, ...Check<R>[]]): Check<R> {
  demandChecks('firstOf', checks)
  return (request) => {
    const from = (index: number, refused: Answer | null): Answer | Promise<Answer> => {
      let refusal = refused
      for (let i = index; i < checks.length; i++) {
        const answer = (checks[i] as Check<R>)(request)
        if (isPromise(answer)) {
          return answer.then((late) => (late.kind === 'allow' ? late : from(i + 1, worse(refusal, late))))
        }
        if (answer.kind === 'allow') return answer
        refusal = worse(refusal, answer)
      }
      return refusal as Answer
    }
    return from(0, null)
  }
}

function worse(before: Answer | null, answer: Answer): Answer {
  return answer.kind === 'error' && before?.kind === 'deny' ? before : answer
}

/**
 * Asks one check after the other, and gives the first answer that does not allow. When all allow, their changes are put
 * together: of what is set the last one counts, what is added or removed adds up, and what any of them removes is gone.
 */
export function allOf<R extends AuthorizerRequest>(...checks: readonly [Check<R>, ...Check<R>[]]): Check<R> {
  demandChecks('allOf', checks)
  return (request) => {
    const from = (index: number, allowed: AllowAnswer | null): Answer | Promise<Answer> => {
      let sum = allowed
      for (let i = index; i < checks.length; i++) {
        const answer = (checks[i] as Check<R>)(request)
        if (isPromise(answer)) {
          return answer.then((late) => (isSound(late) ? from(i + 1, both(sum, late)) : late))
        }
        if (!isSound(answer)) return answer
        sum = both(sum, answer)
      }
      return sum as AllowAnswer
    }
    return from(0, null)
  }
}

/** What is wrong in one part must not get lost in the sum. */
function isSound(answer: Answer): answer is AllowAnswer {
  return answer.kind === 'allow' && parseAnswer(answer).kind === 'allow'
}

function both(a: AllowAnswer | null, b: AllowAnswer): AllowAnswer {
  if (a === null) return b
  return {
    kind: 'allow',
    headers: merge(lowered(a.headers), lowered(b.headers), (_, last) => last),
    appendHeaders: merge(lowered(a.appendHeaders), lowered(b.appendHeaders), (first, last) => `${first},${last}`),
    removeHeaders: [...a.removeHeaders, ...b.removeHeaders],
    responseHeaders: merge(lowered(a.responseHeaders), lowered(b.responseHeaders), bothLines),
    query: merge(a.query, b.query, (_, last) => last),
    removeQuery: [...a.removeQuery, ...b.removeQuery],
    metadata: merge(a.metadata, b.metadata, (_, last) => last),
  }
}

type Lines = MultiHeaders[string]

function bothLines(first: Lines, last: Lines): Lines {
  return typeof first === 'string' || typeof last === 'string' ? last : [...first, ...last]
}

/** Header names are the same in any case. */
function lowered<T>(headers: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function merge<T>(
  a: Readonly<Record<string, T>>,
  b: Readonly<Record<string, T>>,
  join: (first: T, last: T) => T,
): Readonly<Record<string, T>> {
  const merged = new Map(Object.entries(a))
  for (const [name, value] of Object.entries(b)) {
    const before = merged.get(name)
    merged.set(name, before === undefined ? value : join(before, value))
  }
  return Object.fromEntries(merged)
}

function isPromise(answer: Answer | Promise<Answer>): answer is Promise<Answer> {
  return answer instanceof Promise
}

function demandChecks(name: string, checks: readonly unknown[]): void {
  if (checks.length === 0 || !checks.every((check) => typeof check === 'function')) {
    throw new TypeError(`${name}: every argument must be a check, and there must be one`)
  }
}
