import * as http from 'node:http'
import type * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { Pool } from 'undici'
import type { SocketEndpoint } from '../mesh/sidecar.ts'
import type { ClientTls } from './client-tls.ts'
import { connectTls, HTTP_ALPN } from './client-tls.ts'
import type { WorkloadIdentity } from './config.ts'
import { connectPlain } from './connect-plain.ts'
import { MAX_HEAD_BYTES, MAX_UPSTREAM_CONNECTIONS, MAX_UPSTREAM_REQUESTS } from './limits.ts'
import { UndiciExchange } from './undici-exchange.ts'
import type { UpgradeSink, Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from './upstream.ts'
import { failureOf } from './upstream-failure.ts'

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
    const exchange = new UndiciExchange(this.#pool, request, sink, () => {
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

function originOf(endpoint: SocketEndpoint): string {
  if (endpoint.kind === 'unix') return 'http://localhost'
  return `http://${endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`
}

function lowerCased(raw: readonly string[]): string[] {
  return raw.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text))
}
