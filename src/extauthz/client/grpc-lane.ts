import type { Socket } from 'node:net'
import { maxMessageBytes } from '../grpc-framing.ts'
import type { ConnectionListener, OpenUnaryConnection, UnaryConnection } from './unary-connection.ts'

/** Milliseconds for a connection to come about, and for a doubtful one to answer a PING. */
const connectTimeout = 5000
const pingTimeout = 1000

/** Milliseconds without traffic after which the kernel asks whether the other side is there. */
const keepAlive = 15_000

/** Milliseconds without an answer after which calls under way make a connection doubtful. */
const patience = 1000

/**
 * Milliseconds between PINGs when nothing is answered meanwhile: servers on grpc-go close a connection that brings more
 * than two within five minutes.
 */
const pingSpacing = 300_000

/** Milliseconds after which a connection that closes was no failed attempt, even if it had nothing to do. */
const provenAfter = 1000

/** Bytes of framing before a message. */
const prefixBytes = 5

/** What a lane tells the endpoint that it belongs to. */
export interface LaneOwner {
  laneOpened(lane: GrpcLane): void
  laneRoomier(): void
  /** Whether it is doubtful has changed. */
  laneChanged(): void
  /** It takes no more calls; those under way go on. */
  laneDraining(lane: GrpcLane): void
  laneClosed(lane: GrpcLane, problem: string): void
}

/** One connection of an endpoint, with what makes it trustworthy: that it opened, and that it answers. */
export class GrpcLane implements ConnectionListener {
  readonly connection: UnaryConnection
  /** Of every call that goes over it. */
  readonly headers: string[]
  #owner: LaneOwner
  #opened = false
  #closed = false
  #born = performance.now()
  /** When it was last idle, or an answer came. */
  #heard = this.#born
  #answered = this.#born
  #pinged = Number.NEGATIVE_INFINITY
  /** Runs while the connection has to open, or a PING to be answered. */
  #timer: NodeJS.Timeout | null
  #doubtful = false

  constructor(owner: LaneOwner, open: OpenUnaryConnection, socket: Socket, authority: string) {
    this.#owner = owner
    this.headers = ['te', 'trailers', 'content-type', 'application/grpc', 'x-envoy-internal', 'true']
    const maxAnswerBytes = maxMessageBytes + prefixBytes
    // A host that is gone while nothing is asked is found out by the kernel: servers do not like PINGs without calls.
    socket.setKeepAlive(true, keepAlive)
    // Envoy's filter says `http` over TLS too.
    this.connection = open({ socket, authority, scheme: 'http', maxAnswerBytes }, this)
    this.#timer = setTimeout(() => this.connection.close(), connectTimeout).unref()
  }

  get everOpened(): boolean {
    return this.#opened
  }

  get doubtful(): boolean {
    return this.#doubtful
  }

  /** Whether it opened and has been of use, or could have been. */
  get proven(): boolean {
    return this.#opened && (this.#answered > this.#born || performance.now() - this.#born > provenAfter)
  }

  /** Something came of a call. */
  heard(): void {
    this.#heard = performance.now()
    this.#answered = this.#heard
    if (this.#doubtful) this.#trust()
  }

  /** Looked at about once a second. */
  tend(now: number): void {
    if (this.connection.calls === 0) this.#heard = now
    else if (now - this.#heard > patience) this.doubt()
  }

  /** A call got no answer in time: the connection may be dead without anybody having said so. */
  doubt(): void {
    if (this.#doubtful || !this.#opened || this.#closed) return
    const now = performance.now()
    if (this.#pinged >= this.#answered && now - this.#pinged < pingSpacing) return
    this.#pinged = now
    this.#doubtful = true
    // Its calls may still be answered, as those of a peer that only pauses are.
    this.#timer = setTimeout(() => this.retire(), pingTimeout).unref()
    this.connection.ping(() => this.#trust())
    this.#owner.laneChanged()
  }

  /** Takes no more calls, and ends when those under way have. */
  retire(): void {
    this.#stop()
    this.connection.drain()
    this.#owner.laneDraining(this)
  }

  opened(): void {
    this.#stop()
    this.#opened = true
    const { localAddress } = this.connection
    if (localAddress !== undefined) this.headers.push('x-forwarded-for', localAddress)
    this.#owner.laneOpened(this)
  }

  roomier(): void {
    this.#owner.laneRoomier()
  }

  draining(): void {
    this.#stop()
    this.#owner.laneDraining(this)
  }

  closed(problem: string): void {
    this.#stop()
    this.#closed = true
    this.#owner.laneClosed(this, problem)
  }

  #trust(): void {
    if (!this.#doubtful) return
    this.#stop()
    this.#owner.laneChanged()
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#doubtful = false
  }
}
