import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { sendLastBytes } from '../extauthz/last-bytes.ts'
import { permitEgress } from './authorize.ts'
import { connectTls, TCP_ALPN } from './client-tls.ts'
import type { OutboundConfig, Route, RouteEndpoint, WorkloadIdentity } from './config.ts'
import { connectPlain } from './connect-plain.ts'
import { forward } from './forward.ts'
import { HeldBytes } from './held-bytes.ts'
import type { HttpHandlers, HttpServer } from './http-server.ts'
import { textReply } from './local-reply.ts'
import { rawReply, writeReply } from './reply.ts'
import { RequestBody } from './request-body.ts'
import type { RequestHead } from './request-head.ts'
import { readHead } from './request-head.ts'
import { splice } from './splice.ts'
import type { Telemetry } from './telemetry.ts'
import { tunnel } from './tunnel.ts'
import { UndiciUpstream } from './undici-upstream.ts'
import type { Upstream } from './upstream.ts'
import { failureOf, type UpstreamFailure } from './upstream-failure.ts'
import type { UpstreamPools } from './upstream-pools.ts'

/** What a socket of an application belongs to. */
export interface OutboundContext {
  readonly listener: OutboundListener
}

/**
 * An application's way to others: each request goes where its Host says, with mutual TLS where the destination has
 * it. Nothing is authorized here; the destination's own proxy does that.
 */
export class OutboundListener {
  config: OutboundConfig
  /** Set when the listener is gone: answers then end their connections. */
  closing = false
  readonly #http: HttpServer<OutboundContext>
  readonly #pools: UpstreamPools
  readonly #telemetry: Telemetry
  #turn = 0

  constructor(config: OutboundConfig, http: HttpServer<OutboundContext>, pools: UpstreamPools, telemetry: Telemetry) {
    this.config = config
    this.#http = http
    this.#pools = pools
    this.#telemetry = telemetry
  }

  update(config: OutboundConfig): void {
    this.config = config
  }

  accept(socket: Socket): void {
    socket.on('error', () => {})
    if (this.config.protocol === 'http') this.#http.serve(socket, { listener: this })
    else this.#serveTcp(socket)
  }

  /** Null when no such destination is known. */
  upstreamFor(authority: string): Upstream | null {
    const { host, port } = splitAuthority(authority)
    const route = this.config.route(host, port ?? this.config.port)
    const endpoint = route === null ? null : this.#next(route)
    if (endpoint === null) return null
    const { address, port: to, tls } = endpoint
    const peer = tls === null ? '' : `|${JSON.stringify(tls)}`
    return this.#pools.get(`${destinationPrefix(this.config)}${address}|${to}${peer}`, () => {
      const client = tls === null ? null : { client: tls, identity: () => this.config.identity }
      return new UndiciUpstream({ endpoint: { kind: 'tcp', host: address, port: to }, tls: client })
    })
  }

  #next(route: Route): RouteEndpoint | null {
    this.#turn = (this.#turn + 1) % 0x40000000
    return route.endpoints[this.#turn % route.endpoints.length] ?? null
  }

  #serveTcp(client: Socket): void {
    const { config } = this
    client.pause()
    const route = config.route('', config.port)
    const endpoint = route === null ? null : this.#next(route)
    if (endpoint === null) {
      this.#telemetry.egress(config.workload, 'unknown')
      client.destroy()
      return
    }
    const done = (error: Error | null, socket: Socket | null) => {
      client.off('close', cancel)
      if (socket === null) {
        this.#telemetry.upstreamFailed(config.workload, failureOf(error ?? new Error('unknown')))
        client.destroy()
      } else if (client.destroyed) {
        socket.destroy()
      } else {
        this.#telemetry.egress(config.workload, 'sent')
        splice(client, socket)
      }
    }
    const target = { kind: 'tcp', host: endpoint.address, port: endpoint.port } as const
    const upstream =
      endpoint.tls === null
        ? connectPlain(target, done, true)
        : connectTls(target, endpoint.tls, config.identity, TCP_ALPN, done)
    const cancel = () => upstream?.destroy()
    client.once('close', cancel)
  }
}

/** What the keys of a listener's destinations start with. */
export function destinationPrefix(config: OutboundConfig): string {
  return `${JSON.stringify(config.id)}|${config.identity === null ? '' : credentialsOf(config.identity)}|`
}

/**
 * A digest of what mutual TLS rests on: with another certificate or other roots, connections are made and verified anew,
 * and those that there are end behind the requests on them.
 */
function credentialsOf(identity: WorkloadIdentity): string {
  const known = digests.get(identity)
  if (known !== undefined) return known
  const { certificate, ca } = identity
  const digest = createHash('sha256').update(certificate).update(ca.join()).digest('base64url')
  digests.set(identity, digest)
  return digest
}

const digests = new WeakMap<WorkloadIdentity, string>()

/** `HOST`, `HOST:PORT`, `[V6]:PORT`. */
function splitAuthority(authority: string): { readonly host: string; readonly port: number | null } {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(authority)
  if (match === null) return { host: authority.toLowerCase(), port: null }
  return { host: (match[1] as string).toLowerCase(), port: match[2] === undefined ? null : Number(match[2]) }
}

/** Forwards each request of an application. */
export class OutboundHttp implements HttpHandlers<OutboundContext> {
  readonly #telemetry: Telemetry

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry
  }

  request(
    { listener }: OutboundContext,
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): void {
    const { workload, pathMode } = listener.config
    const head = readHead(request, { pathMode, secure: false, clientCertificate: null, upgrade: false })
    if (head.kind === 'refused') {
      this.#telemetry.egress(workload, 'refused')
      writeReply(response, textReply(head.status, head.body), [], true)
      new RequestBody(request, response, null, expectsContinue).discard()
      return
    }
    const body = new RequestBody(request, response, head.contentLength, expectsContinue)
    const upstream = listener.upstreamFor(head.host)
    if (upstream === null) {
      this.#telemetry.egress(workload, 'unknown')
      writeReply(response, textReply(502, unknownDestination(head)), [], body.awaitsContinue)
      body.discard()
      return
    }
    this.#telemetry.egress(workload, 'sent')
    forward(permitEgress(head), body, response, upstream, (failure) => this.#failed(workload, failure))
  }

  upgrade({ listener }: OutboundContext, request: IncomingMessage, socket: Duplex, rest: Buffer): void {
    const { workload, pathMode } = listener.config
    socket.on('error', () => {})
    const head = readHead(request, { pathMode, secure: false, clientCertificate: null, upgrade: true })
    if (head.kind === 'refused') {
      this.#telemetry.egress(workload, 'refused')
      sendLastBytes(socket, rawReply(textReply(head.status, head.body)))
      return
    }
    const upstream = listener.upstreamFor(head.host)
    if (upstream === null) {
      this.#telemetry.egress(workload, 'unknown')
      sendLastBytes(socket, rawReply(textReply(502, unknownDestination(head))))
      return
    }
    this.#telemetry.egress(workload, 'sent')
    tunnel(permitEgress(head), socket, new HeldBytes(socket, rest), upstream, {
      answered() {},
      failed: (failure) => this.#failed(workload, failure),
    })
  }

  closing({ listener }: OutboundContext): boolean {
    return listener.closing
  }

  refused({ listener }: OutboundContext): void {
    this.#telemetry.egress(listener.config.workload, 'refused')
  }

  #failed(workload: string, failure: UpstreamFailure): void {
    this.#telemetry.upstreamFailed(workload, failure)
  }
}

function unknownDestination(head: RequestHead): string {
  return `no destination is known for ${head.host}: no workload, Service or ServiceEntry has this host and port`
}
