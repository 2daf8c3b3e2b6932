import type { AuthorizerGrpcListener, AuthorizerListener } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import type { MetricsRegistry } from '../../observe/metrics.ts'
import type { Span } from '../../observe/trace-context.ts'
import type { AcceptSockets } from './accept-sockets.ts'
import type { Address } from './address.ts'
import { AuthorizerMetrics, type ListenerName } from './authorizer-metrics.ts'
import { createGrpcRouter, serviceNames } from './grpc-router.ts'
import { createCheckService } from './grpc-service.ts'
import { type CreateGrpcTransport, defaultLimits, type GrpcTransport } from './grpc-transport.ts'
import { HealthService } from './health.ts'
import { createHttpAuthorizerServer, defaultHttpLimits, type HttpAuthorizerServer } from './http-server.ts'
import { type Checks, createJudge, type Judge } from './judge.ts'
import { Listener } from './listener.ts'
import { type DecisionLogOptions, observeChecks } from './observe-checks.ts'

/** What a server is made with, every default filled in. */
export interface ServerSettings {
  readonly name: string
  readonly engine: string
  /** Milliseconds for a check. */
  readonly timeout: number
  readonly logger: Logger
  readonly metrics: MetricsRegistry
  readonly decisionLog: DecisionLogOptions | null
  readonly onSpan: ((span: Span) => void) | null
  readonly serving: boolean
  readonly acceptSockets: AcceptSockets
  readonly createGrpcTransport: CreateGrpcTransport
}

export interface CloseTimes {
  /** Milliseconds between saying NOT_SERVING and the first GOAWAY. */
  readonly delay: number
  /** Milliseconds for the checks under way, after that. */
  readonly grace: number
}

/** The listeners of one authorizer, and their common state. */
export class AuthorizerServer {
  readonly #settings: ServerSettings
  readonly #metrics: AuthorizerMetrics
  readonly #health = new HealthService(serviceNames)
  readonly judge: Judge
  readonly #listeners: Listener[] = []
  #grpc: GrpcTransport | null = null
  #http: HttpAuthorizerServer | null = null
  #state: 'new' | 'listening' | 'closing' = 'new'
  #serving: boolean
  #closed: Promise<void> | null = null
  #hurry: (() => void) | null = null
  #opening: ListenerName | null = null

  constructor(checks: Checks, settings: ServerSettings) {
    const { name, engine, timeout, logger, metrics, decisionLog, onSpan } = settings
    this.#settings = settings
    this.#serving = settings.serving
    this.#metrics = new AuthorizerMetrics(metrics, name, engine)
    const observer = observeChecks({ name, engine, metrics: this.#metrics, log: decisionLog, onSpan, logger })
    this.judge = createJudge(checks, timeout, logger, observer)
  }

  get ready(): boolean {
    return this.#health.serving
  }

  set serving(serving: boolean) {
    this.#serving = serving
    this.#tell()
  }

  /** Which one could not be had, when `listen` has rejected. */
  get failedListener(): ListenerName | null {
    return this.#opening
  }

  /** Rejects when one of them cannot be had, and then listens on neither. */
  async listen(
    grpc: AuthorizerGrpcListener | null,
    http: AuthorizerListener | null,
  ): Promise<{ grpc: Address | null; http: Address | null }> {
    if (this.#state !== 'new') throw new Error('listen: this authorizer has been started before')
    this.#state = 'listening'
    this.#tell()
    try {
      return { grpc: grpc && (await this.#listenGrpc(grpc)), http: http && (await this.#listenHttp(http)) }
    } catch (error) {
      await this.close({ delay: 0, grace: 0 })
      throw error
    }
  }

  /** A second call with less patience shortens the delay of the first. */
  close({ delay, grace }: CloseTimes): Promise<void> {
    this.#state = 'closing'
    this.#tell()
    if (delay <= 0) this.#hurry?.()
    this.#closed ??= this.#close(delay, grace)
    return this.#closed
  }

  async #close(delay: number, grace: number): Promise<void> {
    this.#http?.refuseKeepAlive()
    if (delay > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, delay)
        this.#hurry = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    await Promise.all(this.#listeners.map((listener) => listener.close()))
    await Promise.all([this.#grpc?.close(grace), this.#http?.close(grace)])
    for (const listener of this.#listeners) listener.destroy()
  }

  #tell(): void {
    this.#health.serving = this.#serving && this.#state === 'listening'
  }

  #listenGrpc(listener: AuthorizerGrpcListener): Promise<Address> {
    const { maxConnectionAge, maxConnectionAgeGrace, keepalive, reflection } = listener
    const { createGrpcTransport } = this.#settings
    const transport = createGrpcTransport(
      createGrpcRouter(createCheckService(this.judge), this.#health, reflection),
      {
        ...defaultLimits,
        maxConnectionAge,
        maxConnectionAgeGrace,
        keepaliveTime: keepalive.time,
        keepaliveTimeout: keepalive.timeout,
      },
      { refused: (why) => this.#metrics.refused('grpc', why) },
    )
    this.#grpc = transport
    return this.#open('grpc', 'h2', listener, defaultLimits.maxConnections, (socket) => transport.accept(socket))
  }

  #listenHttp(listener: AuthorizerListener): Promise<Address> {
    const server = createHttpAuthorizerServer(this.judge, defaultHttpLimits, {
      refused: (why) => this.#metrics.refused('http', why),
    })
    this.#http = server
    return this.#open('http', 'http/1.1', listener, defaultHttpLimits.maxConnections, (socket) => server.accept(socket))
  }

  #open(
    name: ListenerName,
    protocol: 'h2' | 'http/1.1',
    settings: AuthorizerListener,
    maxConnections: number,
    serve: GrpcTransport['accept'] | HttpAuthorizerServer['accept'],
  ): Promise<Address> {
    if (this.#state === 'closing') return Promise.reject(new Error('closed while it began to listen'))
    const { acceptSockets, logger } = this.#settings
    const open = this.#metrics.connections(name)
    const listener = new Listener(settings, {
      name: `${this.#settings.name}/${name}`,
      protocol,
      maxConnections,
      acceptSockets,
      logger,
      serve(socket) {
        open.value++
        socket.once('close', () => open.value--)
        return serve(socket)
      },
      refused: (why) => this.#metrics.refused(name, why),
    })
    this.#listeners.push(listener)
    this.#opening = name
    return listener.open()
  }
}
