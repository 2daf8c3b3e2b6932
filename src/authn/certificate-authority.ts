import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { parseWorkloadId, printWorkloadId } from './spiffe-id.ts'
import { buildCertificate, type DistinguishedName } from './x509/certificate.ts'
import { splitPem } from './x509/pem.ts'

/** Issues workload certificates for development. */
export interface CertificateAuthority {
  readonly trustDomain: string
  /** The root that certificates are issued under. PEM. */
  readonly root: string
  /** Every root to trust: that one, then those that it replaces. PEM. */
  readonly roots: string
  /** PEM, PKCS #8: whoever has it can be any workload. */
  readonly rootKey: string
  /**
   * A new key and a certificate for it. `ttl` is in milliseconds, 24 hours by default; the certificate never outlives
   * the root. Throws a RangeError on a ttl that is not positive or longer than `maxTtl`, and a TypeError on a name that
   * cannot stand in a SPIFFE id.
   */
  issue(workload: {
    readonly namespace: string
    readonly serviceAccount: string
    readonly ttl?: number
  }): IssuedCertificate
}

/** All PEM. */
export interface IssuedCertificate {
  readonly certificate: string
  /** What a server or client presents: the certificate, and whatever leads to the root without it. */
  readonly chain: string
  /** PKCS #8. */
  readonly key: string
}

const hour = 60 * 60_000
const day = 24 * hour
const defaultTtl = day
/** 90 days in milliseconds, as istiod. */
export const maxTtl = 90 * day
const rootTtl = 3650 * day
/** For clocks of other machines that are behind. */
const backdating = 2 * 60_000

export interface DevelopmentCaOptions {
  readonly trustDomain: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** An authority with a new P-256 root that is good for ten years. */
export function createDevelopmentCa(options: DevelopmentCaOptions): CertificateAuthority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = rootName(options.trustDomain)
  const now = options.now()
  const root = buildCertificate(
    {
      subject: name,
      issuer: name,
      notBefore: now - backdating,
      notAfter: now + rootTtl,
      publicKey,
      issuerPublicKey: publicKey,
      usage: { kind: 'authority' },
    },
    privateKey,
  )
  return authority([root], privateKey, options)
}

/**
 * The authority of a root made earlier, or why it cannot be used (the reason holds no secret). `roots` is the root, then
 * those that it replaces and that are trusted meanwhile; `keys` has the root's key among those of others, so that neither
 * text ever lacks what the other needs while a root is replaced. All PEM.
 */
export function openDevelopmentCa(
  roots: string,
  keys: string,
  options: DevelopmentCaOptions,
): CertificateAuthority | { readonly kind: 'refused'; readonly reason: string } {
  const refused = (reason: string) => ({ kind: 'refused', reason }) as const
  const pems = splitPem(roots, 'CERTIFICATE')
  let certificates: readonly X509Certificate[]
  let candidates: readonly KeyObject[]
  try {
    certificates = pems.map((pem) => new X509Certificate(pem))
  } catch {
    return refused('the root certificate cannot be parsed')
  }
  try {
    candidates = splitPem(keys, 'PRIVATE KEY').map((pem) => createPrivateKey(pem))
  } catch {
    return refused("the root's key cannot be parsed")
  }
  const [certificate] = certificates
  if (certificate === undefined) return refused('the root certificate cannot be parsed')
  if (candidates.length === 0) return refused("the root's key cannot be parsed")
  if (!candidates.every((key) => key.asymmetricKeyDetails?.namedCurve === 'prime256v1'))
    return refused("the root's key is not a P-256 key")
  const key = candidates.find((one) => certificate.checkPrivateKey(one))
  if (key === undefined) return refused("the root's key is not the certificate's")
  if (!certificates.every(({ ca }) => ca)) return refused('the root certificate is not one of an authority')
  const name = rootName(options.trustDomain)
  if (!certificates.every(({ subject }) => subject === `O=${name.organization}\nCN=${name.commonName}`))
    return refused(`the root certificate is not a development root of trust domain ${options.trustDomain}`)
  if (Date.parse(certificate.validTo) <= options.now()) return refused('the root certificate has expired')
  return authority(pems, key, options)
}

function authority(
  roots: readonly string[],
  rootKey: KeyObject,
  { trustDomain, now }: DevelopmentCaOptions,
): CertificateAuthority {
  const root = roots[0] as string
  const rootExpiry = Date.parse(new X509Certificate(root).validTo)
  const issuerPublicKey = createPublicKey(rootKey)
  return {
    trustDomain,
    root,
    roots: roots.join(''),
    rootKey: rootKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    issue({ namespace, serviceAccount, ttl = defaultTtl }) {
      if (!(ttl > 0 && ttl <= maxTtl)) throw new RangeError(`a certificate's ttl is 1 to ${maxTtl} ms, not ${ttl}`)
      const uri = printWorkloadId({ trustDomain, namespace, serviceAccount })
      if (parseWorkloadId(uri) === null) throw new TypeError(`${uri} is no workload's SPIFFE id`)
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const issued = now()
      const certificate = buildCertificate(
        {
          subject: {},
          issuer: rootName(trustDomain),
          notBefore: issued - backdating,
          notAfter: Math.min(issued + ttl, rootExpiry),
          publicKey,
          issuerPublicKey,
          usage: { kind: 'workload', names: [{ kind: 'uri', uri }] },
        },
        rootKey,
      )
      return {
        certificate,
        chain: certificate,
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      }
    },
  }
}

function rootName(trustDomain: string): DistinguishedName & { readonly organization: string } {
  return { organization: trustDomain, commonName: 'Sallyport development root' }
}

/**
 * When to replace a certificate: half of its life before the end, spread by one hundredth either way so that a fleet
 * does not ask at once. Times in milliseconds since the epoch; `random` is from 0 to 1.
 */
export function renewalTime(notBefore: number, notAfter: number, random: number): number {
  return notAfter - (0.49 + 0.02 * random) * (notAfter - notBefore)
}
