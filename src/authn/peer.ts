import type { X509Certificate } from 'node:crypto'
import { parseWorkloadId, printWorkloadId } from './spiffe-id.ts'
import { splitSubjectAlternativeNames } from './x509/subject-alternative-names.ts'

/** Who is at the other end of a connection; `notAfter` is when that stops being so, in milliseconds since the epoch. */
export type Peer =
  | { readonly kind: 'peer'; readonly id: string; readonly notAfter: number }
  | { readonly kind: 'refused'; readonly cause: PeerRefusal; readonly reason: string }

/** Why a certificate whose chain is good names nobody; `reason` says it in words. */
export type PeerRefusal =
  | 'unreadable_names'
  | 'no_uri_name'
  | 'several_uri_names'
  | 'no_workload_id'
  | 'foreign_trust_domain'
  | 'not_yet_valid'
  | 'expired'

/**
 * The identity in a certificate whose chain TLS has already verified. Stricter than Envoy, which tries every URI, then
 * DNS names, then the subject: a certificate has exactly one URI, a workload's SPIFFE id of an accepted trust domain,
 * and nothing else counts. `now` is in milliseconds since the epoch.
 */
export function peerIdentity(certificate: X509Certificate, trustDomains: readonly string[], now: number): Peer {
  const names = splitSubjectAlternativeNames(certificate.subjectAltName)
  if (names === null) return refused('unreadable_names', 'the alternative names of its certificate cannot be read')
  const uris = names.filter((name) => name.type === 'URI')
  const [uri] = uris
  if (uri === undefined) return refused('no_uri_name', 'its certificate has 0 URI names, not one')
  if (uris.length > 1) return refused('several_uri_names', `its certificate has ${uris.length} URI names, not one`)
  const id = parseWorkloadId(uri.value)
  if (id === null) return refused('no_workload_id', "the URI name of its certificate is no workload's SPIFFE id")
  if (!trustDomains.includes(id.trustDomain)) {
    return refused('foreign_trust_domain', `its trust domain ${id.trustDomain} is not accepted`)
  }
  // A resumed session verifies nothing again, so the dates are checked here too.
  const notAfter = Date.parse(certificate.validTo)
  if (!(now >= Date.parse(certificate.validFrom))) return refused('not_yet_valid', 'its certificate is not yet valid')
  if (!(now <= notAfter)) return refused('expired', 'its certificate has expired')
  return { kind: 'peer', id: printWorkloadId(id), notAfter }
}

function refused(cause: PeerRefusal, reason: string): Peer {
  return { kind: 'refused', cause, reason }
}
