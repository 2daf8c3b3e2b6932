import type { Authorizer } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import { deny } from '../server/answer.ts'
import { createAuthorizer, type Listening } from '../server/authorizer.ts'
import type { Checks } from '../server/judge.ts'
import { loadModule } from './module.ts'

/** An embedded authorizer that is running. */
export interface ServedAuthorizer {
  readonly listening: Listening
  /** Loads the engine's files anew. What cannot be loaded is said, and the last good engine stays. */
  reload(): Promise<{ readonly kind: 'reloaded' } | { readonly kind: 'kept'; readonly message: string }>
  close(): Promise<void>
}

export type Serving =
  | { readonly kind: 'serving'; readonly served: ServedAuthorizer }
  /** `engine`: its files cannot be loaded. `listen`: an address is taken or no address of this machine. */
  | { readonly kind: 'failed'; readonly what: 'engine' | 'listen'; readonly message: string }

/** Starts an `Authorizer` resource: it listens only once its engine has been loaded. */
export async function serveAuthorizer(resource: Authorizer, logger: Logger): Promise<Serving> {
  const first = await loadModule(resource.engine.path)
  if (first.kind === 'failed') return { kind: 'failed', what: 'engine', message: first.message }
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
        async reload() {
          const next = await loadModule(resource.engine.path)
          if (next.kind === 'failed') return { kind: 'kept', message: next.message }
          checks = next.checks
          return { kind: 'reloaded' }
        },
        close: () => server.close(),
      },
    }
  } catch (error) {
    return { kind: 'failed', what: 'listen', message: error instanceof Error ? error.message : String(error) }
  }
}
