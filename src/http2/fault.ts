import { ErrorCode } from './frames.ts'

/** Why a connection cannot go on (RFC 9113, section 5.4.1). */
export interface Fault {
  readonly code: ErrorCode
  readonly reason: string
}

export function fault(code: ErrorCode, reason: string): Fault {
  return { code, reason }
}

export function protocolError(reason: string): Fault {
  return { code: ErrorCode.protocolError, reason }
}
