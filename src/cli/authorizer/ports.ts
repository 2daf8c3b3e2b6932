import type { Socket } from 'node:net'
import { type Accepting, acceptSockets } from '../../extauthz/server/accept-sockets.ts'
import type { ListenAddress } from '../../mesh/listen-address.ts'
import type { Opening } from './messages.ts'

/** Who takes connections. */
export interface Taker {
  /** Connections that it has: the next one goes to whoever has least. */
  readonly connections: number
  give(receiver: number, socket: Socket): boolean
}

/** Connections that wait at one address while nobody takes them, and for how many milliseconds. */
const mostHeld = 256
const patience = 5000
/** Milliseconds that an address stays open for whoever takes it over. */
const lingering = 1000

interface Port {
  readonly key: string
  readonly mode: number | null
  accepting: Accepting | null
  readonly opening: Promise<Opening>
  /** Of each taker its receivers, the oldest first: that one gets the connections until it is shut. */
  readonly takers: Map<Taker, number[]>
  readonly held: Map<Socket, NodeJS.Timeout>
  linger: NodeJS.Timeout | null
}

/**
 * The addresses of all workers. The supervisor holds them, so that they outlive any worker, and gives each connection
 * to one of the workers that want it; it reads nothing from them.
 */
export class Ports {
  readonly #ports = new Map<string, Port>()
  #closing = false

  /** What a taker wants at an address. The first one opens it. `name` tells apart those who let the system choose. */
  async open(
    taker: Taker,
    receiver: number,
    name: string,
    address: ListenAddress,
    mode: number | null,
  ): Promise<Opening> {
    const key = keyOf(name, address)
    const known = this.#ports.get(key)
    if (known !== undefined && known.takers.size === 0 && known.mode !== mode) await this.#close(known)
    const port = this.#ports.get(key) ?? this.#create(key, address, mode)
    const opening = await port.opening
    if (opening.kind === 'failed') return opening
    if (port.linger !== null) clearTimeout(port.linger)
    port.linger = null
    const receivers = port.takers.get(taker) ?? []
    port.takers.set(taker, receivers)
    receivers.push(receiver)
    this.#give(port)
    return opening
  }

  shut(taker: Taker, receiver: number): void {
    for (const port of this.#ports.values()) {
      const receivers = port.takers.get(taker)
      const at = receivers?.indexOf(receiver) ?? -1
      if (receivers === undefined || at === -1) continue
      receivers.splice(at, 1)
      if (receivers.length === 0) port.takers.delete(taker)
      this.#rest(port)
    }
  }

  /** A taker that is no more. Its addresses stay open until somebody else wants them or `release` is called. */
  forget(taker: Taker): void {
    for (const port of this.#ports.values()) port.takers.delete(taker)
  }

  /** Closes what nobody wants. */
  release(): void {
    for (const port of this.#ports.values()) this.#rest(port)
  }

  /** From now on an address closes with its last taker. */
  drain(): void {
    this.#closing = true
    this.release()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#ports.values()].map((port) => this.#close(port)))
  }

  #create(key: string, address: ListenAddress, mode: number | null): Port {
    const opening = acceptSockets(address, { name: key, mode, paused: true }, (socket) => this.#accept(port, socket))
      .then((accepting): Opening => {
        port.accepting = accepting
        return { kind: 'opened', address: accepting.address }
      })
      .catch((error: NodeJS.ErrnoException): Opening => {
        this.#ports.delete(key)
        return { kind: 'failed', code: error.code ?? 'UNKNOWN', message: error.message }
      })
    const port: Port = { key, mode, accepting: null, opening, takers: new Map(), held: new Map(), linger: null }
    this.#ports.set(key, port)
    return port
  }

  #accept(port: Port, socket: Socket): void {
    socket.on('error', () => {})
    if (this.#deliver(port, socket)) return
    if (port.held.size >= mostHeld || this.#closing) {
      socket.destroy()
      return
    }
    const timer = setTimeout(() => socket.destroy(), patience)
    port.held.set(socket, timer)
    socket.once('close', () => {
      clearTimeout(timer)
      port.held.delete(socket)
    })
  }

  #give(port: Port): void {
    for (const [socket, timer] of port.held) {
      if (!this.#deliver(port, socket)) return
      clearTimeout(timer)
      port.held.delete(socket)
    }
  }

  #deliver(port: Port, socket: Socket): boolean {
    const takers = [...port.takers].sort(([a], [b]) => a.connections - b.connections)
    const found = takers.find(([taker, receivers]) => taker.give(receivers[0] as number, socket))
    if (found === undefined) return false
    // Of those that have as many, the next one is next.
    port.takers.delete(found[0])
    port.takers.set(...found)
    return true
  }

  #rest(port: Port): void {
    if (port.takers.size > 0) return
    if (this.#closing) void this.#close(port)
    else port.linger ??= setTimeout(() => void this.#close(port), lingering)
  }

  async #close(port: Port): Promise<void> {
    if (this.#ports.get(port.key) === port) this.#ports.delete(port.key)
    if (port.linger !== null) clearTimeout(port.linger)
    for (const socket of port.held.keys()) socket.destroy()
    await port.opening
    await port.accepting?.close()
  }
}

function keyOf(name: string, address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const { host, port } = address
  return port === 0 ? `${name} ${host}:0` : `${host}:${port}`
}
