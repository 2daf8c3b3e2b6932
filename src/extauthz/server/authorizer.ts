import type { Logger } from '../../observe/log.ts'
import { MetricsRegistry } from '../../observe/metrics.ts'
import type { Span } from '../../observe/trace-context.ts'
import { acceptSockets } from './accept-sockets.ts'
import type { Address } from './address.ts'
import { AuthorizerServer } from './authorizer-server.ts'
import { consoleLogger } from './console-logger.ts'
import { createDefaultTransport } from './default-transport.ts'
import type { Checks, Judge } from './judge.ts'
import { type GrpcListenerOptions, type ListenerOptions, readGrpcListener, readListener } from './listener-options.ts'
import { createNodeTransport } from './node-transport.ts'
import type { DecisionLogOptions } from './observe-checks.ts'

export interface AuthorizerOptions extends Checks {
  /** What speaks HTTP/2 under gRPC: our own, the default, or `node`, the runtime's. They differ in speed alone. */
  readonly http2?: 'own' | 'node'
  /** Milliseconds that a check may take before it is refused; default 1000. */
  readonly timeout?: number
  /** Where failures of checks are told; default: warnings and errors on the console. */
  readonly logger?: Logger
  /** Who it is in metrics, spans and the decision log; default `authorizer`. */
  readonly name?: string
  /** Whether it is healthy from the beginning; default true. False: once `setServing(true)` is called. */
  readonly serving?: boolean
  /** Told of every check, without its secrets. */
  readonly decisionLog?: DecisionLogOptions
  /** Told of every check of a request that is traced: one with a sampled W3C `traceparent`. */
  readonly onSpan?: (span: Span) => void
}

export interface ListenOptions {
  /** Envoy's gRPC service: `host:port` (port 0 takes a free one) or `unix:/path`, or that with TLS and more. */
  readonly grpc?: string | GrpcListenerOptions
  /** The HTTP form. Serve nothing else there: the client chooses the path. */
  readonly http?: string | ListenerOptions
}

export interface Listening {
  readonly grpc: Address | null
  readonly http: Address | null
}

export interface CloseOptions {
  /** Milliseconds between saying NOT_SERVING and closing, for load balancers to take note; default 0. */
  readonly delay?: number
  /** Milliseconds for the checks under way, after that; default 5000. */
  readonly grace?: number
}

export interface Authorizer {
  /**
   * Rejects when an address is none or cannot be listened on, or when certificates cannot be used, and then listens on
   * neither.
   */
  listen(options: ListenOptions): Promise<Listening>
  /** Tells every client to go elsewhere, then waits for the checks under way. Safe to call more than once. */
  close(options?: CloseOptions): Promise<void>
  /** What the health service says. Checks are answered either way. */
  setServing(serving: boolean): void
  /** Whether the health service says SERVING: it listens, serves, and is not closing. */
  readonly ready: boolean
  /** What it counts, as Prometheus text. */
  metrics(): string
}

const defaultTimeout = 1000
export const defaultGrace = 5000

/**
 * An external authorization server. A check that throws, takes too long or returns anything but `allow()` or `deny()`
 * refuses the request with 403, and the client is told nothing of the reason.
 */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { timeout = defaultTimeout, logger = consoleLogger, name = 'authorizer', http2 = 'own' } = options
  if (typeof options.check !== 'function') throw new TypeError('createAuthorizer: check must be a function')
  if (!Number.isFinite(timeout) || timeout <= 0 || timeout > 2 ** 31 - 1) {
    throw new RangeError('createAuthorizer: timeout must be a number of milliseconds above 0')
  }
  if (http2 !== 'own' && http2 !== 'node') throw new TypeError('createAuthorizer: http2 must be own or node')
  const metrics = new MetricsRegistry()
  const server = new AuthorizerServer(options, {
    name,
    engine: 'sdk',
    timeout,
    logger,
    metrics,
    decisionLog: options.decisionLog ?? null,
    onSpan: options.onSpan ?? null,
    serving: options.serving ?? true,
    acceptSockets,
    createGrpcTransport: http2 === 'node' ? createNodeTransport : createDefaultTransport,
  })
  const authorizer: Authorizer = {
    async listen({ grpc, http }) {
      if (grpc === undefined && http === undefined) throw new TypeError('listen: neither grpc nor http is given')
      return server.listen(
        grpc === undefined ? null : readGrpcListener(grpc),
        http === undefined ? null : readListener(http),
      )
    },
    close: ({ delay = 0, grace = defaultGrace } = {}) => server.close({ delay, grace }),
    setServing(serving) {
      server.serving = serving
    },
    get ready() {
      return server.ready
    },
    metrics: () => metrics.render(),
  }
  judges.set(authorizer, server.judge)
  return authorizer
}

const judges = new WeakMap<Authorizer, Judge>()

/** What an authorizer decides with, for those who ask it without a connection; null for what is none of these. */
export function judgeOf(authorizer: Authorizer): Judge | null {
  return judges.get(authorizer) ?? null
}
