import * as net from 'node:net'
import type { ListenAddress } from './config.ts'
import { MAX_CONNECTIONS } from './limits.ts'

/** A socket that could not be opened. */
export interface ListenError {
  readonly kind: 'listenError'
  /** Of the listener in the configuration. */
  readonly id: string
  readonly host: string
  readonly port: number
  /** `EADDRINUSE`, `EACCES`, ... */
  readonly code: string
  readonly message: string
}

/** An open socket. It outlives configurations: a reload swaps what becomes of its connections. */
export class Listener {
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()

  private constructor(server: net.Server) {
    this.#server = server
  }

  static open(
    id: string,
    address: ListenAddress,
    accept: (socket: net.Socket) => void,
  ): Promise<Listener | ListenError> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: false })
    const listener = new Listener(server)
    server.maxConnections = MAX_CONNECTIONS
    server.on('connection', (socket) => {
      listener.#sockets.add(socket)
      socket.once('close', () => listener.#sockets.delete(socket))
      accept(socket)
    })
    return new Promise((resolve) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const code = error.code ?? 'UNKNOWN'
        const { host, port } = address
        resolve({ kind: 'listenError', id, host, port, code, message: describe(code, address) })
      })
      const { host, port } = address
      server.listen(host === '' ? { port } : { port, host }, () => {
        // Running out of file descriptors must not end the process: accepting goes on when some are free again.
        server.removeAllListeners('error').on('error', () => {})
        resolve(listener)
      })
    })
  }

  get address(): ListenAddress {
    const address = this.#server.address()
    return address === null || typeof address === 'string'
      ? { host: '', port: 0 }
      : { host: address.address, port: address.port }
  }

  get open(): number {
    return this.#sockets.size
  }

  /** Accepts nothing more; connections that are open stay. */
  stop(): void {
    this.#server.close(() => {})
  }

  /** Resolves when every connection has closed; those that have not after `grace` milliseconds are destroyed. */
  async drain(grace: number): Promise<void> {
    this.stop()
    if (this.#sockets.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        for (const socket of this.#sockets) socket.destroy()
      }, grace)
      const check = () => {
        if (this.#sockets.size > 0) return
        clearTimeout(timer)
        resolve()
      }
      for (const socket of this.#sockets) socket.once('close', () => setImmediate(check))
    })
  }
}

function describe(code: string, { host, port }: ListenAddress): string {
  const place = host === '' ? `port ${port}` : `${host.includes(':') ? `[${host}]` : host}:${port}`
  switch (code) {
    case 'EADDRINUSE':
      return `${place} is in use by another process`
    case 'EACCES':
      return `${place} may not be opened by this user`
    case 'EADDRNOTAVAIL':
      return `${place} is no address of this machine`
    default:
      return `${place} cannot be opened: ${code}`
  }
}
