import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { type ConnectionOptions, createSecureContext, type SecureContextOptions } from 'node:tls'
import { splitSubjectAlternativeNames } from '../authn/x509/subject-alternative-names.ts'
import type { MutualTls, OriginatedTls } from '../mesh/endpoint-tls.ts'
import type { Alpn, ClientTls } from './client-tls.ts'
import type { WorkloadIdentity } from './config.ts'

/** The server is not who it has to be, or there is nothing to show to it. Names no secret. */
export class IdentityError extends Error {
  /** The message too: a code is what is logged of a connection to a provider that did not come about. */
  readonly code: string

  constructor(message: string) {
    super(message)
    this.code = message
  }
}

/** What `tls.connect` takes, without where to. Files are read anew each time, so that a replaced one is used at once. */
export function tlsSettings(
  tls: ClientTls,
  identity: WorkloadIdentity | null,
  alpn: Alpn,
): ConnectionOptions | IdentityError {
  try {
    switch (tls.kind) {
      case 'unusable':
        return new IdentityError(tls.reason)
      case 'istioMutual':
        return identity === null
          ? new IdentityError('no certificate to show to the server')
          : mutualSettings(tls, identity, alpn)
      case 'originated':
        return originatedSettings(tls, alpn)
      default:
        return tls satisfies never
    }
  } catch (error) {
    // A file that cannot be read, or a certificate, a key or a CRL that OpenSSL cannot use.
    return new IdentityError(error instanceof Error ? error.message : String(error))
  }
}

function mutualSettings(tls: MutualTls, identity: WorkloadIdentity, { mesh }: Alpn): ConnectionOptions {
  const { certificate, key, ca } = identity
  return {
    ...common(tls.serverName, mesh, { cert: certificate, key, ca: [...ca] }),
    rejectUnauthorized: true,
    checkServerIdentity: (_name, { raw }) => refusalOf(tls, identity, new X509Certificate(raw)),
  }
}

function originatedSettings(tls: OriginatedTls, { other }: Alpn): ConnectionOptions {
  const read = (path: string) => readFileSync(path, 'utf8')
  const files: SecureContextOptions = {
    ...(tls.client === null ? {} : { cert: read(tls.client.certificate), key: read(tls.client.key) }),
    // `system` is Istio's word for the platform's roots.
    ...(tls.caCertificates === '' || tls.caCertificates === 'system' ? {} : { ca: read(tls.caCertificates) }),
    ...(tls.caCrl === '' ? {} : { crl: read(tls.caCrl) }),
  }
  return {
    ...common(tls.serverName, other, files),
    rejectUnauthorized: !tls.insecureSkipVerify,
    checkServerIdentity: (_name, { raw }) => withoutNames(new X509Certificate(raw), tls.subjectAltNames),
  }
}

function common(serverName: string, protocols: readonly string[], files: SecureContextOptions): ConnectionOptions {
  return {
    // An address is no server name (RFC 6066, section 3).
    servername: isIP(serverName) === 0 ? serverName : '',
    secureContext: createSecureContext({ ...files, minVersion: 'TLSv1.2' }),
    ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
  }
}

function refusalOf(tls: MutualTls, identity: WorkloadIdentity, certificate: X509Certificate): Error | undefined {
  if (tls.subjectAltNames.length > 0) return withoutNames(certificate, tls.subjectAltNames)
  const peer = identity.identifyPeer(certificate)
  if (peer.kind === 'refused') return new IdentityError(peer.reason)
  if (tls.expectedIds.length === 0 || tls.expectedIds.includes(peer.id)) return undefined
  return new IdentityError(`the server is ${peer.id}, not ${tls.expectedIds.join(' or ')}`)
}

/** A certificate must have one of these names, of any type. A DNS name in it may have a wildcard. */
function withoutNames(certificate: X509Certificate, names: readonly string[]): Error | undefined {
  const entries = splitSubjectAlternativeNames(certificate.subjectAltName) ?? []
  const found = names.some(
    (name) =>
      entries.some(({ type, value }) => type !== 'DNS' && value === name) ||
      certificate.checkHost(name, { subject: 'never' }) !== undefined ||
      (isIP(name) !== 0 && certificate.checkIP(name) !== undefined),
  )
  if (found) return undefined
  return new IdentityError(`the server's certificate has none of the names ${names.join(', ')}`)
}
