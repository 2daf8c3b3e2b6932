import * as http from 'node:http'
import * as net from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { Pool } from 'undici'
import type { SocketEndpoint } from '../mesh/sidecar.ts'
import type { ClientTls } from './client-tls.ts'
import { connectTls, HTTP_ALPN } from './client-tls.ts'
import type { WorkloadIdentity } from './config.ts'
import { CONNECT_TIMEOUT, MAX_HEAD_BYTES, MAX_UPSTREAM_CONNECTIONS, MAX_UPSTREAM_REQUESTS } from './limits.ts'
import { IdentityError } from './tls-settings.ts'
import type {
  UpgradeSink,
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamRequest,
  UpstreamSink,
} from './upstream.ts'

export interface UpstreamOptions {
  readonly endpoint: SocketEndpoint
  /** Null: plaintext. `identity` is asked for at each new connection, so that a rotated certificate is used at once. */
  readonly tls: { readonly client: ClientTls; readonly identity: () => WorkloadIdentity | null } | null
  readonly maxRequests?: number
}

/** Requests over undici's pool; upgrades over a connection of their own. */
export class UndiciUpstream implements Upstream {
  readonly #options: UpstreamOptions
  readonly #pool: Pool
  readonly #maxRequests: number
  readonly #tunnels = new Set<Duplex>()
  #active = 0

  constructor(options: UpstreamOptions) {
    this.#options = options
    this.#maxRequests = options.maxRequests ?? MAX_UPSTREAM_REQUESTS
    this.#pool = new Pool(originOf(options.endpoint), {
      connections: MAX_UPSTREAM_CONNECTIONS,
      pipelining: 1,
      maxHeaderSize: MAX_HEAD_BYTES,
      // Istio sets no route or idle timeout for streams.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 15_000,
      connect: (_options, done) => {
        this.#connect((error, socket) => (socket === null ? done(error as Error, null) : done(null, socket)))
      },
    })
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    if (this.#active >= this.#maxRequests) {
      sink.onFailure({ reason: 'overflow', message: 'too many requests' })
      return DONE
    }
    this.#active++
    const exchange = new Exchange(this.#pool, request, sink, () => {
      this.#active--
    })
    exchange.dispatch()
    return exchange
  }

  upgrade(request: UpstreamRequest, protocol: string, sink: UpgradeSink): UpstreamExchange {
    if (this.#active >= this.#maxRequests) {
      sink.onFailure({ reason: 'overflow', message: 'too many requests' })
      return DONE
    }
    this.#active++
    let over = false
    const finish = () => {
      if (!over) this.#active--
      over = true
    }
    let connection: Duplex | null = null
    let outgoing: http.ClientRequest | null = null
    this.#connect((error, socket) => {
      if (over) {
        socket?.destroy()
        return
      }
      if (socket === null) {
        finish()
        sink.onFailure(failureOf(error as Error))
        return
      }
      connection = socket
      this.#tunnels.add(socket)
      socket.once('close', () => {
        this.#tunnels.delete(socket)
        finish()
      })
      outgoing = http.request({
        createConnection: () => socket,
        method: request.method,
        path: request.path,
        setHost: false,
        maxHeaderSize: MAX_HEAD_BYTES,
        headers: [
          ...['host', request.host, ...request.headers, 'connection', 'Upgrade', 'upgrade', protocol],
          // Else Node ends an empty body in chunks, which would be the first bytes of the other protocol.
          ...(request.method === 'GET' ? [] : ['content-length', '0']),
        ] as never,
      })
      outgoing.on('upgrade', (answer, upstream, head) => {
        if (head.length > 0) upstream.unshift(head)
        sink.onUpgrade(lowerCased(answer.rawHeaders), upstream)
      })
      outgoing.on('response', (answer) => {
        sink.onAnswer(answer.statusCode ?? 502, answer.statusMessage ?? '', lowerCased(answer.rawHeaders), answer)
      })
      outgoing.on('error', (failure) => {
        socket.destroy()
        if (!over) sink.onFailure(failureOf(failure))
      })
      outgoing.end()
    })
    return {
      resume() {},
      cancel() {
        finish()
        outgoing?.destroy()
        connection?.destroy()
      },
    }
  }

  async close(grace: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), grace)
    })
    const closed = await Promise.race([this.#pool.close().then(() => 'closed' as const), late])
    clearTimeout(timer)
    for (const tunnel of this.#tunnels) tunnel.destroy()
    if (closed === 'late') await this.#pool.destroy()
  }

  #connect(done: (error: Error | null, socket: net.Socket | null) => void): void {
    const { endpoint, tls } = this.#options
    if (tls === null || endpoint.kind === 'unix') {
      connectPlain(endpoint, done)
      return
    }
    connectTls(endpoint, tls.client, tls.identity(), HTTP_ALPN, done as never)
  }
}

const DONE: UpstreamExchange = { resume() {}, cancel() {} }

