import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { CheckOutcome, HeaderChange } from '../extauthz/check.ts'
import { sendLastBytes } from '../extauthz/last-bytes.ts'
import { remoteIpOf } from '../match/remote-ip.ts'
import type { Provider } from '../mesh/provider.ts'
import { authorize, type Outcome, type Permit } from './authorize.ts'
import type { ChainBody, ChainRequest } from './chain.ts'
import type { InboundConfig } from './config.ts'
import type { InboundConnection } from './connection.ts'
import { connectionRefusal } from './connection-refusal.ts'
import { DecisionRecord } from './decision-record.ts'
import { deniedConnection } from './decisions.ts'
import type { EdgeHead } from './edge-head.ts'
import { forward } from './forward.ts'
import { serverFor } from './gateway-tls.ts'
import { HeldBytes } from './held-bytes.ts'
import type { HttpHandlers } from './http-server.ts'
import { readInboundHead } from './inbound-head.ts'
import { type LocalReply, textReply } from './local-reply.ts'
import { refusedDecision, refusedReply, refusesRawGrpc } from './refused-head.ts'
import { rawReply, writeReply } from './reply.ts'
import { RequestBody } from './request-body.ts'
import type { RefusedHead, RequestHead } from './request-head.ts'
import { type Routing, routingReply, serverRouting } from './server-hosts.ts'
import type { Telemetry } from './telemetry.ts'
import { tunnel } from './tunnel.ts'
import type { Upstream } from './upstream.ts'

/** A listener as it is now; a reload changes what it holds, and each request reads it once. */
export interface InboundTarget {
  readonly config: InboundConfig
  readonly upstream: Upstream
  readonly closing: boolean
}

/** What a socket of the HTTP server belongs to. */
export interface InboundContext {
  readonly target: InboundTarget
  readonly connection: InboundConnection
}

/** A request that is to be authorized. */
interface Asking {
  readonly config: InboundConfig
  readonly connection: InboundConnection
  readonly record: DecisionRecord
  readonly head: RequestHead | EdgeHead
  readonly body: ChainBody
  /** Whose end says that nobody waits any more. */
  readonly client: ServerResponse | Duplex
}

/** What a decision comes to. */
type Ending =
  | { readonly kind: 'forward'; readonly permit: Permit }
  | { readonly kind: 'reply'; readonly reply: LocalReply; readonly responseChanges: readonly HeaderChange[] }

