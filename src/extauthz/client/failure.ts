import type { CheckFailure, CheckOutcome } from '../check.ts'

/** The outcome of a check that has no answer. */
export function failure(reason: Exclude<CheckFailure, 'invalid'>, message: string): CheckOutcome {
  return { kind: 'error', reason, message }
}

/** The outcome of a check that cannot be put into its protocol. It never fails open: any client may send such a request. */
export const unwritable: CheckOutcome = {
  kind: 'error',
  reason: 'invalid',
  message: 'the check could not be written',
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
