import type { AuthenticationRequest } from './authentication.ts'
import type { JwtFailure } from './jwt/failure.ts'
import { moreTelling, type PreparedRule, type Verdict, verifyUnder } from './request-authenticator-rule.ts'
import { findEveryToken } from './token-locations.ts'

/**
 * Whether every token at any rule's location is verified by one of the rules that look there: null, or why one is not.
 * Envoy is content with one rule whose own tokens verify, and forwards what stands at the locations of others.
 */
export function verifyEvery(
  rules: readonly PreparedRule[],
  { headers, path }: AuthenticationRequest,
  now: number,
): JwtFailure | null | Promise<JwtFailure | null> {
  const presented = new Map<string, PreparedRule[]>()
  for (const rule of rules) {
    for (const { text } of findEveryToken(rule.locations, headers, path)) {
      const found = presented.get(text)
      if (found === undefined) presented.set(text, [rule])
      else if (!found.includes(rule)) found.push(rule)
    }
  }
  if (presented.size === 0) return null
  const questions = [...presented].map(([text, some]) => ({ text, rules: some }))
  return new EveryToken(questions, now).run()
}

interface Question {
  readonly text: string
  readonly rules: readonly PreparedRule[]
}

/** One token after the other, each under one rule after the other. */
class EveryToken {
  readonly #questions: readonly Question[]
  readonly #now: number
  readonly #waited: PreparedRule[] = []
  #question = 0
  #rule = 0
  #failure: JwtFailure | null = null

  constructor(questions: readonly Question[], now: number) {
    this.#questions = questions
    this.#now = now
  }

  run(arrived: Verdict | null = null): JwtFailure | null | Promise<JwtFailure | null> {
    let verdict: Verdict | Promise<Verdict> | null = arrived
    for (;;) {
      const question = this.#questions[this.#question]
      if (question === undefined) return null
      const rule = question.rules[this.#rule]
      if (rule === undefined) return this.#failure
      verdict ??= verifyUnder(rule, question.text, this.#now, this.#waited)
      if (verdict instanceof Promise) return verdict.then((late) => this.run(late))
      if (verdict.kind === 'refused') {
        if (verdict.reason === 'Jwt verification is overloaded') return verdict.reason
        this.#failure = moreTelling(this.#failure, verdict.reason)
        this.#rule++
      } else {
        this.#failure = null
        this.#question++
        this.#rule = 0
      }
      verdict = null
    }
  }
}
