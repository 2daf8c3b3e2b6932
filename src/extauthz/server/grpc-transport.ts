import type { Duplex } from 'node:stream'
import { defaultKeepalive } from '../../mesh/authorizer.ts'

/** One unary call: bytes in. */
export interface GrpcCall {
  /** `/package.Service/Method`. */
  readonly path: string
  readonly message: Uint8Array
  /** Milliseconds that the caller still waits, or null when it did not say. */
  readonly timeout: number | null
  /** Fires when the caller has gone or its time is over. Made when it is first read: most calls need none. */
  readonly signal: AbortSignal
}

/** Bytes out, or a status other than 0. */
export type GrpcReply =
  | { readonly kind: 'message'; readonly message: Uint8Array }
  | { readonly kind: 'status'; readonly status: number; readonly text: string }

export interface GrpcHandler {
  /** Whether there is such a unary method: known before the body is read, so that a call to nothing costs no memory. */
  has(path: string): boolean
  /** Never throws. */
  handle(call: GrpcCall): GrpcReply | Promise<GrpcReply>
  /** The method at that path when it streams; null when there is none. Asked only where `has` says no. */
  streaming?(path: string): GrpcStreamingMethod | null
}

/** Begins a call with any number of messages either way. Neither it nor the receiver ever throws. */
export type GrpcStreamingMethod = (stream: GrpcStream) => GrpcStreamReceiver

/** A streaming call as its method sees it. What comes after its end is ignored. */
export interface GrpcStream {
  /**
   * Nothing more is read from a caller until it has taken what was sent before; a caller that takes nothing while more
   * than `maxMessageBytes` wait for it is ended with RESOURCE_EXHAUSTED.
   */
  send(message: Uint8Array): void
  /** 0 is success. */
  end(status: number, text?: string): void
}

/** What a streaming method is told of its caller. */
export interface GrpcStreamReceiver {
  message(message: Uint8Array): void
  /** The caller sends no more. */
  halfClosed(): void
  /** The call is over, whoever ended it; nothing follows. */
  closed(): void
}

export interface GrpcTransportLimits {
  /** Of a call, and of what waits for a caller that streams; what that one says has `maxStreamedBytes` at most. */
  readonly maxMessageBytes: number
  /** Bytes of calls that are still being read, over all connections; the call that exceeds it is refused. */
  readonly maxBufferedBytes: number
  /** Calls at a time, over all connections; more are refused with RESOURCE_EXHAUSTED. */
  readonly maxCalls: number
  /** Those of them that stream. */
  readonly maxStreamingCalls: number
  readonly maxStreamsPerConnection: number
  /** Kept by whoever accepts the connections. */
  readonly maxConnections: number
  /** Milliseconds for a call's body to arrive. */
  readonly readTimeout: number
  /** Milliseconds after which a connection on which nothing happens is told to go. */
  readonly idleTimeout: number
  /** Milliseconds after which a connection is told to go, give or take a tenth; null: never. */
  readonly maxConnectionAge: number | null
  /** Milliseconds that its calls may then take; null: as long as they do. */
  readonly maxConnectionAgeGrace: number | null
  /** Milliseconds between two PINGs, and for the answer to one: without it the connection is closed. */
  readonly keepaliveTime: number
  readonly keepaliveTimeout: number
}

/** Ages as in grpc-go's `keepalive.ServerParameters`. */
export const defaultLimits: GrpcTransportLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxBufferedBytes: 256 * 1024 * 1024,
  maxCalls: 10_000,
  maxStreamingCalls: 1000,
  maxStreamsPerConnection: 1000,
  maxConnections: 1000,
  readTimeout: 10_000,
  idleTimeout: 15 * 60_000,
  maxConnectionAge: null,
  maxConnectionAgeGrace: null,
  keepaliveTime: defaultKeepalive.time,
  keepaliveTimeout: defaultKeepalive.timeout,
}

/** Octets that a caller may say at a time in a streaming call: the methods that stream are asked for names. */
export const maxStreamedBytes = 64 * 1024

/** Why a call was refused before its method saw it. */
export type GrpcRefusal = 'calls' | 'buffered' | 'size' | 'malformed' | 'deadline' | 'unknown_method'

/** What a transport tells of itself, for metrics. */
export interface GrpcTransportEvents {
  refused(why: GrpcRefusal): void
}

export const silent: GrpcTransportEvents = { refused() {} }

/** Makes a transport: the one of node:http2, or any other. */
export type CreateGrpcTransport = (
  handler: GrpcHandler,
  limits?: GrpcTransportLimits,
  events?: GrpcTransportEvents,
) => GrpcTransport

/**
 * gRPC over HTTP/2 with prior knowledge, on connections that others accept: bytes in, bytes out. Cleartext and TLS are
 * the same to it.
 */
export interface GrpcTransport {
  /**
   * Serves a connection from its first byte, and takes over its errors. The socket may be half-open: that its caller ends
   * it ends the connection.
   */
  accept(socket: Duplex): GrpcConnection
  /**
   * Drains every connection, and each that is accepted from now on: resolves when all are closed, after at most `grace`
   * milliseconds for the calls under way.
   */
  close(grace: number): Promise<void>
}

export interface GrpcConnection {
  /**
   * A GOAWAY that refuses nothing (last stream id 2^31-1); when its caller has seen that, streaming calls end with
   * UNAVAILABLE, a GOAWAY with the last stream served follows, and after its last call the connection closes. Its calls
   * have at most `grace` milliseconds; null: as long as they take. Safe to call more than once: the first grace counts.
   */
  drain(grace: number | null): void
}
