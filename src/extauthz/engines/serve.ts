import type { Authorizer } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import { deny } from '../server/answer.ts'
import { createAuthorizer, type Listening } from '../server/authorizer.ts'
import type { Checks } from '../server/judge.ts'
import { loadEngine } from './engine.ts'
import type { RunOpa } from './rego/compile.ts'

/** An embedded authorizer that is running. */
export interface ServedAuthorizer {
  readonly listening: Listening
  /** Loads the engine's files anew; the engine that runs stays until the new one is used. */
  load(): Promise<LoadedEngine | { readonly kind: 'failed'; readonly message: string }>
  close(): Promise<void>
}

export interface LoadedEngine {
  readonly kind: 'loaded'
  /** From now on this engine decides. */
  use(): void
}

export type Serving =
  | { readonly kind: 'serving'; readonly served: ServedAuthorizer }
  /** `engine`: its files cannot be loaded. `listen`: an address is taken or no address of this machine. */
  | { readonly kind: 'failed'; readonly what: 'engine' | 'listen'; readonly message: string }

/**
 * Starts an `Authorizer` resource: it listens only once its engine has been loaded. `makeRoom` is called in between, to
 * end what has its addresses. `runOpa` compiles Rego.
 */
export async function serveAuthorizer(
  resource: Authorizer,
  logger: Logger,
  makeRoom: () => Promise<void> = async () => {},
  runOpa: RunOpa | null = null,
): Promise<Serving> {
  const first = await loadEngine(resource.engine, { logger, runOpa })
  if (first.kind === 'failed') return { kind: 'failed', what: 'engine', message: first.message }
  await makeRoom()
  let checks: Checks = first.checks
  const server = createAuthorizer({
    check: (request) => checks.check(request),
    checkConnection: (connection) => checks.checkConnection?.(connection) ?? deny(),
    timeout: resource.timeout,
    logger,
  })
  try {
    const listening = await server.listen({
      ...(resource.grpc === null ? {} : { grpc: resource.grpc }),
      ...(resource.http === null ? {} : { http: resource.http }),
    })
    return {
      kind: 'serving',
      served: {
        listening,
        async load() {
          const next = await loadEngine(resource.engine, { logger, runOpa })
          if (next.kind === 'failed') return next
          const use = () => {
            checks = next.checks
          }
          return { kind: 'loaded', use }
        },
        close: () => server.close(),
      },
    }
  } catch (error) {
    return { kind: 'failed', what: 'listen', message: error instanceof Error ? error.message : String(error) }
  }
}
