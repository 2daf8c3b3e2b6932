import type { Socket } from 'node:net'
import type { AcceptSockets } from '../../extauthz/server/accept-sockets.ts'
import type { FromWorker, Opening } from './messages.ts'

interface Receiver {
  readonly accept: (socket: Socket) => void
  /** Once it is being shut. */
  closed: (() => void) | null
  /** Until the supervisor has answered. */
  opened: ((opening: Opening) => void) | null
}

/** Milliseconds within which ends of connections are told together. */
const soon = 5

/** In a worker: connections come from the supervisor, which listens for all workers. */
export class WorkerSockets {
  readonly #send: (message: FromWorker) => void
  readonly #receivers = new Map<number, Receiver>()
  #last = 0
  #closed = 0
  #telling: NodeJS.Timeout | null = null

  constructor(send: (message: FromWorker) => void) {
    this.#send = send
  }

  /** Connections that have ended. */
  get closed(): number {
    return this.#closed
  }

  readonly acceptSockets: AcceptSockets = async (address, { name, mode }, accept) => {
    const receiver = ++this.#last
    const opening = await new Promise<Opening>((opened) => {
      this.#receivers.set(receiver, { accept, opened, closed: null })
      this.#send({ kind: 'open', receiver, name, address, mode })
    })
    if (opening.kind === 'failed') {
      this.#receivers.delete(receiver)
      throw Object.assign(new Error(opening.message), { code: opening.code })
    }
    return {
      address: opening.address,
      // Those that are on their way arrive before the answer.
      close: () =>
        new Promise<void>((closed) => {
          const found = this.#receivers.get(receiver)
          if (found === undefined) closed()
          else {
            found.closed = closed
            this.#send({ kind: 'shut', receiver })
          }
        }),
    }
  }

  opened(receiver: number, opening: Opening): void {
    const found = this.#receivers.get(receiver)
    found?.opened?.(opening)
    if (found !== undefined) found.opened = null
  }

  shut(receiver: number): void {
    this.#receivers.get(receiver)?.closed?.()
    this.#receivers.delete(receiver)
  }

  /** One of the connections has ended. The supervisor, which gives the next one to who has fewest, is told soon. */
  gone(): void {
    this.#closed++
    this.#telling ??= setTimeout(() => {
      this.#telling = null
      this.#send({ kind: 'pong', closed: this.#closed })
    }, soon)
  }

  connection(receiver: number, socket: Socket): void {
    const found = this.#receivers.get(receiver)
    if (found === undefined) {
      socket.destroy()
      this.gone()
      return
    }
    socket.once('close', () => this.gone())
    // The settings of a listening socket do not come along.
    socket.allowHalfOpen = true
    socket.setNoDelay(true)
    found.accept(socket)
  }
}
