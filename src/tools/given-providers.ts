import type { CheckClient, CheckOutcome } from '../extauthz/check.ts'
import type { Provider } from '../mesh/provider.ts'
import type { ProviderAnswer } from './request.ts'

/** Providers whose answers were given with the request; one without an answer is noted and taken to allow. */
export class GivenProviders {
  /** The first one. */
  unanswered: string | null = null
  readonly #ask: ((provider: Provider) => CheckClient) | null
  readonly #answers: ReadonlyMap<string, ProviderAnswer>

  /** `ask` makes the client of a provider without an answer; null when none may be asked. */
  constructor(answers: ReadonlyMap<string, ProviderAnswer>, ask: ((provider: Provider) => CheckClient) | null) {
    this.#answers = answers
    this.#ask = ask
  }

  client(provider: Provider): CheckClient {
    const answer = this.#answers.get(provider.name)
    if (answer === undefined && this.#ask !== null) return this.#ask(provider)
    return { check: async () => this.#outcome(provider, answer), close: async () => {} }
  }

  #outcome({ name, kind }: Provider, answer: ProviderAnswer | undefined): CheckOutcome {
    if (answer === undefined) {
      this.unanswered ??= name
      return { kind: 'allow', changes: [], responseChanges: [] }
    }
    switch (answer.kind) {
      case 'error':
        return { kind: 'error', reason: answer.error, message: 'as given with the request' }
      case 'answer':
        // Over HTTP a 5xx is no answer, as the client of such a provider has it.
        if (kind === 'http' && !answer.allow && answer.status >= 500 && answer.status <= 599) {
          return { kind: 'error', reason: 'unavailable', message: 'as given with the request' }
        }
        return answer.allow
          ? {
              kind: 'allow',
              changes: answer.headers.map(([name, value]) => ({ kind: 'set', name, value })),
              responseChanges: [],
            }
          : { kind: 'deny', status: answer.status, headers: answer.headers, body: Buffer.from(answer.body, 'latin1') }
      default:
        return answer satisfies never
    }
  }
}
