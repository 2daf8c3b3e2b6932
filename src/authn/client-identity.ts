import type { X509Certificate } from 'node:crypto'
import type { PeerRefusal } from './peer.ts'
import { splitSubjectAlternativeNames } from './x509/subject-alternative-names.ts'
import { printSubject } from './xfcc.ts'

export type ClientIdentity =
  /** Empty when the certificate names nobody. */
  | { readonly kind: 'peer'; readonly id: string }
  | { readonly kind: 'refused'; readonly cause: PeerRefusal; readonly reason: string }

/**
 * Whom policies see behind a client's certificate at a gateway, where the CA alone says who may come in: its URI name,
 * without one its DNS name, without any its subject, as Envoy. Envoy tries every name of a kind; here no certificate has
 * several URI names, and what is no URI name but is spelt like a SPIFFE id is refused. All else that policies say of
 * principals begins with `spiffe://`, so that they cannot tell DNS names apart: the first stands for all.
 */
export function clientIdentity(certificate: X509Certificate): ClientIdentity {
  const names = splitSubjectAlternativeNames(certificate.subjectAltName)
  if (names === null) return refused('unreadable_names', 'the alternative names of its certificate cannot be read')
  const [uri, ...uris] = names.filter(({ type }) => type === 'URI')
  if (uris.length > 0) return refused('several_uri_names', `its certificate has ${uris.length + 1} URI names, not one`)
  if (uri !== undefined) return { kind: 'peer', id: uri.value }
  const dns = names.filter(({ type }) => type === 'DNS').map(({ value }) => value)
  const all = dns.length > 0 ? dns : [printSubject(certificate.subject)]
  if (all.some((name) => SPELT_LIKE_AN_ID.test(name))) {
    return refused('no_workload_id', 'a name of its certificate that is no URI is spelt like a SPIFFE id')
  }
  return { kind: 'peer', id: all[0] ?? '' }
}

/** Rules on namespaces and accounts look for these anywhere. */
const SPELT_LIKE_AN_ID = /spiffe:|\/ns\/|\/sa\//i

function refused(cause: PeerRefusal, reason: string): ClientIdentity {
  return { kind: 'refused', cause, reason }
}
