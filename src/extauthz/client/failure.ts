import type { CheckFailure, CheckOutcome } from '../check.ts'
import type { Connect } from './connect.ts'

/** The outcome of a check that has no answer. */
export function failure(reason: Exclude<CheckFailure, 'invalid'>, message: string): CheckOutcome {
  return { kind: 'error', reason, message }
}

/** What a system error says without addresses, such as `ECONNREFUSED`. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return error instanceof Error ? error.name : 'error'
}

export interface ClientOptions {
  /** How connections are made; default without TLS. */
  readonly connect?: Connect
  /** Checks at a time, waiting ones included; more fail at once. Default 4096. */
  readonly maxChecks?: number
  /** How names are resolved; default the system's resolver. */
  readonly lookup?: (name: string) => Promise<readonly string[]>
}

export const defaultMaxChecks = 4096

/** Milliseconds that `close` leaves the checks under way. */
export const closeGrace = 5000

/** The longest delay of a timer. */
const maxDelay = 2 ** 31 - 1

/** Runs `expire` after a provider's timeout. */
export function startTimer(timeout: number, expire: () => void): NodeJS.Timeout {
  return setTimeout(expire, Math.min(timeout, maxDelay))
}

/** The part of `[namespace/]host` that names the host. */
export function serviceHost(service: string): string {
  return service.slice(service.indexOf('/') + 1)
}
