import { Buffer } from 'node:buffer'
import { constants, type ServerHttp2Session } from 'node:http2'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { grpcStatus } from '../grpc-framing.ts'
import { ConnectionTimers, DRAIN_PAUSE, spreadAge } from './connection-timers.ts'
import type { GrpcConnection, GrpcTransportLimits } from './grpc-transport.ts'
import type { StreamingCall } from './node-stream.ts'

/** The largest stream id: a GOAWAY with it says "no new streams soon" without refusing those in flight. */
const maxStreamId = 2 ** 31 - 1

/** That frame: eight bytes, of type 7, on stream 0; the last stream, and NO_ERROR. */
const shutdownNotice = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])

/** The life of one connection: its age, its PINGs, and its end. */
export class Connection implements GrpcConnection {
  readonly #socket: Duplex
  readonly #session: ServerHttp2Session
  readonly #limits: GrpcTransportLimits
  readonly #streaming = new Set<StreamingCall>()
  readonly #timers = new ConnectionTimers()
  #draining = false

  constructor(socket: Duplex, session: ServerHttp2Session, limits: GrpcTransportLimits) {
    this.#socket = socket
    this.#session = session
    this.#limits = limits
    const { idleTimeout, maxConnectionAge, maxConnectionAgeGrace, keepaliveTime, keepaliveTimeout } = limits
    session.setTimeout(idleTimeout, () => this.drain(keepaliveTimeout))
    session.once('close', () => this.#timers.clear())
    if (maxConnectionAge !== null) {
      this.#timers.after(spreadAge(maxConnectionAge), () => this.drain(maxConnectionAgeGrace))
    }
    this.#timers.after(keepaliveTime, () => this.#keepAlive())
  }

  /** A streaming call knows no end of its own, so that it is ended with the connection. */
  add(call: StreamingCall): void {
    this.#streaming.add(call)
  }

  remove(call: StreamingCall): void {
    this.#streaming.delete(call)
  }

  /** Two GOAWAYs a round trip apart, so that calls sent before the first one arrived are still served. */
  drain(grace: number | null): void {
    const session = this.#session
    if (this.#draining || session.closed || session.destroyed) return
    this.#draining = true
    this.#giveNotice()
    const finish = () => {
      this.#timers.cancel(timer)
      for (const call of this.#streaming) call.end(grpcStatus.unavailable, 'the connection is drained')
      if (!session.closed && !session.destroyed) session.close()
    }
    // A client that closes at the first one never answers the PING.
    const timer = this.#timers.after(DRAIN_PAUSE, finish)
    if (!session.ping(finish)) finish()
    if (grace !== null) this.#timers.after(grace, () => session.destroy())
  }

  destroy(): void {
    this.#session.destroy()
  }

  /**
   * nghttp2 ignores streams that arrive after any GOAWAY that it was told to send, whatever its last stream, and
   * node:http2 does not pass on its `submit_shutdown_notice`. So the frame is written past it: it writes whole frames, and
   * a socket keeps writes in order. TLS takes one write at a time, and there a few calls may be refused.
   */
  #giveNotice(): void {
    if (this.#socket instanceof TLSSocket) this.#session.goaway(constants.NGHTTP2_NO_ERROR, maxStreamId)
    else this.#socket.write(shutdownNotice)
  }

  #keepAlive(): void {
    const session = this.#session
    const late = this.#timers.after(this.#limits.keepaliveTimeout, () => session.destroy())
    const answered = () => {
      this.#timers.cancel(late)
      this.#timers.after(this.#limits.keepaliveTime, () => this.#keepAlive())
    }
    // Refused only when too many PINGs of ours are unanswered, or at the end.
    if (!session.destroyed) session.ping(answered)
  }
}
