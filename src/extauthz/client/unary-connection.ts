import type { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'

/**
 * One HTTP/2 connection to one endpoint, for unary gRPC calls, whoever speaks HTTP/2 on it. It never throws, and tells
 * nothing before the call to it has returned.
 */
export interface UnaryConnection {
  /**
   * Calls that may begin now: what the peer's SETTINGS_MAX_CONCURRENT_STREAMS leaves. 0 before the connection has
   * opened, after a GOAWAY or `drain`, and once it is closed.
   */
  readonly room: number
  /** Calls that have begun and not ended. */
  readonly calls: number
  /** The address of our side; undefined on a Unix socket. */
  readonly localAddress: string | undefined
  /** Begins a call. Without room it ends as unsent. */
  call(call: UnaryCall): Cancellable
  /** Sends a PING; `answered` is called when its answer comes, if it does. */
  ping(answered: () => void): void
  /** Lets the calls under way end, begins no others, and closes then. */
  drain(): void
  /** Closes at once; calls under way end as lost. */
  close(): void
}

export interface UnaryCall {
  readonly path: string
  /** Flat: name, value, ...; in lower case, without pseudo-headers. One array for all calls of a connection. */
  readonly headers: readonly string[]
  /**
   * Further ones, of this call: among them `grpc-timeout`, which tells the deadline. To end the call at the deadline is
   * up to whoever makes it. Often the same array as in the call before.
   */
  readonly callHeaders: readonly string[]
  /** With the prefix of gRPC's framing. */
  readonly message: Uint8Array
  /** Called once, unless the call was cancelled. */
  ended(end: UnaryEnd): void
}

export interface Cancellable {
  /** Ends the call with RST_STREAM (CANCEL). After its end it does nothing. */
  cancel(): void
}

export type UnaryEnd =
  | UnaryAnswer
  /** Nothing of an answer came, and the peer may have acted on the call. `code` is HTTP/2's, 0 when there is none. */
  | { readonly kind: 'lost'; readonly code: number }
  /** The peer did not act on the call (RFC 9113, section 8.7): REFUSED_STREAM, or beyond the last stream of a GOAWAY. */
  | { readonly kind: 'notProcessed' }
  /** Not a byte of it left. */
  | { readonly kind: 'unsent' }

/** What came, whole or not: final response headers, at least. */
export interface UnaryAnswer {
  readonly kind: 'answered'
  /** Flat: name, value, ...; with `:status`, and without informational responses. */
  readonly headers: readonly string[]
  readonly body: Buffer
  /** Null when the stream ended without. */
  readonly trailers: readonly string[] | null
  /** The body has more bytes than the connection reads; what was read is not in `body`. */
  readonly tooLarge: boolean
  /** The error code that ended the stream, 0 when it ended as it should. */
  readonly code: number
}

/** Told of a connection's life. */
export interface ConnectionListener {
  /** The peer's SETTINGS are there: it speaks HTTP/2 and takes calls. */
  opened(): void
  /** There may be more room than before. */
  roomier(): void
  /** The peer takes no more calls (GOAWAY); those under way go on. */
  draining(): void
  /** The end, once, also of a connection that never opened. `problem` is for people and names no address. */
  closed(problem: string): void
}

export interface ConnectionOptions {
  /** Being connected. */
  readonly socket: Socket
  readonly authority: string
  readonly scheme: 'http' | 'https'
  /** Bytes of an answer's body that are read. */
  readonly maxAnswerBytes: number
}

export type OpenUnaryConnection = (options: ConnectionOptions, listener: ConnectionListener) => UnaryConnection

/** Calls at a time on one connection, whatever the peer says. */
export const maxCalls = 4096
