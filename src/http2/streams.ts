import { ErrorCode } from './frames.ts'
import type { Http2Stream } from './stream.ts'

/** The streams of a connection: those that are open, and which ids have been used. */
export class Streams {
  readonly #byId = new Map<number, Http2Stream>()
  /** The last that this side has reset, whose frames may still be on their way. */
  readonly #givenUp = new Set<number>()
  readonly #ownParity: number
  readonly #emptied: () => void
  /** The last stream that the peer began, and the last of this side. */
  lastPeer = 0
  /** The last of the peer that was not ignored, which GOAWAY tells. */
  lastServed = 0
  lastOwn: number
  /** The last of this side whose frames are not kept back any more for others that may follow. */
  #lastWritten = 0

  /** `emptied` is called when the last open stream has ended. */
  constructor(role: 'server' | 'client', emptied: () => void) {
    this.#emptied = emptied
    this.#ownParity = role === 'client' ? 1 : 0
    this.lastOwn = role === 'client' ? -1 : 0
  }

  get size(): number {
    return this.#byId.size
  }

  get(id: number): Http2Stream | undefined {
    return this.#byId.get(id)
  }

  /** As they are now: what is done with them may end some. */
  all(): readonly Http2Stream[] {
    return [...this.#byId.values()]
  }

  add(stream: Http2Stream): void {
    this.#byId.set(stream.id, stream)
  }

  delete(id: number): void {
    if (this.#byId.delete(id) && this.#byId.size === 0) this.#emptied()
  }

  /** All frames so far have been written. */
  written(): void {
    this.#lastWritten = this.lastOwn
  }

  /** Ends all with the connection. Requests that were never written are as good as refused: they may be made again. */
  end(code: ErrorCode, reason: string): void {
    for (const stream of this.all()) {
      stream.drop()
      const unread = stream.id % 2 === this.#ownParity && stream.id > this.#lastWritten
      stream.events?.reset(unread ? ErrorCode.refusedStream : code, reason)
    }
    this.#byId.clear()
  }

  /** Whether no stream of this id has begun (RFC 9113, section 5.1). */
  isIdle(id: number): boolean {
    return id > (id % 2 === this.#ownParity ? this.lastOwn : this.lastPeer)
  }

  giveUp(id: number): void {
    this.#givenUp.add(id)
    if (this.#givenUp.size > MOST_GIVEN_UP) {
      const [oldest] = this.#givenUp
      this.#givenUp.delete(oldest as number)
    }
    this.delete(id)
  }

  wasGivenUp(id: number): boolean {
    return this.#givenUp.has(id)
  }
}

/** Their last frames are under way for a moment only. */
const MOST_GIVEN_UP = 256
