import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type ClientHello, type Sniffed, sniff } from './client-hello.ts'
import type { InboundConfig, WorkloadIdentity } from './config.ts'
import type { InboundConnection, MutualTls } from './connection.ts'
import { describeConnection, describeRefused, verifyPeer } from './connection.ts'
import { connectionRefusal } from './connection-refusal.ts'
import { DecisionRecord } from './decision-record.ts'
import { deniedConnection } from './decisions.ts'
import { type Look, seeFirstBytes } from './first-bytes.ts'
import { type GatewayTls, type GatewayTlsServer, serverFor } from './gateway-tls.ts'
import type { HttpServer } from './http-server.ts'
import type { InboundContext, InboundTarget } from './inbound-http.ts'
import { serveTcp } from './inbound-tcp.ts'
import type { RefusalCause } from './peer-refusal.ts'
import { PeerWatch } from './peer-watch.ts'
import { type ProxiedEnds, readProxyHeader } from './proxy-protocol.ts'
import { ISTIO_ALPN, TlsTerminator } from './server-tls.ts'
import type { Telemetry } from './telemetry.ts'
import type { Upstream } from './upstream.ts'

/**
 * What happens to a connection before its first request: is it TLS, whose is it, may it be here. One socket serves
 * plaintext and mTLS; which of them the mode admits is Istio's table.
 */