/** Authenticates, authorizes and forwards each request of inbound connections. */
export class InboundHttp implements HttpHandlers<InboundContext> {
  readonly #telemetry: Telemetry
  readonly #asked: (provider: Provider, outcome: CheckOutcome) => void

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry
    this.#asked = (provider, outcome) => telemetry.asked(provider, outcome)
  }

  request(context: InboundContext, request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const { connection } = context
    const { config, upstream } = context.target
    const record = new DecisionRecord(this.#telemetry, config.workload, connection)
    if (this.#refusesPeer(config, connection, record)) {
      request.socket.destroy()
      return
    }
    response.once('close', () => record.end(response.headersSent ? response.statusCode : null))
    const head = readInboundHead(request, config, connection, false)
    if (head.kind === 'refused') {
      this.#refuseHead(head, record, request, response, expectsContinue)
      return
    }
    const body = new RequestBody(request, response, head.contentLength, expectsContinue)
    this.#authorize(
      { config, connection, record, head, body, client: response },
      (ending) => {
        if (response.destroyed || response.headersSent) return
        if (ending.kind === 'forward') {
          forward(ending.permit, body, response, upstream, (failure) =>
            this.#telemetry.upstreamFailed(config.workload, failure),
          )
        } else {
          writeReply(response, ending.reply, ending.responseChanges, body.awaitsContinue)
          body.discard()
        }
      },
      () => {
        if (response.headersSent) response.destroy()
        else writeReply(response, textReply(500, ''), [], true)
      },
    )
  }

  upgrade(context: InboundContext, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { connection } = context
    const { config, upstream } = context.target
    const record = new DecisionRecord(this.#telemetry, config.workload, connection)
    socket.on('error', () => {})
    if (this.#refusesPeer(config, connection, record)) {
      socket.destroy()
      return
    }
    const refuse = (bytes: Buffer, status: number) => {
      record.end(status)
      sendLastBytes(socket, bytes)
    }
    const parsed = readInboundHead(request, config, connection, true)
    if (parsed.kind === 'refused') {
      const grpc = refusesRawGrpc(parsed, request.rawHeaders)
      const reply = refusedReply(parsed, grpc)
      record.decide(refusedDecision(parsed, grpc))
      refuse(rawReply(reply), reply.status)
      return
    }
    const early = new HeldBytes(socket, head)
    this.#authorize(
      { config, connection, record, head: parsed, body: NO_BODY, client: socket },
      (ending) => {
        if (socket.destroyed) record.end(null)
        else if (ending.kind === 'reply') {
          refuse(rawReply(ending.reply, ending.responseChanges), ending.reply.status)
        } else {
          tunnel(ending.permit, socket, early, upstream, {
            answered: (status) => record.end(status),
            failed: (failure) => this.#telemetry.upstreamFailed(config.workload, failure),
          })
        }
      },
      () => refuse(rawReply(textReply(500, '')), 500),
    )
  }

  closing(context: InboundContext): boolean {
    return context.target.closing
  }

  refused(context: InboundContext, status: number, details: string): void {
    const record = new DecisionRecord(this.#telemetry, context.target.config.workload, context.connection)
    record.decide({ ...deniedConnection('http', null, details), status, body: '' })
    record.end(status)
  }

  /** Whether the connection must carry no request, as things are now; that is recorded, and its socket is to be destroyed. */
  #refusesPeer(config: InboundConfig, connection: InboundConnection, record: DecisionRecord): boolean {
    const refusal = connectionRefusal(connection, config)
    if (refusal === null) return false
    if (refusal.cause !== null) this.#telemetry.peerRefused(config.workload, refusal.cause, refusal.reason)
    record.decide(deniedConnection('peer', null, refusal.details))
    record.end(null)
    return true
  }

  #authorize(asking: Asking, then: (ending: Ending) => void, broken: () => void): void {
    const { config, connection, record, head } = asking
    const routing = routingOf(config, connection, head)
    const chain = chainRequest(asking, routing !== 'none')
    record.describe(chain, config.policies.authenticator?.tokenNames ?? null)
    const finish = (outcome: Outcome) => {
      record.decide(outcome.decision)
      then(endingOf(outcome, routing))
    }
    // An exception is a broken invariant of ours: the request is refused, the proxy goes on.
    const fail = (error: unknown) => {
      this.#telemetry.log.error('request failed', { workload: config.workload, error: errorName(error) })
      record.decide({ ...deniedConnection('http', null, 'internal_error'), status: 500, body: '' })
      broken()
    }
    try {
      const outcome = authorize(chain, config.policies, this.#asked, this.#telemetry)
      if (outcome instanceof Promise) outcome.then(finish).catch(fail)
      else finish(outcome)
    } catch (error) {
      fail(error)
    }
  }

  #refuseHead(
    head: RefusedHead,
    record: DecisionRecord,
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): void {
    const grpc = refusesRawGrpc(head, request.rawHeaders)
    record.decide(refusedDecision(head, grpc))
    // What could not be understood might be understood otherwise by the next reader: the connection ends.
    const close = head.status !== 404 || expectsContinue
    writeReply(response, refusedReply(head, grpc), [], close)
    new RequestBody(request, response, null, expectsContinue).discard()
  }
}

function routingOf({ edge }: InboundConfig, { facts }: InboundConnection, { headers, host }: RequestHead): Routing {
  const proto = headers.get('x-forwarded-proto')
  // Envoy finds no route for a request whose X-Forwarded-Proto is empty.
  if (proto === '') return 'none'
  if (edge === null) return 'forward'
  // Behind TLS only the hosts of the server that the client has named are served.
  const hosts = edge.tls === null ? edge.hosts : (serverFor(edge.tls, facts.sni)?.hosts ?? [])
  return serverRouting(hosts, edge.redirected, host, proto)
}

/** A permitted request may still lead nowhere. */
function endingOf(outcome: Outcome, routing: Routing): Ending {
  if (outcome.kind === 'refused') return replying(outcome.reply, outcome.responseChanges)
  const { permit } = outcome
  const reply = routingReply(routing, permit)
  return reply === null ? { kind: 'forward', permit } : replying(reply, permit.responseChanges)
}

function replying(reply: LocalReply, responseChanges: readonly HeaderChange[]): Ending {
  return { kind: 'reply', reply, responseChanges }
}

const NO_BODY: ChainBody = { present: false, buffer: async () => ({ kind: 'aborted' }) }

function chainRequest({ connection, record, head, body, client }: Asking, routed: boolean): ChainRequest {
  let signal: AbortSignal | null = null
  return {
    connection,
    id: head.id,
    time: record.time,
    method: head.method,
    path: head.path,
    host: head.host,
    scheme: head.scheme,
    protocol: head.protocol,
    headers: head.headers,
    remoteIp: 'remoteIp' in head ? head.remoteIp : remoteIpOf(head.headers, connection.facts.sourceIp),
    body,
    routed,
    signal() {
      signal ??= abortedBy(client)
      return signal
    },
  }
}

/** One for all: an exception with a stack for each request costs more than asking. */
const GONE = new Error('the client went away')

/** Aborts when the client is gone. */
function abortedBy(client: ServerResponse | Duplex): AbortSignal {
  const controller = new AbortController()
  if (client.destroyed) controller.abort(GONE)
  else {
    client.once('close', () => {
      // Who has the whole answer has left nobody waiting.
      if (!client.writableFinished) controller.abort(GONE)
    })
  }
  return controller.signal
}

function errorName(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.name) : typeof error
}
