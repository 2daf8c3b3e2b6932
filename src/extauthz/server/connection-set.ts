import type { GrpcConnection } from './grpc-transport.ts'

/** A connection that its transport can also end at once. */
export interface OwnedConnection extends GrpcConnection {
  destroy(): void
}

/** The open connections of a transport, and how all of them end together. */
export class ConnectionSet<Connection extends OwnedConnection> {
  readonly #connections = new Set<Connection>()
  #closing: { readonly deadline: number; readonly empty: () => void } | null = null

  get size(): number {
    return this.#connections.size
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#connections.values()
  }

  /** One that comes while all are closing is drained at once. */
  add(connection: Connection): void {
    this.#connections.add(connection)
    if (this.#closing !== null) connection.drain(Math.max(0, this.#closing.deadline - performance.now()))
  }

  delete(connection: Connection): void {
    this.#connections.delete(connection)
    if (this.#connections.size === 0) this.#closing?.empty()
  }

  /** As `GrpcTransport.close`. */
  async close(grace: number): Promise<void> {
    const closed = new Promise<void>((empty) => {
      this.#closing = { deadline: performance.now() + grace, empty }
      if (this.#connections.size === 0) empty()
    })
    for (const connection of this.#connections) connection.drain(grace)
    // A connection that was draining before may have a longer grace, or none.
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy()
    }, grace)
    await closed
    clearTimeout(timer)
  }
}
