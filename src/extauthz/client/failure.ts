import type { CheckFailure, CheckOutcome } from '../check.ts'

/** The outcome of a check that has no answer. */
export function failure(reason: Exclude<CheckFailure, 'invalid'>, message: string): CheckOutcome {
  return { kind: 'error', reason, message }
}

/** What a system error says without addresses, such as `ECONNREFUSED`. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return error instanceof Error ? error.name : 'error'
}

/** The part of `[namespace/]host` that names the host. */
export function serviceHost(service: string): string {
  return service.slice(service.indexOf('/') + 1)
}
