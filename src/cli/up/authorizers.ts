import { type ServedAuthorizer, serveAuthorizer } from '../../extauthz/engines/serve.ts'
import type { Authorizer } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'

/** Why an embedded authorizer does not run. */
export interface AuthorizerProblem {
  /** `engine`: its files cannot be loaded; `listen`: it cannot listen where it should. */
  readonly what: 'engine' | 'listen'
  readonly message: string
}

/** The embedded authorizers of one process. A changed one is started before the old one goes. */
export class Authorizers {
  readonly #logger: Logger
  readonly #served = new Map<string, { readonly resource: string; readonly served: ServedAuthorizer }>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** How many are served. */
  get size(): number {
    return this.#served.size
  }

  /** Starts what is new, stops what is gone, reloads engines. The first problem ends it; what runs goes on. */
  async apply(resources: readonly Authorizer[]): Promise<readonly AuthorizerProblem[]> {
    const problems: AuthorizerProblem[] = []
    const names = new Set(resources.map(nameOf))
    for (const [name, { served }] of this.#served) {
      if (names.has(name)) continue
      this.#served.delete(name)
      await served.close()
      this.#logger.info('authorizer stopped', { authorizer: name })
    }
    for (const resource of resources) {
      const problem = await this.#apply(resource)
      if (problem !== null) problems.push(problem)
    }
    return problems
  }

  async close(): Promise<void> {
    await Promise.all([...this.#served.values()].map(({ served }) => served.close()))
    this.#served.clear()
  }

  async #apply(resource: Authorizer): Promise<AuthorizerProblem | null> {
    const name = nameOf(resource)
    const text = JSON.stringify({ ...resource, origin: null, meta: null })
    const known = this.#served.get(name)
    if (known?.resource === text) {
      const reloaded = await known.served.reload()
      if (reloaded.kind === 'kept') {
        this.#logger.error('authorizer kept its last good engine', { authorizer: name, reason: reloaded.message })
      }
      return null
    }
    // Its addresses may be the same as before, so the old one makes room first.
    if (known !== undefined) await known.served.close()
    const serving = await serveAuthorizer(resource, this.#logger)
    if (serving.kind === 'failed') {
      this.#served.delete(name)
      return { what: serving.what, message: `authorizer ${name}: ${serving.message}` }
    }
    this.#served.set(name, { resource: text, served: serving.served })
    const { grpc, http } = serving.served.listening
    const address = (at: typeof grpc) => (at === null ? undefined : `${at.host}:${at.port}`)
    this.#logger.info('authorizer listening', { authorizer: name, grpc: address(grpc), http: address(http) })
    return null
  }
}

function nameOf({ meta }: Authorizer): string {
  return `${meta.namespace}/${meta.name}`
}
