import type { Authorizer } from '../../mesh/authorizer.ts'
import { deny } from '../server/answer.ts'
import { createAuthorizer, type Listening } from '../server/authorizer.ts'
import type { Checks } from '../server/judge.ts'
import { createEngine, type EngineLoading, type EngineOptions } from './engine.ts'

/** An embedded authorizer that is running. */
export interface ServedAuthorizer {
  readonly listening: Listening
  /** Loads the engine's files anew; the engine that runs stays until the new one is used. */
  load(): Promise<LoadedEngine | FailedLoading>
  close(): Promise<void>
}

/** Checks that wait for something may still look at what they were made with, until they are too late. */
function retire({ close }: Loaded, timeout: number): void {
  if (close !== undefined) setTimeout(close, timeout + 1000).unref()
}

type Loaded = Extract<EngineLoading, { readonly kind: 'loaded' }>

export interface LoadedEngine {
  readonly kind: 'loaded'
  /** From now on this engine decides. */
  use(): void
}

type FailedLoading = Extract<EngineLoading, { readonly kind: 'failed' }>

export type Serving =
  | { readonly kind: 'serving'; readonly served: ServedAuthorizer }
  /** `engine`: its files cannot be loaded. `listen`: an address is taken or no address of this machine. */
  | (FailedLoading & { readonly what: 'engine' | 'listen' })

/**
 * Starts an `Authorizer` resource: it listens only once its engine has been loaded. `makeRoom` is called in between, to
 * end what has its addresses. `runOpa` compiles Rego.
 */
export async function serveAuthorizer(
  resource: Authorizer,
  options: EngineOptions,
  makeRoom: () => Promise<void> = async () => {},
): Promise<Serving> {
  const engine = createEngine(resource.engine, options)
  const first = await engine.load()
  if (first.kind === 'failed') {
    engine.close()
    return { ...first, what: 'engine' }
  }
  await makeRoom()
  let used = first
  let checks: Checks = first.checks
  /** Loaded, and nobody has said yet whether it is to be used. */
  let next: Loaded | null = null
  const server = createAuthorizer({
    check: (request) => checks.check(request),
    checkConnection: (connection) => checks.checkConnection?.(connection) ?? deny(),
    timeout: resource.timeout,
    logger: options.logger,
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
          const loading = await engine.load()
          if (loading.kind === 'failed') return loading
          next?.close?.()
          next = loading
          const use = () => {
            const before = used
            next = null
            used = loading
            checks = loading.checks
            retire(before, resource.timeout)
          }
          return { kind: 'loaded', use }
        },
        async close() {
          await server.close()
          engine.close()
        },
      },
    }
  } catch (error) {
    engine.close()
    return { kind: 'failed', what: 'listen', message: error instanceof Error ? error.message : String(error) }
  }
}
