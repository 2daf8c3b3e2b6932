import type { AuthorizerSpec } from '../../extauthz/engines/serve.ts'
import { printAddress } from '../../extauthz/server/address.ts'
import type { CloseTimes } from '../../extauthz/server/authorizer-server.ts'
import type { Authorizer } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import type { MetricsSnapshot } from '../../observe/metrics-snapshot.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import type { AuthorizerChange } from './authorizers.ts'
import type { ListeningAuthorizer } from './messages.ts'
import { describeProblem } from './problem-diagnostic.ts'
import type { Supervisor } from './supervisor.ts'

/** The authorizers of the files, which a supervisor runs. */
export class SupervisedAuthorizers {
  readonly #supervisor: Supervisor
  readonly #logger: Logger
  /** Where each listens, by its name. */
  #listening: ReadonlyMap<string, string> = new Map()

  constructor(supervisor: Supervisor, logger: Logger) {
    this.#supervisor = supervisor
    this.#logger = logger
  }

  get ready(): boolean {
    return this.#supervisor.ready
  }

  /** Starts what is new or changed. When any of it cannot be started, what runs goes on as it was. */
  async prepare(resources: readonly Authorizer[]): Promise<AuthorizerChange<Diagnostic>> {
    const specs = resources.map(specOf)
    const change = await this.#supervisor.prepare(specs)
    if (change.kind === 'failed') {
      const byName = new Map(resources.map((resource) => [specOf(resource).name, resource]))
      return {
        kind: 'failed',
        problems: change.problems.flatMap((problem) => {
          const resource = byName.get(problem.name)
          if (resource === undefined) return []
          // What is wrong in the engine's own files, then what that means for the authorizer.
          return [...(problem.diagnostics ?? []), describeProblem(resource, problem.what, problem.message)]
        }),
      }
    }
    const commit = async () => {
      await change.commit()
      this.#announce(change.listening)
    }
    return { ...change, commit }
  }

  metrics(): Promise<MetricsSnapshot> {
    return this.#supervisor.metrics()
  }

  close(times: CloseTimes): Promise<void> {
    return this.#supervisor.close(times)
  }

  /** Says what is new and what has gone. */
  #announce(listening: readonly ListeningAuthorizer[]): void {
    const next = new Map<string, string>()
    for (const { name, grpc, http } of listening) {
      const fields = {
        grpc: grpc === null ? undefined : printAddress(grpc),
        http: http === null ? undefined : printAddress(http),
      }
      next.set(name, JSON.stringify(fields))
      if (this.#listening.get(name) === next.get(name)) continue
      this.#logger.info('authorizer listening', { authorizer: name, ...fields })
    }
    for (const name of this.#listening.keys()) {
      if (!next.has(name)) this.#logger.info('authorizer stopped', { authorizer: name })
    }
    this.#listening = next
  }
}

function specOf({ meta, grpc, http, timeout, engine }: Authorizer): AuthorizerSpec {
  return { name: `${meta.namespace}/${meta.name}`, grpc, http, timeout, engine }
}
