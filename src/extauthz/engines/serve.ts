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
import { loadEngine } from './engine.ts'

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
}

/** An embedded authorizer that is running. */
export interface ServedAuthorizer {
  readonly listening: Listening
  /** Loads the engine's files anew; the engine that runs stays until the new one is used. */
  load(): Promise<LoadedEngine | { readonly kind: 'failed'; readonly message: string }>
  close(times?: CloseTimes): Promise<void>
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
  | { readonly kind: 'failed'; readonly what: ServeProblem; readonly message: string }

/** Starts an authorizer: it listens only once its engine has been loaded. */
export async function serveAuthorizer(spec: AuthorizerSpec, context: ServeContext): Promise<Serving> {
  const { logger } = context
  const first = await loadEngine(spec.engine, { logger })
  if (first.kind === 'failed') return { kind: 'failed', what: 'engine', message: first.message }
  let checks: Checks = first.checks
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
          const next = await loadEngine(spec.engine, { logger })
          if (next.kind === 'failed') return next
          const use = () => {
            checks = next.checks
          }
          return { kind: 'loaded', use }
        },
        close: (times = { delay: 0, grace: defaultGrace }) => server.close(times),
      },
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const at = server.failedListener ?? 'grpc'
    return { kind: 'failed', what: error instanceof TlsFileError ? `${at}Tls` : at, message }
  }
}
