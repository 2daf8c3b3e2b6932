import type { Authorizer } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import type { MetricsRegistry } from '../../observe/metrics.ts'
import type { Span } from '../../observe/trace-context.ts'
import type { AcceptSockets } from '../server/accept-sockets.ts'
import { deny } from '../server/answer.ts'
import { defaultGrace, type Listening } from '../server/authorizer.ts'
import { AuthorizerServer, type CloseTimes } from '../server/authorizer-server.ts'
import { createDefaultTransport } from '../server/default-transport.ts'
import type { Checks } from '../server/judge.ts'
import { TlsFileError } from '../server/listener.ts'
import type { DecisionLogOptions } from '../server/observe-checks.ts'
import { createEngine, type EngineLoading, type EngineOptions } from './engine.ts'

/** What is to be served: an `Authorizer` without its place in the files, so that it can go to another process. */
export interface AuthorizerSpec extends Pick<Authorizer, 'grpc' | 'http' | 'timeout' | 'engine'> {
  /** `NAMESPACE/NAME`. */
  readonly name: string
}

/** What a process gives to each of its authorizers. */
export interface ServeContext {
  readonly logger: Logger
  readonly metrics: MetricsRegistry
  readonly decisionLog: DecisionLogOptions | null
  readonly onSpan: ((span: Span) => void) | null
  readonly acceptSockets: AcceptSockets
  readonly engines: Omit<EngineOptions, 'logger'>
}

/** An embedded authorizer that is running. */
export interface ServedAuthorizer {
  readonly listening: Listening
  /** Loads the engine's files anew; the engine that runs stays until the new one is used. */
  load(): Promise<LoadedEngine | FailedLoading>
  close(times?: CloseTimes): Promise<void>
}

type Loaded = Extract<EngineLoading, { readonly kind: 'loaded' }>
type FailedLoading = Extract<EngineLoading, { readonly kind: 'failed' }>

/** Checks that wait for something may still look at what they were made with, until they are too late. */
function retire({ close }: Loaded, timeout: number): void {
  if (close !== undefined) setTimeout(close, timeout + 1000).unref()
}

export interface LoadedEngine {
  readonly kind: 'loaded'
  /** From now on this engine decides. */
  use(): void
}

/** What of a resource keeps it from running: its engine's files, an address, or the files of its certificates. */
export type ServeProblem = 'engine' | 'grpc' | 'http' | 'grpcTls' | 'httpTls'

export type Serving =
  | { readonly kind: 'serving'; readonly served: ServedAuthorizer }
  | (FailedLoading & { readonly what: ServeProblem })

/** Starts an authorizer: it listens only once its engine has been loaded. */
export async function serveAuthorizer(spec: AuthorizerSpec, context: ServeContext): Promise<Serving> {
  const { logger, engines } = context
  const engine = createEngine(spec.engine, { ...engines, logger })
  const first = await engine.load()
  if (first.kind === 'failed') {
    engine.close()
    return { ...first, what: 'engine' }
  }
  let used = first
  let checks: Checks = first.checks
  /** Loaded, and nobody has said yet whether it is to be used. */
  let next: Loaded | null = null
  const server = new AuthorizerServer(
    {
      check: (request) => checks.check(request),
      checkConnection: (connection) => checks.checkConnection?.(connection) ?? deny(),
    },
    {
      ...context,
      name: spec.name,
      engine: spec.engine.kind,
      timeout: spec.timeout,
      serving: true,
      createGrpcTransport: createDefaultTransport,
    },
  )
  try {
    const listening = await server.listen(spec.grpc, spec.http)
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
            retire(before, spec.timeout)
          }
          return { kind: 'loaded', use }
        },
        async close(times = { delay: 0, grace: defaultGrace }) {
          await server.close(times)
          engine.close()
          used.close?.()
        },
      },
    }
  } catch (error) {
    engine.close()
    first.close?.()
    const message = error instanceof Error ? error.message : String(error)
    const at = server.failedListener ?? 'grpc'
    return { kind: 'failed', what: error instanceof TlsFileError ? `${at}Tls` : at, message }
  }
}
