import type { EndpointState } from './client-status.ts'
import type { Target } from './endpoints.ts'
import { initialOutlierState, type OutlierState } from './outlier.ts'
import type { PendingCheck } from './pending-check.ts'

/** What a host tells of itself. */
export interface HostListener {
  /** Its state is another one. */
  changed(host: Host): void
  /** It may take more checks than before. */
  roomier(): void
}

/** One endpoint of a provider: its connections, and how it has done. */
export abstract class Host {
  readonly target: Target
  /** `ADDRESS:PORT` or `unix:PATH`. */
  readonly name: string
  readonly outlier: OutlierState = initialOutlierState()
  /** What active health checks say. */
  healthy = true
  /** Checks that it was given and that have not ended. */
  inFlight = 0

  constructor(target: Target) {
    this.target = target
    this.name = nameOf(target)
  }

  /** Whether it can be asked without connecting first. */
  abstract get available(): boolean
  /** Whether it is known to be there, now that it is available. */
  abstract get proven(): boolean
  /** Whether an attempt to reach it is under way or about to be. */
  abstract get opening(): boolean
  /** Whether the last attempt to reach it failed. */
  abstract get failing(): boolean
  /** Whether it may have died without anybody having said so. */
  abstract get doubtful(): boolean
  /** Checks that it takes now. */
  abstract get room(): number
  abstract get connections(): number
  /** Why it could not be reached, for people. */
  abstract get problem(): string

  /** Makes connections before there is a check. */
  abstract warm(): void
  /** A check waits for it. */
  abstract open(): void
  /** Begins a check, which is told of its end: `answered`, `notProcessed` or `unsent`. */
  abstract ask(check: PendingCheck): void
  /** The check was given up at its deadline, and will be cancelled. */
  abstract late(check: PendingCheck): void
  /** Looked after about once a second. */
  abstract tend(now: number): void
  /** It was ejected: what it is reached by is to prove itself anew. */
  abstract renew(): void
  /** One active health check; resolves always. Null when there is nothing to ask it over. */
  abstract probe(timeout: number): Promise<boolean | null>
  /** Takes no more checks, and ends when the last one has. Resolves then. */
  abstract leave(): Promise<void>
  /** Ends at once, with the checks under way. */
  abstract end(): void

  get state(): EndpointState {
    if (!this.available) return 'unreachable'
    if (!this.healthy) return 'unhealthy'
    if (this.outlier.timer !== null) return 'ejected'
    return this.doubtful ? 'doubtful' : 'usable'
  }
}

function nameOf(target: Target): string {
  if (target.kind === 'unix') return target.key
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`
}
