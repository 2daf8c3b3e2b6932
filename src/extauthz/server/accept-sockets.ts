import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from 'node:net'
import type { ListenAddress } from '../../mesh/listen-address.ts'
import type { Address } from './address.ts'
import { claimUnixSocket } from './unix-socket.ts'

/** An address at which connections come in. */
export interface Accepting {
  /** With the port that was taken where 0 was asked for. */
  readonly address: Address
  /** Takes no more; connections that have come in go on. */
  close(): Promise<void>
}

export interface AcceptOptions {
  /** Who accepts, the same whenever it does so again: `AUTHORIZER/grpc`. */
  readonly name: string
  /** Permissions of a unix socket; null: as the process's umask leaves them. */
  readonly mode: number | null
  /** Connections are handed over before anything is read from them: they may go to another process. */
  readonly paused?: boolean
}

/**
 * Begins to accept connections; rejects with the system's error when it cannot. A seam: in a worker process another one
 * accepts them.
 */
export type AcceptSockets = (
  address: ListenAddress,
  options: AcceptOptions,
  accept: (socket: Socket) => void,
) => Promise<Accepting>

/** Accepts in this process. */
export const acceptSockets: AcceptSockets = async (address, { mode, paused = false }, accept) => {
  // Half-open, as node:http wants it: a client may say all that it has to say before it reads.
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: paused }, accept)
  switch (address.kind) {
    case 'tcp': {
      await listen(server, { host: address.host, port: address.port })
      const bound = server.address() as AddressInfo
      return { address: { host: bound.address, port: bound.port }, close: () => stop(server) }
    }
    case 'unix': {
      const claimed = await claimUnixSocket(address.path, mode, (path) => listen(server, { path }))
      if (claimed.kind === 'failed') {
        await stop(server)
        throw claimed.error
      }
      return {
        address: { host: '', port: 0, path: address.path },
        close: async () => {
          claimed.release()
          await stop(server)
        },
      }
    }
    default:
      return address satisfies never
  }
}

function listen(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.removeListener('error', reject)
      // Running out of file descriptors is no reason to stop.
      server.on('error', () => {})
      resolve()
    })
  })
}

/** Resolves when the address is free again, which is before the last connection has ended. */
function stop(server: Server): Promise<void> {
  server.close()
  return new Promise((resolve) => setImmediate(resolve))
}
