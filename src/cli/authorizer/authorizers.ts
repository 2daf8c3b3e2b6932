import {
  type AuthorizerSpec,
  type LoadedEngine,
  type ServeContext,
  type ServedAuthorizer,
  serveAuthorizer,
} from '../../extauthz/engines/serve.ts'
import type { CloseTimes } from '../../extauthz/server/authorizer-server.ts'
import type { AuthorizerProblem, ListeningAuthorizer } from './messages.ts'

/** What is to become of the authorizers, already listening: one of the two ends it. */
export type AuthorizerChange<Problem = AuthorizerProblem> =
  | { readonly kind: 'failed'; readonly problems: readonly Problem[] }
  | {
      readonly kind: 'prepared'
      readonly listening: readonly ListeningAuthorizer[]
      /** Ends those that are gone, and takes the engines of the others that were loaded anew. */
      commit(): Promise<void>
      /** Back to what was there before. */
      undo(): Promise<void>
    }

/** What runs of one spec. */
interface Entry {
  readonly content: string
  readonly served: ServedAuthorizer
}

/** The authorizers of one process. A changed one is started before the old one goes. */
export class Authorizers {
  readonly #context: ServeContext
  #served: ReadonlyMap<string, Entry> = new Map()

  constructor(context: ServeContext) {
    this.#context = context
  }

  /** Starts what is new or changed. When any of it cannot be started, what runs goes on as it was. */
  async prepare(specs: readonly AuthorizerSpec[]): Promise<AuthorizerChange> {
    const next = new Map<string, Entry>()
    const engines: LoadedEngine[] = []
    const started: Entry[] = []
    const problems: AuthorizerProblem[] = []
    for (const spec of specs) {
      const { name } = spec
      const content = JSON.stringify(spec)
      const known = this.#served.get(name)
      if (known?.content === content) {
        const engine = await known.served.load()
        if (engine.kind === 'failed')
          problems.push({ name, what: 'engine', message: engine.message, diagnostics: engine.diagnostics ?? [] })
        else engines.push(engine)
        next.set(name, known)
        continue
      }
      const serving = await serveAuthorizer(spec, this.#context)
      if (serving.kind === 'failed') {
        const { what, message, diagnostics = [] } = serving
        problems.push({ name, what, message, diagnostics })
        continue
      }
      const entry = { content, served: serving.served }
      started.push(entry)
      next.set(name, entry)
    }
    const undo = async () => {
      await Promise.all(started.map(({ served }) => served.close()))
    }
    if (problems.length > 0) {
      await undo()
      return { kind: 'failed', problems }
    }
    const commit = async () => {
      const before = this.#served
      this.#served = next
      for (const engine of engines) engine.use()
      const gone = [...before].filter(([name, entry]) => next.get(name)?.served !== entry.served)
      await Promise.all(gone.map(([, { served }]) => served.close()))
    }
    const listening = [...next].map(([name, { served }]) => ({ name, ...served.listening }))
    return { kind: 'prepared', listening, commit, undo }
  }

  async close(times: CloseTimes): Promise<void> {
    await Promise.all([...this.#served.values()].map(({ served }) => served.close(times)))
    this.#served = new Map()
  }
}
