import type { PeerRefusal } from '../authn/peer.ts'

/** Why a peer was not let in: a label of a metric, so a closed set. */
export type RefusalCause =
  | PeerRefusal
  | 'no_certificate'
  | 'unknown_root'
  | 'self_signed'
  | 'wrong_purpose'
  | 'untrusted_chain'
  | 'chain_too_long'
  | 'root_removed'
  /** Of a handshake that failed before any certificate was judged. */
  | 'handshake'

/** OpenSSL's verdicts on a chain, by Node's names for them; every other one is `untrusted_chain`. */
const VERDICTS: Readonly<Record<string, RefusalCause>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not_yet_valid',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown_root',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown_root',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown_root',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown_root',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self_signed',
  INVALID_PURPOSE: 'wrong_purpose',
  CERT_CHAIN_TOO_LONG: 'chain_too_long',
}

/** From what a failed handshake leaves behind: its error, and what the chain was refused for, if that was the reason. */
export function handshakeRefusal(error: Error, verdict: unknown): { cause: RefusalCause; reason: string } {
  // Node documents an Error here and gives its code.
  const judged = typeof verdict === 'string' ? verdict : codeOf(verdict)
  if (judged !== null) {
    return { cause: VERDICTS[judged] ?? 'untrusted_chain', reason: `its certificate cannot be verified: ${judged}` }
  }
  const code = codeOf(error) ?? error.name
  if (code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE') return { cause: 'no_certificate', reason: 'it has none' }
  // The whole Certificate message, which OpenSSL bounds by bytes.
  if (code === 'ERR_SSL_EXCESSIVE_MESSAGE_SIZE') {
    return { cause: 'chain_too_long', reason: 'its chain of certificates is too long' }
  }
  return { cause: 'handshake', reason: code }
}

function codeOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : null
}
