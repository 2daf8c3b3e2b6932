import type { Duplex } from 'node:stream'

/** A client waits for the answer to its upgrade before it sends (RFC 6455, 4.1); this much may come early. */
const MOST_BYTES = 64 * 1024

/**
 * Keeps what a client sends while its upgrade is decided: nobody may see it yet, but only who reads a connection
 * notices that it has ended. A client that ends it, or sends too much, is gone.
 */
export class HeldBytes {
  readonly #socket: Duplex
  readonly #chunks: Buffer[] = []
  #size = 0

  /** `head` came with the request. */
  constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket
    socket.on('data', this.#keep).on('end', this.#ended)
    this.#keep(head)
  }

  /** Leaves the socket paused, with all bytes to be read from it. */
  putBack(): void {
    this.#socket.off('data', this.#keep).off('end', this.#ended)
    this.#socket.pause()
    const bytes = Buffer.concat(this.#chunks)
    if (bytes.length > 0) this.#socket.unshift(bytes)
  }

  readonly #keep = (chunk: Buffer): void => {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size > MOST_BYTES) this.#socket.destroy()
  }

  readonly #ended = (): void => {
    this.#socket.destroy()
  }
}
