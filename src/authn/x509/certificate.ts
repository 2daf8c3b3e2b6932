import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto'
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from './der.ts'

/** What a certificate says (RFC 5280). Times are in milliseconds since the epoch and are cut to whole seconds. */
export interface CertificateContents {
  readonly subject: DistinguishedName
  readonly issuer: DistinguishedName
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKey: KeyObject
  /** The key that certifies this one: its own for a root. */
  readonly issuerPublicKey: KeyObject
  readonly usage:
    | { readonly kind: 'authority' }
    | { readonly kind: 'workload'; readonly names: readonly SubjectAlternativeName[] }
}

export interface DistinguishedName {
  readonly organization?: string
  readonly commonName?: string
}

export type SubjectAlternativeName =
  | { readonly kind: 'uri'; readonly uri: string }
  | { readonly kind: 'dns'; readonly name: string }

const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'))

/** Issues a version 3 certificate with a random serial number, signed by a P-256 key. PEM. */
export function buildCertificate(contents: CertificateContents, issuerKey: KeyObject): string {
  const certified = sequence(
    explicit(0, integer(Buffer.of(2))),
    integer(serialNumber()),
    ecdsaWithSha256,
    nameOf(contents.issuer),
    sequence(time(contents.notBefore), time(contents.notAfter)),
    nameOf(contents.subject),
    spki(contents.publicKey),
    explicit(3, sequence(...extensionsOf(contents))),
  )
  const signature = sign('sha256', certified, issuerKey)
  return toPem(sequence(certified, ecdsaWithSha256, bitString(signature)))
}

/** 127 random bits: positive, and never zero. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes
}

function nameOf({ organization, commonName }: DistinguishedName): Buffer {
  const attribute = (oid: string, value: string | undefined) =>
    value === undefined ? [] : [set(sequence(objectIdentifier(oid), utf8String(value)))]
  return sequence(...attribute('2.5.4.10', organization), ...attribute('2.5.4.3', commonName))
}

function extensionsOf({ usage, subject, publicKey, issuerPublicKey }: CertificateContents): Buffer[] {
  const identifiers = [
    extension('2.5.29.14', false, octetString(keyIdentifier(publicKey))),
    extension('2.5.29.35', false, sequence(implicit(0, keyIdentifier(issuerPublicKey)))),
  ]
  switch (usage.kind) {
    case 'authority':
      return [
        // It certifies workloads only, no other authority.
        extension('2.5.29.19', true, sequence(boolean(true), integer(Buffer.of(0)))),
        // keyCertSign, cRLSign
        extension('2.5.29.15', true, bitString(Buffer.of(0x06), 1)),
        ...identifiers,
      ]
    case 'workload':
      return [
        extension('2.5.29.19', true, sequence()),
        // digitalSignature, keyEncipherment
        extension('2.5.29.15', true, bitString(Buffer.of(0xa0), 5)),
        // serverAuth, clientAuth
        extension(
          '2.5.29.37',
          false,
          sequence(objectIdentifier('1.3.6.1.5.5.7.3.1'), objectIdentifier('1.3.6.1.5.5.7.3.2')),
        ),
        // Without a subject the alternative names have to be critical (RFC 5280, 4.2.1.6).
        extension('2.5.29.17', Object.keys(subject).length === 0, sequence(...usage.names.map(generalName))),
        ...identifiers,
      ]
    default:
      return usage satisfies never
  }
}

function generalName(name: SubjectAlternativeName): Buffer {
  switch (name.kind) {
    case 'uri':
      return implicit(6, Buffer.from(name.uri, 'ascii'))
    case 'dns':
      return implicit(2, Buffer.from(name.name, 'ascii'))
    default:
      return name satisfies never
  }
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(oid), ...(critical ? [boolean(true)] : []), octetString(value))
}

/** RFC 7093 section 2, method 4, cut to the usual 160 bits. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  return createHash('sha256').update(spki(publicKey)).digest().subarray(0, 20)
}

function spki(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' })
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
