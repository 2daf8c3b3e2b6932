import { IdentityError } from './tls-settings.ts'

/** Why an endpoint gave no answer, or no whole one. `message` names no secrets. */
export interface UpstreamFailure {
  readonly reason: 'connect' | 'connectTimeout' | 'reset' | 'protocol' | 'overflow' | 'identity'
  readonly message: string
}

/** What a socket or parser error means for the client. */
export function failureOf(error: Error): UpstreamFailure {
  if (error instanceof IdentityError) return { reason: 'identity', message: error.message }
  const code = (error as NodeJS.ErrnoException).code ?? ''
  switch (code) {
    case 'ECONNREFUSED':
      return { reason: 'connect', message: 'Connection refused' }
    case 'ENOENT':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'EACCES':
      return { reason: 'connect', message: code }
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return { reason: 'connectTimeout', message: 'connection timeout' }
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
      return { reason: 'reset', message: code }
    default:
      if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || TLS_CODES.has(code)) {
        return { reason: 'identity', message: code }
      }
      return { reason: 'protocol', message: code === '' ? error.name : code }
  }
}

/** OpenSSL's verification failures, as Node names them. */
const TLS_CODES = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
])

/** Envoy's local answer for an endpoint that failed before its answer began. */
export function failureBody(failure: UpstreamFailure): string {
  return `upstream connect error or disconnect/reset before headers. reset reason: ${resetReason(failure)}`
}

function resetReason(failure: UpstreamFailure): string {
  switch (failure.reason) {
    case 'connect':
      return `remote connection failure, transport failure reason: delayed connect error: ${failure.message}`
    case 'connectTimeout':
      return 'connection timeout'
    case 'reset':
      return 'connection termination'
    case 'protocol':
      return 'protocol error'
    case 'overflow':
      return 'overflow'
    case 'identity':
      return `remote connection failure, transport failure reason: ${failure.message}`
    default:
      return unreachable(failure.reason)
  }
}

function unreachable(value: never): never {
  throw new Error(`unknown upstream failure ${String(value)}`)
}
