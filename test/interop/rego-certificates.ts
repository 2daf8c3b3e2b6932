import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { buildCertificate, type CertificateContents } from '#src/authn/x509/certificate.ts'

const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const day = 86_400_000

export interface Issued {
  readonly publicKey: KeyObject
  readonly usage: CertificateContents['usage']
  readonly subject?: CertificateContents['subject']
  /** Milliseconds from now. */
  readonly from?: number
  readonly to?: number
}

/** A certificate by the authority of this run. */
export function issue({
  publicKey,
  usage,
  subject = { organization: 'Acme', commonName: 'web' },
  from = -day,
  to = day,
}: Issued): string {
  const contents = {
    subject,
    issuer: { organization: 'Acme', commonName: 'root' },
    notBefore: Date.now() + from,
    notAfter: Date.now() + to,
    publicKey,
    issuerPublicKey: authority.publicKey,
    usage,
  }
  return buildCertificate(contents, authority.privateKey)
}

/** The authority's own. */
export function root(): string {
  const subject = { organization: 'Acme', commonName: 'root' }
  return issue({ publicKey: authority.publicKey, usage: { kind: 'authority' }, subject })
}
