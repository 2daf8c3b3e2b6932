import type { Socket } from 'node:net'
import type { InboundConfig } from './config.ts'
import type { Ended, InboundConnection } from './connection.ts'
import { connectionRefusal } from './connection-refusal.ts'
import { LAST_REQUEST } from './limits.ts'

/** How often connections are looked at, in milliseconds. */
const TICK = 1000
/** How many of them at a time, so that a changed root holds up no request. */
const SLICE = 200

interface Watched {
  readonly socket: Socket
  readonly connection: InboundConnection
  /** Set when the peer may stay no longer: when that was, by the process's clock. */
  since: number | null
}

export interface PeerWatchHandlers {
  /** What the listener demands now. */
  readonly config: () => InboundConfig
  /** The peer of a connection may stay no longer; told once. */
  readonly ended: (ended: Ended) => void
  /** Ends a connection as soon as what has begun on it is over. Called again while it is open. */
  readonly finish: (socket: Socket) => void
}

/**
 * Ends connections whose peer is no longer who it was: its certificate expires, or a reload removes its root or its
 * trust domain. Requests that are under way end first, within a bound. One timer, which never keeps the process alive.
 */
export class PeerWatch {
  readonly #handlers: PeerWatchHandlers
  readonly #watched = new Set<Watched>()
  #timer: NodeJS.Timeout | null = null
  #sweeping = false

  constructor(handlers: PeerWatchHandlers) {
    this.#handlers = handlers
  }

  add(socket: Socket, connection: InboundConnection): void {
    const watched: Watched = { socket, connection, since: null }
    this.#watched.add(watched)
    socket.once('close', () => this.#remove(watched))
    this.#timer ??= setInterval(() => this.#sweep(), TICK).unref()
  }

  #remove(watched: Watched): void {
    this.#watched.delete(watched)
    if (this.#watched.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }

  #sweep(): void {
    if (this.#sweeping) return
    this.#sweeping = true
    const all = this.#watched.values()
    const slice = () => {
      for (let i = 0; i < SLICE; i++) {
        const { value, done } = all.next()
        if (done === true) {
          this.#sweeping = false
          return
        }
        this.#look(value)
      }
      setImmediate(slice)
    }
    slice()
  }

  #look(watched: Watched): void {
    const { socket, connection } = watched
    if (socket.destroyed) return
    if (watched.since === null) {
      const ended = connectionRefusal(connection, this.#handlers.config())
      if (ended === null) return
      watched.since = performance.now()
      this.#handlers.ended(ended)
    }
    if (performance.now() - watched.since > LAST_REQUEST) socket.destroy()
    else this.#handlers.finish(socket)
  }
}
