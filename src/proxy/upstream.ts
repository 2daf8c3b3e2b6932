import type { Duplex } from 'node:stream'
import type { UpstreamFailure } from './upstream-failure.ts'

/** One request to an endpoint. Header lines are flat, lower-case, without `host`, connection fields and framing. */
export interface UpstreamRequest {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly headers: string[]
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | null
  /** In bytes; null when it is not known, which makes the body chunked. */
  readonly contentLength: number | null
}

/** Hears of one answer. Either `onEnd` or `onFailure` comes last, exactly once, unless the exchange was cancelled. */
export interface UpstreamSink {
  /** `headers` is flat, with lower-case names, in the order in which they came. Interim answers are not told. */
  onHead(status: number, reason: string, headers: string[]): void
  /** False asks for silence until `resume`. */
  onData(chunk: Uint8Array): boolean
  onEnd(trailers: string[]): void
  onFailure(failure: UpstreamFailure): void
}

export interface UpstreamExchange {
  resume(): void
  /** Stops everything; the sink hears nothing more. */
  cancel(): void
}

export interface UpgradeSink {
  /** The endpoint agreed; what came behind its answer is still in `socket`. */
  onUpgrade(headers: string[], socket: Duplex): void
  /** It answered otherwise; `body` is its answer's. */
  onAnswer(status: number, reason: string, headers: string[], body: AsyncIterable<Uint8Array>): void
  onFailure(failure: UpstreamFailure): void
}

/** The seam between the proxy and whatever speaks HTTP to an endpoint. */
export interface Upstream {
  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange
  upgrade(request: UpstreamRequest, protocol: string, sink: UpgradeSink): UpstreamExchange
  /** Resolves when requests under way have ended, or after `grace` milliseconds. */
  close(grace: number): Promise<void>
}
