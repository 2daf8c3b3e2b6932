import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
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
} from '#src/authn/x509/der.ts'

/** Who signs: a root, or whatever claims to be an authority. */
export interface Signer {
  readonly name: string
  readonly key: KeyObject
  readonly publicKey: KeyObject
}

export interface Contents {
  /** The common name; none by default. */
  readonly subject?: string
  /** The bytes of names, whatever they are. */
  readonly uris?: readonly string[]
  readonly dns?: readonly string[]
  /** In hours from now; an hour ago until in an hour by default. */
  readonly from?: number
  readonly until?: number
  /** Purposes by their last arc: 1 server, 2 client, 3 code. Both of the first by default, null for none at all. */
  readonly purposes?: readonly number[] | null
  readonly authority?: boolean
}

export interface Made extends Signer {
  /** PEM. */
  readonly certificate: string
  readonly pem: string
}

/** A certificate that no issuer of ours would make; signed by itself without a signer. */
export function make(contents: Contents, signer: Signer | null): Made {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = contents.subject ?? ''
  const issuer = signer ?? { name, key: privateKey, publicKey }
  const hours = (count: number) => time(Date.now() + count * 3_600_000)
  const certified = sequence(
    explicit(0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(0x40), randomBytes(15)])),
    ecdsaWithSha256,
    nameOf(issuer.name),
    sequence(hours(contents.from ?? -1), hours(contents.until ?? 1)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensionsOf(contents, publicKey, issuer.publicKey))),
  )
  const der = sequence(certified, ecdsaWithSha256, bitString(sign('sha256', certified, issuer.key)))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return {
    ...{ name, key: privateKey, publicKey },
    certificate: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}

const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'))

function nameOf(commonName: string): Buffer {
  return commonName === '' ? sequence() : sequence(set(sequence(objectIdentifier('2.5.4.3'), utf8String(commonName))))
}

function extensionsOf(
  { uris = [], dns = [], purposes = [1, 2], authority }: Contents,
  own: KeyObject,
  signer: KeyObject,
) {
  const names = [
    ...uris.map((uri) => implicit(6, Buffer.from(uri, 'latin1'))),
    ...dns.map((name) => implicit(2, Buffer.from(name, 'latin1'))),
  ]
  const oids = (purposes ?? []).map((arc) => objectIdentifier(`1.3.6.1.5.5.7.3.${arc}`))
  return [
    extension('2.5.29.19', true, authority === true ? sequence(boolean(true)) : sequence()),
    extension('2.5.29.14', false, octetString(identifier(own))),
    extension('2.5.29.35', false, sequence(implicit(0, identifier(signer)))),
    ...(authority === true ? [extension('2.5.29.15', true, bitString(Buffer.of(0x06), 1))] : []),
    ...(authority === true || oids.length === 0 ? [] : [extension('2.5.29.37', false, sequence(...oids))]),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', false, sequence(...names))]),
  ]
}

function identifier(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(oid), ...(critical ? [boolean(true)] : []), octetString(value))
}
