import type { X509Certificate } from 'node:crypto'
import { parseWorkloadId, printWorkloadId } from './spiffe-id.ts'
import { splitSubjectAlternativeNames } from './x509/subject-alternative-names.ts'

/** Who is at the other end of a connection; `notAfter` is when that stops being so, in milliseconds since the epoch. */
export type Peer =
  | { readonly kind: 'peer'; readonly id: string; readonly notAfter: number }
  | { readonly kind: 'refused'; readonly reason: string }

/**
 * The identity in a certificate whose chain TLS has already verified. Stricter than Envoy, which tries every URI, then
 * DNS names, then the subject: a certificate has exactly one URI, a workload's SPIFFE id of an accepted trust domain,
 * and nothing else counts. `now` is in milliseconds since the epoch.
 */
export function peerIdentity(certificate: X509Certificate, trustDomains: readonly string[], now: number): Peer {
  const names = splitSubjectAlternativeNames(certificate.subjectAltName)
  if (names === null) return refused('the alternative names of its certificate cannot be read')
  const uris = names.filter((name) => name.type === 'URI')
  const [uri] = uris
  if (uri === undefined || uris.length !== 1) return refused(`its certificate has ${uris.length} URI names, not one`)
  const id = parseWorkloadId(uri.value)
  if (id === null) return refused("the URI name of its certificate is no workload's SPIFFE id")
  if (!trustDomains.includes(id.trustDomain)) return refused(`its trust domain ${id.trustDomain} is not accepted`)
  // A resumed session verifies nothing again, so the dates are checked here too.
  const notAfter = Date.parse(certificate.validTo)
  if (!(now >= Date.parse(certificate.validFrom))) return refused('its certificate is not yet valid')
  if (!(now <= notAfter)) return refused('its certificate has expired')
  return { kind: 'peer', id: printWorkloadId(id), notAfter }
}

function refused(reason: string): Peer {
  return { kind: 'refused', reason }
}
