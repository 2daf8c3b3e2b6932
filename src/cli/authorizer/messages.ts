import type { EngineOptions } from '../../extauthz/engines/engine.ts'
import type { AuthorizerSpec, ServeProblem } from '../../extauthz/engines/serve.ts'
import type { Address } from '../../extauthz/server/address.ts'
import type { AuthorizerEngine } from '../../mesh/authorizer.ts'
import type { ListenAddress } from '../../mesh/listen-address.ts'
import type { Fields, Level } from '../../observe/log.ts'
import type { MetricsSnapshot } from '../../observe/metrics-snapshot.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'

/** How engines of a worker fetch the keys of tokens. */
export type KeySettings = NonNullable<EngineOptions['keys']>

/** What a worker process is told first, once. */
export interface WorkerSettings {
  readonly level: Level
  readonly keys: KeySettings
  /** Null: decisions are not logged. */
  readonly decisions: { readonly level: 'all' | 'denied'; readonly sample: number } | null
  /** Null: spans are not exported. */
  readonly otlp: {
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly serviceName: string
  } | null
}

/** From the supervisor to a worker. Those with an `id` are answered by a `result` with the same. */
export type ToWorker =
  | { readonly kind: 'start'; readonly settings: WorkerSettings }
  | { readonly kind: 'prepare'; readonly id: number; readonly specs: readonly AuthorizerSpec[] }
  | { readonly kind: 'commit'; readonly id: number }
  | { readonly kind: 'undo'; readonly id: number }
  | { readonly kind: 'try'; readonly id: number; readonly engine: AuthorizerEngine }
  | { readonly kind: 'metrics'; readonly id: number }
  | { readonly kind: 'close'; readonly id: number; readonly delay: number; readonly grace: number }
  | { readonly kind: 'ping' }
  /** The answer to `open`. */
  | { readonly kind: 'opened'; readonly receiver: number; readonly opening: Opening }
  /** The answer to `shut`: no connection follows. */
  | { readonly kind: 'shut'; readonly receiver: number }
  /** With the connection itself. */
  | { readonly kind: 'connection'; readonly receiver: number }

/** From a worker to the supervisor. */
export type FromWorker =
  | { readonly kind: 'result'; readonly id: number; readonly result: WorkerResult }
  /** The answer to `ping`, and sent unasked too. `closed`: connections that have ended, of all that it was given. */
  | { readonly kind: 'pong'; readonly closed: number }
  /** It begins to load engines, which may keep it from answering pings for a while. */
  | { readonly kind: 'loading' }
  /** Connections at an address are wanted, for the receiver. `name` is the same in every worker. */
  | {
      readonly kind: 'open'
      readonly receiver: number
      readonly name: string
      readonly address: ListenAddress
      readonly mode: number | null
    }
  | { readonly kind: 'shut'; readonly receiver: number }
  | { readonly kind: 'log'; readonly level: Level; readonly message: string; readonly fields: Fields }
  /** Lines of the decision log, and how many were left out before them. */
  | { readonly kind: 'decisions'; readonly lines: string; readonly dropped: number }

export type Opening =
  | { readonly kind: 'opened'; readonly address: Address }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }

export type WorkerResult =
  | { readonly kind: 'prepared'; readonly listening: readonly ListeningAuthorizer[] }
  | { readonly kind: 'refused'; readonly problems: readonly AuthorizerProblem[] }
  | { readonly kind: 'metrics'; readonly metrics: MetricsSnapshot }
  | { readonly kind: 'done' }

export interface ListeningAuthorizer {
  readonly name: string
  readonly grpc: Address | null
  readonly http: Address | null
}

/** Why an authorizer is not running. */
export interface AuthorizerProblem {
  readonly name: string
  readonly what: ServeProblem
  readonly message: string
  /** Each problem in the engine's own files, at its place. */
  readonly diagnostics?: readonly Diagnostic[]
}