export class InboundListener implements InboundTarget {
  config: InboundConfig
  upstream: Upstream
  /** Set when the listener is gone: answers then end their connections. */
  closing = false
  readonly #http: HttpServer<InboundContext>
  readonly #telemetry: Telemetry
  readonly #watch: PeerWatch
  /** For peers of the mesh. */
  #tls: {
    readonly identity: WorkloadIdentity
    readonly protocol: InboundConfig['protocol']
    readonly terminator: TlsTerminator
  } | null = null
  readonly #terminators = new Map<GatewayTlsServer, TlsTerminator>()
  /** What PROXY headers of open connections have told, by `peerKey`. */
  readonly #ends = new Map<string, { readonly ends: ProxiedEnds | null }>()

  constructor(config: InboundConfig, upstream: Upstream, http: HttpServer<InboundContext>, telemetry: Telemetry) {
    this.config = config
    this.upstream = upstream
    this.#http = http
    this.#telemetry = telemetry
    this.#watch = new PeerWatch({
      config: () => this.config,
      ended: ({ cause, reason }) => {
        if (cause !== null) telemetry.peerRefused(this.config.workload, cause, reason)
      },
      finish: (socket) => (this.config.protocol === 'tcp' ? socket.destroy() : http.finish(socket)),
    })
  }

  /** Connections and requests that begin after this see the new configuration. */
  update(config: InboundConfig, upstream: Upstream): void {
    this.config = config
    this.upstream = upstream
    this.#terminators.clear()
  }

  accept(socket: Socket): void {
    const { workload, edge } = this.config
    this.#telemetry.opened(workload)
    socket.once('close', () => this.#telemetry.closed(workload))
    socket.on('error', () => {})
    if (edge?.proxyProtocol === true) this.#proxied(socket)
    else this.#begin(socket)
  }

  #begin(socket: Socket): void {
    const { mtls, edge } = this.config
    if (edge !== null && edge.tls !== null) this.#gateway(socket, edge.tls)
    else if (mtls.mode === 'DISABLE') this.#plaintext(socket, '')
    else this.#sniff(socket)
  }

  /** A connection without a PROXY header says nothing about who is behind it. */
  #proxied(socket: Socket): void {
    seeFirstBytes<ProxiedEnds | 'malformed' | null>(
      socket,
      (bytes) => {
        const header = readProxyHeader(bytes)
        switch (header.kind) {
          case 'more':
            return header
          case 'malformed':
            return { kind: 'seen', taken: 0, value: 'malformed' }
          case 'header':
            return { kind: 'seen', taken: header.length, value: header.ends }
          default:
            return unreachable(header)
        }
      },
      (ends) => {
        if (ends === 'malformed') {
          this.#refuse(socket, '', 'proxy_protocol_header_malformed')
          return
        }
        const key = peerKey(socket)
        const told = { ends }
        this.#ends.set(key, told)
        // By then another connection may have the same ends.
        socket.once('close', () => {
          if (this.#ends.get(key) === told) this.#ends.delete(key)
        })
        this.#begin(socket)
      },
    )
  }

  #gateway(socket: Socket, config: GatewayTls): void {
    seeFirstBytes(socket, lookAtTls, (sniffed) => {
      const name = sniffed.kind === 'tls' ? sniffed.hello.serverName : ''
      const server = sniffed.kind === 'tls' ? serverFor(config, name) : null
      if (server === null) this.#refuse(socket, name, 'filter_chain_not_found')
      else this.#terminator(server).serve(socket)
    })
  }

  #terminator(server: GatewayTlsServer): TlsTerminator {
    const known = this.#terminators.get(server)
    if (known !== undefined) return known
    const terminator = new TlsTerminator({ ...server, ca: server.clients?.ca ?? null }, 'http', {
      secured: (socket) => this.#securedByServer(socket, server),
      failed: (cause, reason) => this.#handshakeFailed(cause, reason),
    })
    this.#terminators.set(server, terminator)
    return terminator
  }

  #securedByServer(socket: TLSSocket, { clients, certificate, key }: GatewayTlsServer): void {
    socket.on('error', () => {})
    const sni = typeof socket.servername === 'string' ? socket.servername.toLowerCase() : ''
    const peer = clients === null ? null : verifyPeer(socket, { ...clients, id: '', certificate, key })
    if (peer !== null && 'refused' in peer) {
      this.#telemetry.peerRefused(this.config.workload, peer.refused, peer.reason)
      this.#refuse(socket, sni, 'peer_identity_refused')
      return
    }
    const connection = this.#behindEdge(socket, sni, peer, true)
    this.#serve(socket, sni, connection, peer === null ? 'tls' : 'mtls')
  }

  /** Null where a PROXY header is demanded and there is none: nobody knows who the client is. */
  #behindEdge(socket: Socket, sni: string, peer: MutualTls | null, secure: boolean): InboundConnection | null {
    const { port, edge } = this.config
    const told = this.#ends.get(peerKey(socket))
    if (told === undefined && edge?.proxyProtocol === true) return null
    return describeConnection(socket, port, sni, peer, '', secure, told?.ends ?? null)
  }

  #handshakeFailed(cause: RefusalCause, reason: string): void {
    this.#telemetry.connection(this.config.workload, 'refused')
    this.#telemetry.peerRefused(this.config.workload, cause, reason)
  }

  /** Reads until it is clear what the client speaks, then puts the bytes back. */
  #sniff(socket: Socket): void {
    seeFirstBytes(socket, lookAtTls, (sniffed) => {
      switch (sniffed.kind) {
        case 'plaintext':
          if (this.config.mtls.mode === 'STRICT') this.#refuse(socket, '', 'plaintext_under_strict_mtls')
          else this.#plaintext(socket, '')
          return
        case 'tls':
          this.#encrypted(socket, sniffed.hello)
          return
        case 'malformed':
          this.#refuse(socket, '', 'tls_client_hello_malformed')
          return
        default:
          unreachable(sniffed)
      }
    })
  }

  #encrypted(socket: Socket, hello: ClientHello): void {
    const { mtls, protocol } = this.config
    const fromSidecar = hello.alpn.some((name) => ISTIO_ALPN.has(name))
    if (mtls.mode === 'DISABLE' || (mtls.mode === 'PERMISSIVE' && !fromSidecar)) {
      // The application's own TLS passes on a TCP port. On an HTTP port nobody could read it.
      if (protocol === 'tcp') this.#plaintext(socket, hello.serverName)
      else this.#refuse(socket, hello.serverName, 'tls_without_istio_alpn')
      return
    }
    if (this.#tls?.identity !== mtls.identity || this.#tls.protocol !== protocol) {
      const { identity } = mtls
      const credentials = { ...identity, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' } as const
      const terminator = new TlsTerminator(credentials, protocol, {
        secured: (secured) => this.#secured(secured, identity),
        failed: (cause, reason) => this.#handshakeFailed(cause, reason),
      })
      this.#tls = { identity, protocol, terminator }
    }
    this.#tls.terminator.serve(socket)
  }

  /** `identity` is the one that the handshake began with: what is demanded now is asked for afterwards. */
  #secured(socket: TLSSocket, identity: WorkloadIdentity): void {
    socket.on('error', () => {})
    const sni = typeof socket.servername === 'string' ? socket.servername.toLowerCase() : ''
    if (this.config.mtls.mode === 'DISABLE') {
      this.#refuse(socket, sni, 'mtls_disabled')
      return
    }
    const peer = verifyPeer(socket, identity)
    if ('refused' in peer) {
      this.#telemetry.peerRefused(this.config.workload, peer.refused, peer.reason)
      this.#refuse(socket, sni, 'peer_identity_refused')
      return
    }
    this.#serve(socket, sni, describeConnection(socket, this.config.port, sni, peer, identity.id), 'mtls')
  }

  #plaintext(socket: Socket, sni: string): void {
    const connection = this.#behindEdge(socket, sni, null, false)
    this.#serve(socket, sni, connection, sni === '' ? 'plaintext' : 'passthrough')
  }

  #serve(
    socket: Socket,
    sni: string,
    connection: InboundConnection | null,
    outcome: 'mtls' | 'tls' | 'plaintext' | 'passthrough',
  ): void {
    if (connection === null) {
      this.#refuse(socket, sni, 'downstream_remote_disconnect')
      return
    }
    // A reload may have come while its handshake was under way.
    const ended = connectionRefusal(connection, this.config)
    if (ended !== null) {
      if (ended.cause !== null) this.#telemetry.peerRefused(this.config.workload, ended.cause, ended.reason)
      this.#refuse(socket, sni, ended.details)
      return
    }
    this.#telemetry.connection(this.config.workload, outcome)
    this.#watch.add(socket, connection)
    if (this.config.protocol === 'tcp') void serveTcp(socket, connection, this, this.#telemetry)
    else this.#http.serve(socket, { target: this, connection })
  }

  /** Envoy gives no answer on a connection that no filter chain takes. */
  #refuse(socket: Socket, sni: string, details: string): void {
    const { workload, port } = this.config
    this.#telemetry.connection(workload, 'refused')
    const record = new DecisionRecord(this.#telemetry, workload, describeRefused(socket, port, sni))
    record.decide(deniedConnection('peer', null, details))
    record.end(null)
    socket.destroy()
  }
}

/** Puts all bytes back. */
function lookAtTls(bytes: Buffer): Look<Exclude<Sniffed, { readonly kind: 'more' }>> {
  const sniffed = sniff(bytes)
  return sniffed.kind === 'more' ? sniffed : { kind: 'seen', taken: 0, value: sniffed }
}

/** Of two open connections with one listener no two have the same; what has been reset may still seem open here. */
function peerKey({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress}|${remotePort}|${localAddress}`
}

function unreachable(value: never): never {
  throw new Error(`unknown kind in ${JSON.stringify(value)}`)
}
