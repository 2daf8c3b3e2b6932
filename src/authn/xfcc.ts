import type { X509Certificate } from 'node:crypto'
import type { HeaderMap } from '../match/header-map.ts'
import { splitSubjectAlternativeNames } from './x509/subject-alternative-names.ts'

const header = 'x-forwarded-client-cert'

/**
 * What a sidecar does to `x-forwarded-client-cert`: behind mTLS it appends an element for its peer to whatever came
 * (Envoy's APPEND_FORWARD, so that only the last element can be trusted), otherwise the header goes. `element` is from
 * `forwardedClientCertificate`, null without mTLS.
 */
export function appendForwardedClientCertificate(headers: HeaderMap, element: string | null): void {
  if (element === null) {
    headers.delete(header)
    return
  }
  const before = headers.all(header).filter((line) => line !== '')
  headers.set(header, [...before, element].join(','))
}

/**
 * The element for one peer, which is the same for every request of a connection. `own` is the URI name of the proxy's
 * own certificate, null without one.
 */
export function forwardedClientCertificate(own: string | null, peer: X509Certificate): string {
  const names = splitSubjectAlternativeNames(peer.subjectAltName) ?? []
  const uris = names.filter((name) => name.type === 'URI' && isPlain(name.value))
  const dns = names.filter((name) => name.type === 'DNS' && isPlain(name.value))
  return [
    ...(own === null ? [] : [`By=${own}`]),
    `Hash=${peer.fingerprint256.replaceAll(':', '').toLowerCase()}`,
    `Subject="${printSubject(peer.subject)}"`,
    // Envoy writes the key even when there is no URI.
    ...(uris.length === 0 ? ['URI='] : uris.map((name) => `URI=${name.value}`)),
    ...dns.map((name) => `DNS=${name.value}`),
  ].join(';')
}

/** A value that would end its field, element or line is left out rather than written raw, as Envoy writes it. */
function isPlain(value: string): boolean {
  return /^[\x21-\x7e]+$/.test(value) && !/[",;=\\]/.test(value)
}

/**
 * RFC 2253 from Node's lines: the last attribute first, and every byte beyond ASCII escaped. Node has escaped the
 * special characters already, so a bare ` + ` only ever joins the attributes of one name.
 */
export function printSubject(subject: string | undefined): string {
  if (!subject) return ''
  return subject
    .split('\n')
    .reverse()
    .map((line) => line.replaceAll(' + ', '+'))
    .join(',')
    .replace(/[^\x20-\x7e]/gu, escapeBytes)
}

function escapeBytes(character: string): string {
  return [...Buffer.from(character, 'utf8')]
    .map((byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('')
}
