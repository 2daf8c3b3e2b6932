import type { Logger } from '../../observe/log.ts'
import { type Address, parseAddress } from './address.ts'
import { consoleLogger } from './console-logger.ts'
import { createGrpcService } from './grpc-service.ts'
import type { GrpcTransport } from './grpc-transport.ts'
import { createHttpAuthorizerServer, type HttpAuthorizerServer } from './http-server.ts'
import { createHttp2Transport } from './http2-transport.ts'
import { type Checks, createJudge, type Judge } from './judge.ts'

export interface AuthorizerOptions extends Checks {
  /** Milliseconds that a check may take before it is refused; default 1000. */
  readonly timeout?: number
  /** Where failures of checks are told; default: warnings and errors on the console. */
  readonly logger?: Logger
}

export interface ListenOptions {
  /** `host:port` for Envoy's gRPC service (cleartext HTTP/2); port 0 takes a free one. */
  readonly grpc?: string
  /** `host:port` for the HTTP form. Serve nothing else there: the client chooses the path. */
  readonly http?: string
}

export interface Listening {
  readonly grpc: Address | null
  readonly http: Address | null
}

export interface CloseOptions {
  /** Milliseconds for the checks under way; default 5000. */
  readonly grace?: number
}

export interface Authorizer {
  /** Rejects when an address is none or cannot be listened on, and then listens on neither. */
  listen(options: ListenOptions): Promise<Listening>
  /** Tells every client to go elsewhere, then waits for the checks under way. Safe to call more than once. */
  close(options?: CloseOptions): Promise<void>
}

const defaultTimeout = 1000
const defaultGrace = 5000

/**
 * An external authorization server. A check that throws, takes too long or returns anything but `allow()` or `deny()`
 * refuses the request with 403, and the client is told nothing of the reason.
 */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { timeout = defaultTimeout, logger = consoleLogger } = options
  if (typeof options.check !== 'function') throw new TypeError('createAuthorizer: check must be a function')
  if (!Number.isFinite(timeout) || timeout <= 0 || timeout > 2 ** 31 - 1) {
    throw new RangeError('createAuthorizer: timeout must be a number of milliseconds above 0')
  }
  return new Server(options, timeout, logger)
}

const judges = new WeakMap<Authorizer, Judge>()

/** What an authorizer decides with, for those who ask it without a connection; null for what is none of these. */
export function judgeOf(authorizer: Authorizer): Judge | null {
  return judges.get(authorizer) ?? null
}

class Server implements Authorizer {
  readonly #grpc: GrpcTransport
  readonly #http: HttpAuthorizerServer
  #state: 'new' | 'listening' | 'closing' = 'new'
  #closed: Promise<void> | null = null

  constructor(checks: Checks, timeout: number, logger: Logger) {
    const judge = createJudge(checks, timeout, logger)
    judges.set(this, judge)
    this.#grpc = createHttp2Transport(createGrpcService(judge, () => this.#state === 'listening'))
    this.#http = createHttpAuthorizerServer(judge)
  }

  async listen({ grpc, http }: ListenOptions): Promise<Listening> {
    if (this.#state !== 'new') throw new Error('listen: this authorizer has been started before')
    if (grpc === undefined && http === undefined) throw new TypeError('listen: neither grpc nor http is given')
    const grpcAddress = grpc === undefined ? null : readAddress(grpc)
    const httpAddress = http === undefined ? null : readAddress(http)
    this.#state = 'listening'
    try {
      return {
        grpc: grpcAddress && (await this.#grpc.listen(grpcAddress.host, grpcAddress.port)),
        http: httpAddress && (await this.#http.listen(httpAddress.host, httpAddress.port)),
      }
    } catch (error) {
      await this.close({ grace: 0 })
      throw error
    }
  }

  close({ grace = defaultGrace }: CloseOptions = {}): Promise<void> {
    this.#state = 'closing'
    this.#closed ??= Promise.all([this.#grpc.close(grace), this.#http.close(grace)]).then(() => {})
    return this.#closed
  }
}

function readAddress(text: string): Address {
  const address = parseAddress(text)
  if (address === null) throw new TypeError(`listen: '${text}' is no address; write host:port, such as 127.0.0.1:9191`)
  return address
}
