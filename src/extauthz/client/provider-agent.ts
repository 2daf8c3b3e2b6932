import { Agent, type ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import type { Connect } from './connect.ts'
import type { Target } from './endpoints.ts'

const maxIdleConnections = 64

/**
 * Milliseconds for which a connection without a check is kept: below what common servers keep theirs, so that a check
 * seldom meets one that is just being closed. A shorter `keep-alive: timeout=` of the provider is obeyed.
 */
const idleTimeout = 4000

/** Keeps connections to one endpoint, made as the provider wants them. */
export class ProviderAgent extends Agent {
  readonly #connect: () => Socket

  constructor(connect: Connect, target: Target, maxConnections: number) {
    super({
      keepAlive: true,
      maxSockets: maxConnections,
      maxFreeSockets: Math.min(maxIdleConnections, maxConnections),
      timeout: idleTimeout,
    })
    this.#connect = () => connect(target)
  }

  override createConnection(): Socket {
    return this.#connect()
  }

  /** What comes while nothing is asked is the answer to nothing, and would be taken for that to the next check. */
  override keepSocketAlive(socket: Socket): boolean {
    if (super.keepSocketAlive(socket) === (false as unknown)) return false
    socket.on('data', destroy)
    return true
  }

  override reuseSocket(socket: Socket, request: ClientRequest): void {
    socket.off('data', destroy)
    super.reuseSocket(socket, request)
  }

  get connections(): number {
    return count(this.sockets) + count(this.freeSockets)
  }
}

function destroy(this: Socket): void {
  this.destroy()
}

function count(sockets: NodeJS.ReadOnlyDict<Socket[]>): number {
  let total = 0
  for (const list of Object.values(sockets)) total += list?.length ?? 0
  return total
}