/** Opens a plaintext connection; `done` is called once. */
export function connectPlain(
  endpoint: SocketEndpoint,
  done: (error: Error | null, socket: net.Socket | null) => void,
  allowHalfOpen = false,
): net.Socket {
  const socket =
    endpoint.kind === 'unix'
      ? net.connect({ path: endpoint.path, allowHalfOpen })
      : net.connect({ host: endpoint.host, port: endpoint.port, allowHalfOpen })
  socket.setNoDelay(true)
  const timer = setTimeout(() => {
    socket.destroy(Object.assign(new Error('connect timeout'), { code: 'UND_ERR_CONNECT_TIMEOUT' }))
  }, CONNECT_TIMEOUT)
  const failed = (error: Error) => {
    clearTimeout(timer)
    done(error, null)
  }
  socket.once('error', failed)
  socket.once('connect', () => {
    clearTimeout(timer)
    socket.off('error', failed)
    done(null, socket)
  })
  return socket
}

function originOf(endpoint: SocketEndpoint): string {
  if (endpoint.kind === 'unix') return 'http://localhost'
  return `http://${endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`
}

/** An answer that never began on a connection that the server had just closed may be asked for again. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])
const MOST_ATTEMPTS = 3

/**
 * One request through undici. Its older handler form is used on purpose: it alone tells headers as they came, with
 * their order and duplicates, and without building an object for each answer.
 */
class Exchange implements UpstreamExchange {
  readonly #pool: Pool
  readonly #request: UpstreamRequest
  readonly #sink: UpstreamSink
  readonly #finished: () => void
  #attempts = 0
  #abort: ((error?: Error) => void) | null = null
  #resume: (() => void) | null = null
  #begun = false
  #over = false

  constructor(pool: Pool, request: UpstreamRequest, sink: UpstreamSink, finished: () => void) {
    this.#pool = pool
    this.#request = request
    this.#sink = sink
    this.#finished = finished
  }

  dispatch(): void {
    this.#attempts++
    const { method, path, host, headers, body, contentLength } = this.#request
    const lines = ['host', host, ...headers]
    if (contentLength !== null && (contentLength > 0 || body !== null)) {
      lines.push('content-length', String(contentLength))
    }
    try {
      // undici takes any async iterable as a body, though its types do not say so.
      this.#pool.dispatch({ method, path, headers: lines, body: body as Readable | null }, this)
    } catch (error) {
      this.onError(error as Error)
    }
  }

  resume(): void {
    this.#resume?.()
  }

  cancel(): void {
    if (!this.#end()) return
    this.#abort?.(new Error('the client went away'))
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    if (this.#over) abort(new Error('the client went away'))
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, reason: string): boolean {
    if (this.#over) return false
    this.#resume = resume
    // Interim answers (RFC 9110, 15.2) are dropped: no expectation is ever forwarded that would need one.
    if (status < 200) return true
    this.#begun = true
    this.#sink.onHead(status, reason, latin1(headers))
    return true
  }

  onData(chunk: Buffer): boolean {
    return this.#over ? false : this.#sink.onData(chunk)
  }

  onComplete(trailers: string[] | null): void {
    if (this.#end()) this.#sink.onEnd(trailers === null ? [] : latin1(trailers as unknown as Buffer[]))
  }

  onError(error: Error): void {
    if (this.#over) return
    const failure = failureOf(error)
    const again = !this.#begun && failure.reason === 'reset' && this.#attempts < MOST_ATTEMPTS
    if (again && this.#request.body === null && IDEMPOTENT.has(this.#request.method)) {
      this.dispatch()
      return
    }
    this.#end()
    this.#sink.onFailure(failure)
  }

  /** True the first time. */
  #end(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#finished()
    return true
  }
}

function latin1(raw: readonly (Buffer | string)[]): string[] {
  const lines: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    lines.push((raw[i] as Buffer).toString('latin1').toLowerCase(), (raw[i + 1] as Buffer).toString('latin1'))
  }
  return lines
}

function lowerCased(raw: readonly string[]): string[] {
  return raw.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text))
}

/** What a socket or parser error means for the client. */
export function failureOf(error: Error): UpstreamFailure {
  if (error instanceof IdentityError) return { reason: 'identity', message: error.message }
  const code = (error as NodeJS.ErrnoException).code ?? ''
  switch (code) {
    case 'ECONNREFUSED':
      return { reason: 'connect', message: 'Connection refused' }
    case 'ENOENT':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'EACCES':
      return { reason: 'connect', message: code }
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return { reason: 'connectTimeout', message: 'connection timeout' }
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
      return { reason: 'reset', message: code }
    default:
      if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || TLS_CODES.has(code)) {
        return { reason: 'identity', message: code }
      }
      return { reason: 'protocol', message: code === '' ? error.name : code }
  }
}

/** OpenSSL's verification failures, as Node names them. */
const TLS_CODES = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
])
