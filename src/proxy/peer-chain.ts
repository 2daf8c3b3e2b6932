import { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import { splitPem } from '../authn/x509/pem.ts'
import type { WorkloadIdentity } from './config.ts'

/** Certificates of a chain that are looked at, as many as BoringSSL and OpenSSL verify. */
const MOST_LINKS = 100

/** The certificates that a verified peer has sent, the leaf first; those of its roots are not needed here. */
export function presentedChain(socket: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  let one: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (one?.raw !== undefined && chain.length < MOST_LINKS) {
    chain.push(new X509Certificate(one.raw))
    // A root is its own issuer.
    one = one.issuerCertificate === one ? undefined : one.issuerCertificate
  }
  return chain
}

/** Each root as one text without white space, so that the same root is the same text. */
export function rootsOf({ ca }: WorkloadIdentity): readonly string[] {
  return splitPem(ca.join('\n'), 'CERTIFICATE').map((pem) => pem.replace(/\s/g, ''))
}

/**
 * Whether a chain that TLS has verified before leads to one of these roots. Each link is verified again, because TLS
 * may have gone another way.
 */
export function leadsToRoot(chain: readonly X509Certificate[], roots: readonly string[]): boolean {
  const anchors = roots.map(parseRoot)
  for (const [i, one] of chain.entries()) {
    const lower = chain[i - 1]
    if (lower !== undefined && !(one.ca && lower.checkIssued(one) && lower.verify(one.publicKey))) return false
    if (anchors.some((root) => root.fingerprint256 === one.fingerprint256)) return true
    if (anchors.some((root) => root.ca && one.checkIssued(root) && one.verify(root.publicKey))) return true
  }
  return false
}

function parseRoot(text: string): X509Certificate {
  const [begin, end] = ['-----BEGINCERTIFICATE-----', '-----ENDCERTIFICATE-----']
  return new X509Certificate(Buffer.from(text.replace(begin, '').replace(end, ''), 'base64'))
}
