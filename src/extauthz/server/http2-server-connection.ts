import type { Duplex } from 'node:stream'
import type { Http2Connection } from '../../http2/connection.ts'
import { closeConnection, speakOver } from '../../http2/over-socket.ts'
import type { Http2Stream } from '../../http2/stream.ts'
import { grpcStatus } from '../grpc-framing.ts'
import { ConnectionTimers, DRAIN_PAUSE, spreadAge } from './connection-timers.ts'
import { type AcceptedHead, admit, type CallHead, readHead } from './grpc-head.ts'
import type { GrpcConnection, GrpcStreamingMethod } from './grpc-transport.ts'
import { Call, type SweptContext } from './http2-call.ts'
import { type Expiring, refuseCall, refuseHttp } from './http2-reply.ts'
import { StreamingCall } from './http2-streaming-call.ts'

/** A caller's connection with its calls: its age, its PINGs, and its end. */
export class ServerConnection implements GrpcConnection {
  readonly #connection: Http2Connection
  readonly #context: SweptContext
  readonly #streaming = new Set<StreamingCall>()
  readonly #timers = new ConnectionTimers()
  /** When there was a call last, as exact as the sweeps are. */
  #usedAt: number
  /** When it is told to go. */
  readonly #oldAt: number
  /** When the next PING is due, and until when the last must be answered; 0 when it is. */
  #pingAt: number
  #answerBy = 0
  #drain: 'none' | 'announced' | 'refusing' = 'none'
  /** Most calls have the same head. */
  #lastFields: readonly string[] | null = null
  #lastHead: CallHead | null = null

  constructor(socket: Duplex, context: SweptContext, closed: () => void) {
    this.#context = context
    const { maxConnectionAge, keepaliveTime, maxStreamsPerConnection } = context.limits
    const { now } = context
    this.#usedAt = now
    this.#pingAt = now + keepaliveTime
    this.#oldAt = maxConnectionAge === null ? Number.POSITIVE_INFINITY : now + spreadAge(maxConnectionAge)
    // A caller that has said its last word wants no answer any more.
    socket.allowHalfOpen = false
    this.#connection = speakOver(
      socket,
      'server',
      { streams: maxStreamsPerConnection },
      {
        request: (stream, fields, ended) => this.#request(stream, fields, ended),
        goingAway: () => this.drain(null),
        idle: () => {
          if (this.#drain === 'refusing') this.destroy()
        },
        closed: () => {
          this.#timers.clear()
          closed()
        },
      },
    )
  }

  drain(grace: number | null): void {
    if (this.#drain !== 'none' || this.#connection.closed) return
    this.#drain = 'announced'
    const refuse = () => {
      this.#timers.cancel(timer)
      if (this.#drain !== 'announced' || this.#connection.closed) return
      this.#drain = 'refusing'
      for (const call of this.#streaming) call.end(grpcStatus.unavailable, 'the connection is drained')
      this.#connection.goAway()
      this.#connection.flush()
      if (this.#connection.open === 0) this.destroy()
    }
    // A caller that closes at the first one never answers the PING.
    const timer = this.#timers.after(DRAIN_PAUSE, refuse)
    this.#connection.announceGoAway()
    this.#connection.ping(refuse)
    this.#connection.flush()
    if (grace !== null) this.#timers.after(grace, () => this.destroy())
  }

  destroy(): void {
    closeConnection(this.#connection)
  }

  sweep(now: number): void {
    const { limits } = this.#context
    const connection = this.#connection
    if (connection.open > 0) {
      this.#usedAt = now
      for (const { events } of connection.streams()) (events as Expiring | null)?.expire(now, limits)
    } else if (!connection.settled && now - this.#usedAt > limits.readTimeout) {
      // Whoever does not even say that it speaks HTTP/2 takes the place of others.
      this.destroy()
    } else if (now - this.#usedAt > limits.idleTimeout) this.drain(limits.keepaliveTimeout)
    if (now > this.#oldAt) this.drain(limits.maxConnectionAgeGrace)
    if (this.#answerBy !== 0 && now > this.#answerBy) this.destroy()
    else if (now > this.#pingAt && this.#answerBy === 0) this.#ping(now)
  }

  #ping(now: number): void {
    const { keepaliveTime, keepaliveTimeout } = this.#context.limits
    this.#answerBy = now + keepaliveTimeout
    this.#connection.ping(() => {
      this.#answerBy = 0
      this.#pingAt = performance.now() + keepaliveTime
    })
    this.#connection.flush()
  }

  #request(stream: Http2Stream, fields: readonly string[], ended: boolean): void {
    const context = this.#context
    if (fields !== this.#lastFields) {
      this.#lastHead = readHead(fields, context.handler)
      this.#lastFields = fields
    }
    const head = admit(this.#lastHead as CallHead, context)
    switch (head.kind) {
      case 'call':
        if (head.method === null) new Call(stream, head, context, ended)
        else this.#stream(stream, head.method, head, ended)
        return
      case 'grpc':
        context.events.refused(head.why)
        refuseCall(stream, head.status, head.text, context.now)
        return
      case 'http':
        refuseHttp(stream, head.status, context.now)
        return
      default:
        head satisfies never
    }
  }

  #stream(stream: Http2Stream, method: GrpcStreamingMethod, head: AcceptedHead, ended: boolean): void {
    const over = () => this.#streaming.delete(call)
    const call: StreamingCall = new StreamingCall(stream, head, this.#context, over)
    this.#streaming.add(call)
    call.begin(method)
    if (ended) call.halfClosed()
  }
}
